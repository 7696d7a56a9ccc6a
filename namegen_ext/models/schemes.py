"""Named initialisation schemes: every weight is a standard normal draw times a factor."""

from __future__ import annotations

from dataclasses import dataclass

# Keeps the variance of a tanh layer's output near that of its input (He et al. 2015 give sqrt(2) for ReLU;
# torch.nn.init.calculate_gain lists 5/3 for tanh).
TANH_GAIN = 5 / 3


@dataclass(frozen=True)
class Initialisation:
    """The factors by which standard normal draws are multiplied, layer by layer.

    Attributes:
        hidden_weight: factor of the hidden layers' weights; with ``scale_by_fan_in`` it is divided by the
            square root of the layer's number of inputs.
        hidden_bias: factor of the hidden layers' biases.
        output_weight: factor of the output layer's weight.
        output_bias: factor of the output layer's bias.
        scale_by_fan_in: whether ``hidden_weight`` is a gain in the sense of Kaiming initialisation.

    """

    hidden_weight: float
    hidden_bias: float
    output_weight: float
    output_bias: float
    scale_by_fan_in: bool = False

    def hidden_weight_factor(self, fan_in: int) -> float:
        """Return the factor for a hidden layer with ``fan_in`` inputs."""
        return self.hidden_weight / fan_in**0.5 if self.scale_by_fan_in else self.hidden_weight


SCHEMES: dict[str, Initialisation] = {
    # Confidently wrong at first: logits of a size near sqrt(hidden_size), tanh saturated.
    "plain": Initialisation(1.0, 1.0, 1.0, 1.0),
    # Nearly uniform predictions at first: the loss starts at log(vocab_size).
    "small-output": Initialisation(1.0, 1.0, 0.01, 0.0),
    # And tanh no longer saturated.
    "scaled-hidden": Initialisation(0.1, 0.1, 0.01, 0.0),
    # And its scale derived from the width of the layer instead of tried.
    "kaiming": Initialisation(TANH_GAIN, 0.01, 0.01, 0.0, scale_by_fan_in=True),
    # The scale between the last two that the makemore lecture tries before it turns to Kaiming's rule.
    "unsaturated": Initialisation(0.2, 0.01, 0.01, 0.0),
}

# The scheme of the counting models: their logits are all 0 until they are set from counts.
COUNTS = "counts"
TABLE_SCHEMES = (*SCHEMES, COUNTS)
