"""What the state_dict of a model holds and how its layers follow on each other, from its options alone.

Nothing here needs torch: it is what a saved model is checked against and read by where torch is not loaded. That the
models are built so, a test holds for every option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from namegen_ext.models.arguments import check_factors
from namegen_ext.models.specs import check_table_size

# Of nn.BatchNorm1d, which no option changes.
BATCH_NORM_EPS = 1e-5

# The dtype and the shape of each entry of a state_dict: ("float32", (27, 10)).
StateLayout = dict[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class LevelLayout:
    """Where a level stands in a state_dict: a linear layer, and a batch norm and a tanh where there are such.

    Attributes:
        factor: how many neighbouring positions are joined before it.
        inputs: features of one position before it.
        outputs: features after it.
        linear: the linear layer's prefix in the state_dict, such as "net.2".
        bias: whether the linear layer has a bias.
        batch_norm: the batch norm's prefix, or None.
        tanh: whether a tanh follows.

    """

    factor: int
    inputs: int
    outputs: int
    linear: str
    bias: bool
    batch_norm: str | None
    tanh: bool

    def state(self) -> StateLayout:
        """Return the entries of the level."""
        state: StateLayout = {f"{self.linear}.weight": ("float32", (self.outputs, self.factor * self.inputs))}
        if self.bias:
            state[f"{self.linear}.bias"] = ("float32", (self.outputs,))
        if self.batch_norm is not None:
            for name in ("weight", "bias", "running_mean", "running_var"):
                state[f"{self.batch_norm}.{name}"] = ("float32", (self.outputs,))
            state[f"{self.batch_norm}.num_batches_tracked"] = ("int64", ())
        return state


@dataclass(frozen=True)
class NetworkLayout:
    """Where a network stands in a state_dict: an embedding, and the levels behind it.

    Attributes:
        block_size: positions of a context.
        embedding: the embedding's prefix in the state_dict.
        rows: of the embedding: V; or V**block_size for a table of logits, which has no levels.
        columns: of the embedding.
        levels: from the embedding upwards.

    """

    block_size: int
    embedding: str
    rows: int
    columns: int
    levels: tuple[LevelLayout, ...] = ()

    def state(self) -> StateLayout:
        """Return all entries of the state_dict."""
        state: StateLayout = {f"{self.embedding}.weight": ("float32", (self.rows, self.columns))}
        for level in self.levels:
            state |= level.state()
        return state


def network_layout(name: str, config: Mapping[str, Any]) -> NetworkLayout | None:
    """Lay a model out.

    Args:
        name: a key of :data:`namegen_ext.models.MODELS`.
        config: ``vocab_size`` and all of the model's options, as ``model.config`` has them.

    Returns:
        The layout; None for a model that is no such network: the gpt.

    Raises:
        ValueError: the model cannot be built with these options.

    """
    lay_out = _LAYOUTS.get(name)
    return None if lay_out is None else lay_out(config)


def _bigram(config: Mapping[str, Any]) -> NetworkLayout:
    vocab_size = config["vocab_size"]
    check_table_size(vocab_size, 1)
    return NetworkLayout(1, "net.0", vocab_size, vocab_size)


def _ngram(config: Mapping[str, Any]) -> NetworkLayout:
    vocab_size, block_size = config["vocab_size"], config["block_size"]
    check_table_size(vocab_size, block_size)
    return NetworkLayout(block_size, "net.1", vocab_size**block_size, vocab_size)


def _mlp(config: Mapping[str, Any]) -> NetworkLayout:
    # Embedding, Flatten; Linear, batch norm, Tanh for each hidden layer; Linear.
    factors = [config["block_size"], *[1] * (config["num_hidden_layers"] - 1)]
    return _perceptron(config, factors, first=2, joins=0)


def _wavenet(config: Mapping[str, Any]) -> NetworkLayout:
    # Embedding; FlattenConsecutive, Linear, batch norm, Tanh for each factor; Linear.
    return _perceptron(config, check_factors(config["factors"], config["block_size"]), first=1, joins=1)


def _perceptron(config: Mapping[str, Any], factors: Any, *, first: int, joins: int) -> NetworkLayout:
    """Lay out an embedding, a hidden level for each factor, and the linear layer to the logits.

    Args:
        config: of the model.
        factors: how many positions each hidden level joins.
        first: the place of the first hidden level's first layer in the nn.Sequential.
        joins: how many layers join positions before each linear layer.

    """
    place, inputs = first, config["embedding_dim"]
    levels = []
    for factor in factors:
        linear = place + joins
        place = linear + 1 + config["batch_norm"] + 1  # behind the linear layer, the batch norm and the tanh
        levels.append(
            LevelLayout(
                factor=factor,
                inputs=inputs,
                outputs=config["hidden_size"],
                linear=f"net.{linear}",
                bias=config["hidden_bias"],
                batch_norm=f"net.{linear + 1}" if config["batch_norm"] else None,
                tanh=True,
            )
        )
        inputs = config["hidden_size"]
    vocab_size = config["vocab_size"]
    levels.append(LevelLayout(1, inputs, vocab_size, f"net.{place}", True, None, False))
    return NetworkLayout(config["block_size"], "net.0", vocab_size, config["embedding_dim"], tuple(levels))


_LAYOUTS: dict[str, Callable[[Mapping[str, Any]], NetworkLayout]] = {
    "bigram": _bigram,
    "ngram": _ngram,
    "mlp": _mlp,
    "wavenet": _wavenet,
}
