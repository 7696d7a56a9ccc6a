"""Tells from a model's options what its state_dict holds and how its layers follow on each other.

Nothing here needs torch. Where torch is not loaded, a saved model is checked against its layout and read by it. A test
compares the layouts with the models that are built, for every option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from namegen_ext.models.count_arrays import TRIE_DTYPES, native_count_model
from namegen_ext.models.model_arguments import check_choice, check_factors, check_flags, check_sizes
from namegen_ext.models.specs import GPT_ACTIVATIONS, GPT_NORMS, KNESER_NEY, MODELS, check_table_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The default of nn.BatchNorm1d, which no option changes.
BATCH_NORM_EPS = 1e-5
# That of a GPT's norms.
GPT_NORM_EPS = 1e-5

# The dtype and the shape of each entry of a state_dict: ("float32", (27, 10)). A size of ANY goes with the words, and
# so does which type NUMBERS are: int32, int64 or float64.
StateLayout = dict[str, tuple[str, tuple[int, ...]]]
ANY = -1
NUMBERS = "numbers"


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

    def check(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Accept arrays of the state's names, dtypes and shapes: any numbers make a network."""

    def num_values(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Count the trainable values."""
        no_parameters = ("running_mean", "running_var", "num_batches_tracked")
        return sum(array.size for name, array in arrays.items() if not name.endswith(no_parameters))


@dataclass(frozen=True)
class CountsLayout:
    """What a counting model holds: see :mod:`namegen_ext.models.count_arrays`.

    Attributes:
        vocab_size: V.
        block_size: length of the longest context.
        estimator: how counts become probabilities.
        smoothing: the k of add-k.
        category_newest: whether contexts have the mark of a category at their newest place.

    """

    vocab_size: int
    block_size: int
    estimator: str
    smoothing: float
    category_newest: bool = False

    def state(self) -> StateLayout:
        """Return all entries of the state_dict."""
        state: StateLayout = dict.fromkeys(TRIE_DTYPES, (NUMBERS, (ANY,)))
        if self.estimator == KNESER_NEY:
            lengths = self.block_size + 1
            state |= {"discounts": ("float64", (lengths, 3)), "concentrations": ("float64", (lengths,))}
        return state

    def check(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Accept arrays of the state's names, dtypes and shapes that are counts.

        Raises:
            ValueError: they are not.

        """
        self.native(arrays)

    def num_values(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Count the counts."""
        return arrays["pair_count"].size

    def native(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Make the native counting model; raises as :meth:`check` does."""
        return native_count_model(self.vocab_size, self.block_size, self.estimator, self.smoothing, arrays)


@dataclass(frozen=True)
class GptLayout:
    """What a GPT holds: see :class:`namegen_ext.models.GPT`.

    Attributes:
        vocab_size: V.
        block_size: T, the longest sequence.
        embedding_dim: E.
        num_layers: number of blocks.
        num_heads: heads of each attention.
        tied: whether the head's weight is that of the token embedding.
        norm: "layer" or "rms".
        activation: "gelu", "gelu-tanh" or "relu".
        biases: whether the blocks' linear layers and all layer norms have biases.
        final_norm: whether a norm stands before the head.
        embedding_norm: whether a norm stands before the first block.

    """

    vocab_size: int
    block_size: int
    embedding_dim: int
    num_layers: int
    num_heads: int
    tied: bool
    norm: str = "layer"
    activation: str = "gelu"
    biases: bool = True
    final_norm: bool = True
    embedding_norm: bool = False

    @property
    def hidden_size(self) -> int:
        """Outputs of the wide layer of a block."""
        return 4 * self.embedding_dim

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Return the parameters' shapes, by their names in the state_dict, in the native engine's order."""
        width = self.embedding_dim
        found: dict[str, tuple[int, ...]] = {
            "token_embedding.weight": (self.vocab_size, width),
            "position_embedding.weight": (self.block_size, width),
        }
        if self.embedding_norm:
            found |= self._norm("embedding_norm")
        for number in range(self.num_layers):
            block = f"blocks.{number}."
            found |= self._norm(f"{block}norm_1")
            found |= self._linear(f"{block}attention.projections.0", width, 3 * width)
            found |= self._linear(f"{block}attention.output.0", width, width)
            found |= self._norm(f"{block}norm_2")
            found |= self._linear(f"{block}network.0", width, self.hidden_size)
            found |= self._linear(f"{block}network.2", self.hidden_size, width)
        if self.final_norm:
            found |= self._norm("norm")
        if not self.tied:
            found["head.weight"] = (self.vocab_size, width)
        return found

    def _norm(self, name: str) -> dict[str, tuple[int, ...]]:
        if self.norm == "rms":
            return {}
        shape: tuple[int, ...] = (self.embedding_dim,)
        return {f"{name}.weight": shape} | ({f"{name}.bias": shape} if self.biases else {})

    def _linear(self, name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {f"{name}.weight": (outputs, inputs)}
        return found | ({f"{name}.bias": (outputs,)} if self.biases else {})

    def state(self) -> StateLayout:
        """Return all entries of the state_dict."""
        shapes = {**self.parameters(), "head.weight": (self.vocab_size, self.embedding_dim)}
        return {name: ("float32", shape) for name, shape in shapes.items()}

    def check(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Accept arrays of the state's names, dtypes and shapes that make a GPT.

        Raises:
            ValueError: they do not.

        """
        if self.tied and arrays["head.weight"].tobytes() != arrays["token_embedding.weight"].tobytes():
            raise ValueError("head.weight must be token_embedding.weight, to which it is tied")

    def num_values(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Count the trainable values."""
        return sum(arrays[name].size for name in self.parameters())


@dataclass(frozen=True)
class MixtureLayout:
    """What a mixture holds.

    Attributes:
        vocab_size: V.
        block_size: positions of a context.
        components: of each model in it.
        num_categories: how many of the symbols are marks of categories.

    """

    vocab_size: int
    block_size: int
    components: tuple[NetworkLayout | CountsLayout | GptLayout, ...]
    num_categories: int = 0

    def state(self) -> StateLayout:
        """Return all entries of the state_dict."""
        state: StateLayout = {
            "weights": ("float64", (len(self.components),)),
            "known_keys": ("int64", (ANY,)),
            "known_adjustments": ("float64", (ANY,)),
        }
        for number, component in enumerate(self.components):
            state |= {f"{_component(number)}{name}": entry for name, entry in component.state().items()}
        return state

    def check(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Accept arrays of the state's names, dtypes and shapes that make a mixture.

        Raises:
            ValueError: they do not.

        """
        import numpy as np

        if not np.isfinite(arrays["weights"]).all():
            raise ValueError("weights must be finite")
        _check_known_names(arrays["known_keys"], arrays["known_adjustments"], self.vocab_size)
        for number, component in enumerate(self.components):
            component.check(self.arrays_of(number, arrays))

    def num_values(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Count the trainable values and the counts."""
        return sum(
            component.num_values(self.arrays_of(number, arrays))
            for number, component in enumerate(self.components)
        )

    def arrays_of(self, number: int, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return those of one component, by the names that it has for them."""
        prefix = _component(number)
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _check_known_names(keys: NDArray[Any], adjustments: NDArray[Any], vocab_size: int) -> None:
    """Accept a prefix tree; see :mod:`namegen_ext.models.known_names`."""
    import numpy as np

    if len(adjustments) != len(keys):
        raise ValueError("known_adjustments must be as many as known_keys")
    if not np.isfinite(adjustments).all():
        raise ValueError("known_adjustments must be finite")
    if len(keys) == 0:
        return
    parents = keys // vocab_size
    if keys[0] < 0 or (np.diff(keys) <= 0).any() or (parents > np.arange(len(keys))).any():
        raise ValueError("known_keys must ascend from 0 on, the parent of each before it")
    below = parents[parents > 0] - 1
    if (keys[below] % vocab_size == 0).any():
        raise ValueError("known_keys must have no symbol behind the end of a name")


def _component(number: int) -> str:
    return f"components.{number}."


ModelLayout = NetworkLayout | CountsLayout | GptLayout | MixtureLayout


def model_layout(name: str, config: Mapping[str, Any]) -> ModelLayout:
    """Lay a model out.

    Args:
        name: a key of :data:`namegen_ext.models.MODELS`.
        config: ``vocab_size`` and all of the model's options, as ``model.config`` has them.

    Raises:
        ValueError: the model cannot be built with these options.

    """
    return _LAYOUTS[name](config)


def _bigram(config: Mapping[str, Any]) -> NetworkLayout:
    vocab_size = config["vocab_size"]
    block_size = config.get("block_size", 1)
    check_sizes({"vocab_size": vocab_size, "block_size": block_size})
    check_table_size(vocab_size, block_size)
    if block_size > 1:  # a category before the character
        return NetworkLayout(block_size, "net.1", vocab_size**block_size, vocab_size)
    return NetworkLayout(1, "net.0", vocab_size, vocab_size)


def _ngram(config: Mapping[str, Any]) -> NetworkLayout | CountsLayout:
    vocab_size, block_size = config["vocab_size"], config.get("block_size", 0)
    if "estimator" in config:
        check_sizes({"vocab_size": vocab_size, "block_size": block_size})
        newest = config.get("category_newest", False)
        check_flags({"category_newest": newest})
        return CountsLayout(vocab_size, block_size, config["estimator"], config["smoothing"], newest)
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


def _gpt(config: Mapping[str, Any]) -> GptLayout:
    names = ("vocab_size", "block_size", "embedding_dim", "num_layers", "num_heads")
    sizes = {name: config[name] for name in names}
    check_sizes(sizes)
    if config["embedding_dim"] % config["num_heads"] != 0:
        raise ValueError(
            f"num_heads must divide embedding_dim {config['embedding_dim']}, but got {config['num_heads']}"
        )
    switches = {name: config[name] for name in ("biases", "final_norm", "embedding_norm") if name in config}
    check_flags({"tied": config["tied"], **switches})
    norm, activation = config.get("norm", "layer"), config.get("activation", "gelu")
    check_choice("norm", norm, GPT_NORMS)
    check_choice("activation", activation, GPT_ACTIVATIONS)
    return GptLayout(**sizes, tied=config["tied"], norm=norm, activation=activation, **switches)


def _mixture(config: Mapping[str, Any]) -> MixtureLayout:
    vocab_size: Any = config["vocab_size"]
    block_size: Any = config.get("block_size")
    check_sizes({"vocab_size": vocab_size, "block_size": block_size})
    described = config.get("components")
    if not isinstance(described, list):
        raise ValueError(f"components must hold the options of models, but is {described!r}")
    components = []
    for options in described:
        try:
            name = options["name"]
            if name not in MODELS or name == "mixture":
                raise ValueError(f"a component of a mixture must be one of the other models, but is {name!r}")
            component = model_layout(name, {**options, "vocab_size": vocab_size})
        except (KeyError, TypeError) as error:  # what came from a file that another program wrote
            raise ValueError(f"components must hold the options of models: {error!r}") from None
        assert not isinstance(component, MixtureLayout)
        components.append(component)
    if not components:
        raise ValueError("components must hold one model at least, but got none")
    num_categories: Any = config.get("num_categories", 0)
    if num_categories != 0:
        check_sizes({"num_categories": num_categories})
    return MixtureLayout(vocab_size, block_size, tuple(components), num_categories)


_LAYOUTS: dict[str, Callable[[Mapping[str, Any]], ModelLayout]] = {
    "bigram": _bigram,
    "ngram": _ngram,
    "mlp": _mlp,
    "wavenet": _wavenet,
    "gpt": _gpt,
    "mixture": _mixture,
}
