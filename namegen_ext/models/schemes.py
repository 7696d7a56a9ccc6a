"""Named initialisation schemes: every weight is a standard normal draw times a factor."""

from __future__ import annotations

from dataclasses import dataclass

# This gain keeps the variance of a tanh layer's output near that of its input.
# Sources: He et al., 2015, who give sqrt(2) for ReLU; torch.nn.init.calculate_gain, which lists 5/3 for tanh.
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

    Example:
        >>> round(SCHEMES["kaiming"].hidden_weight_factor(fan_in=30), 4)
        0.3043

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
    # The first predictions are confidently wrong: logits have a size near sqrt(hidden_size), and tanh is saturated.
    "plain": Initialisation(1.0, 1.0, 1.0, 1.0),
    # The first predictions are nearly uniform: the loss starts at log(vocab_size).
    "small-output": Initialisation(1.0, 1.0, 0.01, 0.0),
    # The same, and tanh is no longer saturated.
    "scaled-hidden": Initialisation(0.1, 0.1, 0.01, 0.0),
    # The same, with a scale that follows from the width of the layer instead of being tried out.
    "kaiming": Initialisation(TANH_GAIN, 0.01, 0.01, 0.0, scale_by_fan_in=True),
    # A scale between the last two, which the makemore lecture tries before it turns to Kaiming's rule.
    "unsaturated": Initialisation(0.2, 0.01, 0.01, 0.0),
}

# The scheme of the counting models: their logits are all 0 until they are set from counts.
COUNTS = "counts"
TABLE_SCHEMES = (*SCHEMES, COUNTS)
