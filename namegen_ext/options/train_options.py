"""The options of a training run: everything that decides its result. They are checked, and JSON can hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from namegen_ext.data import SPLITS
from namegen_ext.models import COUNTS, MODELS
from namegen_ext.models.model_arguments import check_factors
from namegen_ext.models.specs import ESTIMATORS, GPT_ACTIVATIONS, GPT_NORMS, KNESER_NEY
from namegen_ext.nn.variances import VARIANCES
from namegen_ext.options.choices import INITS, MICROGPT, OPTIMIZERS, ORDERS
from namegen_ext.options.limits import LIMITS, MOST_STEPS
from namegen_ext.options.ranges import WholeNumbers, shown
from namegen_ext.options.schedules import SCHEDULES


class OptionError(ValueError):
    """An option has a value that it cannot have.

    Attributes:
        option: its name, as in :class:`TrainOptions`.
        problem: what came and what was expected.

    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option
        self.problem = problem


@dataclass(frozen=True)
class TrainOptions:
    """The options of a training run; the defaults are those of ``python -m namegen_ext.train``.

    Two runs with the same options, words and backend have the same results, bit for bit, on one machine.

    The range of each number is in :data:`namegen_ext.options.limits.LIMITS`.

    Attributes:
        model: name of the model, see :data:`namegen_ext.models.MODELS`.
        block_size: number of characters of context.
        embedding_dim: length of a character's embedding.
        hidden_size: width of each hidden layer.
        num_hidden_layers: number of hidden layers.
        batch_norm: whether the hidden layers are batch-normalised.
        hidden_bias: whether the hidden linear layers have biases.
        batch_norm_variance: which variance of a batch it is normalised by, "biased" or "unbiased".
        factors: how many neighbours each level of the wavenet joins, such as "2x2x2"; "auto": the prime
            factors of ``block_size``.
        num_layers: number of blocks of the gpt.
        num_heads: heads of each of its attentions.
        dropout: share of the gpt's values that is dropped in training.
        tied: whether the gpt's head shares the weight of its token embedding.
        norm: of the gpt: "layer" or "rms".
        activation: of the gpt: "gelu", "gelu-tanh" or "relu".
        biases: whether the gpt's linear layers and layer norms have biases.
        final_norm: whether a norm stands before the gpt's head.
        embedding_norm: whether a norm stands before the gpt's first block.
        init: initialisation scheme, see :data:`namegen_ext.models.SCHEMES`; "counts"; or "microgpt", see
            :mod:`namegen_ext.models.microgpt`.
        estimator: how "counts" makes probabilities: "add-k" or "witten-bell".
        smoothing: the k of "add-k".
        optimizer: "sgd" or "adamw".
        learning_rate: rate of the first step.
        final_learning_rate: rate that the schedule ends with.
        schedule: "constant", "two-step", "linear" or "cosine"; see
            :class:`namegen_ext.options.schedules.Schedule`.
        switch_at: where "two-step" changes, as a share of the steps.
        warmup: so many first steps, in which the rate rises to ``learning_rate``.
        clip_grad_norm: the most that the global norm of the gradients may be, to which larger ones are scaled down; 0
            for any.
        ema: the decay of a moving average of the weights, which is evaluated and saved beside them; 0 for none. See
            :class:`namegen_ext.training.weight_average.WeightAverage`.
        momentum: of SGD.
        nesterov: Nesterov's form of SGD's momentum.
        weight_decay: added to the gradient by SGD, decoupled from it by AdamW.
        beta1: of AdamW.
        beta2: of AdamW.
        batch_size: examples in a step.
        order: how they are drawn: "replacement", "shuffled" (each once before any comes again) or "in-order"; see
            :mod:`namegen_ext.training.minibatches`.
        full_batch: whether each step takes all examples instead.
        steps: number of steps.
        seed: of the initial weights and of the minibatches.
        split_seed: of the split into train, dev and test.
        split: how the names are divided: "80-10-10", "makemore" (as makemore.py does it, without dev names) or "all"
            (all names to train on).
        budget: seconds for the search for a mixture; 0 for as many as suit the list.
        refit: whether the mixture that was found is trained on all names in the end, dev and test included.

    Raises:
        OptionError: a value is out of range; one line.

    Example:
        >>> options = TrainOptions(model="wavenet", block_size=8, steps=1000)
        >>> options.model_config(vocab_size=27)["factors"]
        [2, 2, 2]

    """

    model: str = "mlp"
    block_size: int = 3
    embedding_dim: int = 10
    hidden_size: int = 200
    num_hidden_layers: int = 1
    batch_norm: bool = True
    hidden_bias: bool = True
    batch_norm_variance: str = "biased"
    factors: str = "auto"
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.0
    tied: bool = False
    norm: str = "layer"
    activation: str = "gelu"
    biases: bool = True
    final_norm: bool = True
    embedding_norm: bool = False
    init: str = "kaiming"
    estimator: str = "add-k"
    smoothing: float = 1.0
    optimizer: str = "sgd"
    learning_rate: float = 0.2
    final_learning_rate: float = 0.0
    schedule: str = "cosine"
    switch_at: float = 0.5
    warmup: int = 0
    clip_grad_norm: float = 0.0
    ema: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    batch_size: int = 32
    order: str = "replacement"
    full_batch: bool = False
    steps: int = 20_001
    seed: int = 42
    split_seed: int = 42
    split: str = "80-10-10"
    budget: float = 0.0
    refit: bool = False

    def __post_init__(self) -> None:
        self._check_types()
        for option, choices in _CHOICES.items():
            if getattr(self, option) not in choices:
                raise OptionError(option, f"got {getattr(self, option)!r}, expected one of {_list(choices)}")
        for option, allowed in LIMITS.items():
            if getattr(self, option) not in allowed:
                raise OptionError(option, f"got {getattr(self, option)}, expected {allowed}")
        self._check_combinations()

    def _check_types(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            expected = (float, int) if isinstance(default, float) else type(default)
            # bool is a subclass of int, but true is not a number here.
            if not isinstance(value, expected) or isinstance(value, bool) != isinstance(default, bool):
                raise OptionError(field.name, f"got {value!r}, expected {_TYPE_NAMES[type(default)]}")

    def _check_combinations(self) -> None:
        if self.steps == 0 and self.init != COUNTS and not MODELS[self.model].found:
            expected = f"{WholeNumbers(1, MOST_STEPS)} (0 is for --init {COUNTS})"
            raise OptionError("steps", f"got 0, expected {expected}")
        model_options = MODELS[self.model].options
        if self.model == "bigram" and self.block_size != 1:
            raise OptionError("block_size", f"got {self.block_size}, expected 1 with --model bigram")
        if self.init == COUNTS and not MODELS[self.model].counts:
            raise OptionError("init", f"got {COUNTS!r}, expected --model bigram or ngram with it")
        if self.estimator == KNESER_NEY and self.init == COUNTS and not self.is_counted:
            raise OptionError(
                "estimator", f"got {KNESER_NEY!r}, expected --model ngram and --steps 0 with it"
            )
        if "factors" in model_options:
            self._check_factors()
        if "num_heads" in model_options and self.embedding_dim % self.num_heads != 0:
            problem = f"got {self.num_heads}, expected a divisor of the embedding-dim {self.embedding_dim}"
            raise OptionError("num_heads", problem)
        normalised = self.batch_norm and "batch_norm" in model_options and not self.full_batch
        if normalised and self.batch_size < 2:
            raise OptionError(
                "batch_size", f"got {self.batch_size}, expected at least 2 (batch norm needs a variance)"
            )
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise OptionError("nesterov", "expected --optimizer sgd and a momentum above 0 with it")
        if self.init == MICROGPT and self.model != "gpt":
            raise OptionError("init", f"got {MICROGPT!r}, expected --model gpt with it")
        if 0 < self.steps <= self.warmup:
            raise OptionError("warmup", f"got {self.warmup}, expected fewer than the {self.steps} steps")
        if self.momentum != 0 and self.optimizer != "sgd":
            raise OptionError("momentum", f"expected --optimizer sgd with it, got {self.optimizer}")

    def _check_factors(self) -> None:
        try:
            check_factors(self._factors(), self.block_size)
        except ValueError:
            expected = (
                f"auto, or numbers whose product is the block-size {self.block_size}, such as 2x2x2 for 8"
            )
            raise OptionError("factors", f"got {shown(self.factors)}, expected {expected}") from None

    def _factors(self) -> tuple[int, ...] | None:
        if self.factors == "auto":
            return None
        # Four digits are enough for the largest block. int() would accept other texts than digits.
        if not re.fullmatch(r"[0-9]{1,4}(x[0-9]{1,4})*", self.factors):
            raise ValueError
        return tuple(map(int, self.factors.split("x")))

    @property
    def is_counted(self) -> bool:
        """Whether the model is made of sparse counts alone, which no steps could train further."""
        return self.model == "ngram" and self.init == COUNTS and self.steps == 0

    def model_config(self, vocab_size: int, num_categories: int = 0) -> dict[str, Any]:
        """Return what :func:`namegen_ext.models.build_model` needs for these options.

        Args:
            vocab_size: V, the marks of categories among the symbols.
            num_categories: how many of the symbols are such marks. With them a context has one place more.

        Raises:
            ValueError: it is found by a search, as that of the mixture is.

        """
        spec = MODELS[self.model]
        if spec.found:
            raise ValueError(f"what model {self.model!r} is made of is found for each list: see namegen fit")
        options = {name: getattr(self, name) for name in spec.options}
        if self.model == "ngram" and not self.is_counted:  # a table, which can be trained
            del options["estimator"], options["smoothing"]
        block_size = self.block_size + (num_categories > 0)
        if "block_size" in options or (self.model == "bigram" and num_categories > 0):
            options["block_size"] = block_size
        if self.is_counted and num_categories > 0:
            options["category_newest"] = True
        if "factors" in options:
            options["factors"] = list(check_factors(self._factors(), block_size))
        return {"vocab_size": vocab_size, **options}

    def to_json(self) -> dict[str, Any]:
        """Return the options as a mapping that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, options: Mapping[str, Any]) -> TrainOptions:
        """Build the options from :meth:`to_json`; what is left out takes its default.

        Raises:
            OptionError: an option is unknown or out of range.

        """
        known = {field.name for field in fields(cls)}
        for name in options:
            if name not in known:
                raise OptionError(name, "there is no such option")
        return cls(**options)


def problem_with_categories(options: TrainOptions) -> str | None:
    """Say why a model cannot learn the names of several categories; return None where it can."""
    if "factors" in MODELS[options.model].options and options.factors != "auto":
        return f"the category has a place in the block: got --factors {options.factors}, expected auto"
    return None


def _list(names: Any) -> str:
    return ", ".join(names)


_TYPE_NAMES: dict[type, str] = {
    str: "a name",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
}

_CHOICES: dict[str, Any] = {
    "model": MODELS,
    "init": INITS,
    "norm": GPT_NORMS,
    "activation": GPT_ACTIVATIONS,
    "order": ORDERS,
    "batch_norm_variance": VARIANCES,
    "estimator": ESTIMATORS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "split": SPLITS,
}
