"""The flags of ``python -m namegen_ext.train``, and their messages about wrong values."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any

from namegen_ext.cli.parser import Parser, listing, number, one_of, path, whole_number
from namegen_ext.data import SPLITS, ListFormat
from namegen_ext.data.list_format import CASES, NORMAL_FORMS, is_comment_mark
from namegen_ext.models import MODELS
from namegen_ext.models.specs import ESTIMATORS, GPT_ACTIVATIONS, GPT_NORMS
from namegen_ext.nn.variances import VARIANCES
from namegen_ext.options.checkpoint_interval import CheckpointInterval
from namegen_ext.options.choices import FUSED_CHOICES, INITS, KEPT_MODELS, OPTIMIZERS, ORDERS
from namegen_ext.options.limits import LIMITS, MOST_STEPS
from namegen_ext.options.ranges import THREADS, Numbers, WholeNumbers, shown
from namegen_ext.options.recipes import ADAMW_LEARNING_RATE, DEFAULT_RECIPE, MODEL_DEFAULTS, RECIPES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.schedules import SCHEDULES
from namegen_ext.options.train_options import TrainOptions

DEFAULT_DATA = "census"
DEFAULT_DEVICE = "cpu"

_DESCRIPTION = """\
Train a name generator on a list of words and write a run directory: config.json, model.safetensors,
metrics.jsonl, summary.json, and checkpoints/, from which --resume goes on with the same bits. Ctrl-C and
SIGTERM end the run cleanly: it is saved, evaluated, and can be resumed; so it can after a kill or a crash,
from its last checkpoint. Exit status: 0; 1 when training diverged or a file could not be written; 2 for a
wrong argument; 130 after Ctrl-C, 143 after SIGTERM."""


def flag_of(option: str) -> str:
    """Return the flag of an option of TrainOptions: ``--batch-size`` of ``batch_size``."""
    return "--" + option.replace("_", "-")


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Build the parser. An option of TrainOptions or RunSettings that is not given is absent from its result."""
    recipes = listing({recipe.name: recipe.summary for recipe in RECIPES.values()})
    models = listing({spec.name: spec.summary for spec in MODELS.values()})
    parser = Parser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=f"models:{models}\n\nrecipes (flags given beside one override it):{recipes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_run_flags(parser)
    add_format_flags(parser)
    _add_model_flags(parser)
    _add_optimization_flags(parser)
    return parser


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of TrainOptions that were given on the command line."""
    names = [field.name for field in fields(TrainOptions)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of RunSettings that were given on the command line."""
    names = [field.name for field in fields(RunSettings)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def given_format(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of ListFormat that were given on the command line."""
    names = [field.name for field in fields(ListFormat)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def _add_run_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    add = group.add_argument
    add(
        "--recipe",
        nargs="?",
        const="",  # without a name, the error lists the recipes
        metavar="NAME",
        help=f"a named set of options, see below (default: {DEFAULT_RECIPE})",
    )
    add(
        "--data",
        nargs="+",
        action="extend",
        metavar="[CATEGORY=]census|surnames|makemore|PATH|-",
        help=f"word list: one that comes with the package, the makemore names (downloaded once), a UTF-8 "
        f"file with a word on each line, a table (.csv, .tsv), either of them packed by gzip, or - for standard input; "
        f"several make one list (default: {DEFAULT_DATA})",
    )
    add(
        "--fused",
        nargs="?",
        const="auto",
        type=one_of(FUSED_CHOICES),
        metavar="|".join(FUSED_CHOICES),
        help="run on the fused kernels: whole native steps, fused layers, or the fastest of them that can be "
        "had; --fused alone means auto; off: the stock torch.nn layers (default: off)",
    )
    add(
        "--device",
        type=one_of(("cpu", "cuda", "auto")),
        metavar="cpu|cuda|auto",
        help=f"where to train; auto takes CUDA where there is a device (default: {DEFAULT_DEVICE})",
    )
    add_threads(group)
    add("--out", type=path, metavar="DIR", help="new run directory (default: runs/MODEL-DATA-NUMBER)")
    add(
        "--resume",
        type=path,
        metavar="DIR",
        help="go on with a run that was stopped, as if it had not been; it keeps its options and settings, of which "
        "some may be given anew: --steps, --fused, --device and what is told and saved (default: a new run)",
    )
    add_option(group, "seed", "of the initial weights and the minibatches")
    add_option(group, "split_seed", "of the split into train, dev and test")
    add_option(
        group,
        "split",
        "train, dev and test in percent; makemore: as makemore.py, 1,000 to test and none for dev; all: to train",
        choices=SPLITS,
    )
    _setting(
        group,
        "log_every",
        "a line in metrics.jsonl every N steps",
        type=whole_number(WholeNumbers(1, MOST_STEPS)),
        metavar="N",
    )
    _setting(
        group,
        "eval_every",
        "evaluate on dev, and save, every N steps, and before that after a half, a quarter and so on of N, down to 100;"
        " 0: only at the end",
        type=whole_number(WholeNumbers(0, MOST_STEPS)),
        metavar="N",
    )
    _setting(
        group,
        "keep",
        "which model model.safetensors holds: the one with the least dev loss at an evaluation, or that of the last"
        " step",
        type=one_of(KEPT_MODELS),
        metavar="|".join(KEPT_MODELS),
    )
    _setting(
        group,
        "patience",
        "end once N evaluations in a row brought no lower dev loss, "
        f"{WholeNumbers(0, MOST_STEPS).limits}; 0: never",
        type=whole_number(WholeNumbers(0, MOST_STEPS)),
        metavar="N",
    )
    _setting(
        group,
        "checkpoint_every",
        "save also every N steps or S seconds, so that at most the work since is ever lost; 0: not besides",
        type=_interval,
        metavar="N|Ss",
    )
    _setting(
        group,
        "record_updates",
        "with each line in metrics.jsonl, also how large the last step's updates were against the "
        "parameters, for `namegen plot`",
        action=argparse.BooleanOptionalAction,
    )
    _setting(
        group,
        "tensorboard",
        "write the metrics, and a few names at each evaluation, for TensorBoard too, to DIR/tensorboard",
        action=argparse.BooleanOptionalAction,
    )
    _setting(
        group,
        "samples",
        "how many names to generate at the end",
        type=whole_number(WholeNumbers(0, 10_000)),
        metavar="N",
    )


def add_format_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ListFormat."""
    group = parser.add_argument_group("the word list")
    column = "its name in the header, or its number from 1"
    _format(
        group,
        "column",
        f"the words are this column of a table: {column}",
        type=_column,
        metavar="NAME|NUMBER",
        default='the one called "name" or the like, else the first',
    )
    _format(
        group,
        "count_column",
        f"each word counts as often as this column of a table says: {column}; minibatches are drawn and n-grams are"
        " counted by it",
        type=_column,
        metavar="NAME|NUMBER",
        default="once each",
    )
    _format(
        group,
        "category_column",
        f"the category of each word is in this column of a table: {column}; one model learns all categories, and sample"
        " --category draws names of one; the same as several --data CATEGORY=FILE",
        type=_column,
        metavar="NAME|NUMBER",
        default="no categories",
    )
    _format(
        group,
        "comment",
        "lines that begin with this, such as '#', are passed over",
        type=_comment,
        metavar="C",
        default="none",
    )
    _format(
        group,
        "case",
        "lower: words are learnt and drawn in lower case; title: they are learnt so, and drawn with capital initials",
        type=one_of(CASES),
        metavar="|".join(CASES),
        default=ListFormat.case,
    )
    _format(
        group,
        "normalize",
        "the Unicode normal form that words are brought to; nfkc also replaces compatible characters",
        type=one_of(NORMAL_FORMS),
        metavar="|".join(NORMAL_FORMS),
        default=ListFormat.normalize,
    )
    rare = WholeNumbers(0, 10**9)
    _format(
        group,
        "rare",
        f"leave out the words with a character that fewer than N words have, {rare.limits}; which, is said",
        type=whole_number(rare),
        metavar="N",
        default=ListFormat.rare,
    )


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the model")
    add_option(group, "model", "which model", choices=MODELS)
    add_option(group, "block_size", "characters of context")
    add_option(group, "embedding_dim", "length of a character's embedding")
    add_option(group, "hidden_size", "width of each hidden layer")
    add_option(group, "num_hidden_layers", "number of hidden layers")
    _flag(group, "batch_norm", "batch-normalise the hidden layers")
    add_option(
        group,
        "batch_norm_variance",
        "which variance of a batch it is divided by",
        choices=VARIANCES,
    )
    _flag(group, "hidden_bias", "biases in the hidden linear layers of mlp and wavenet")
    add_option(
        group,
        "factors",
        "how many neighbours each level of wavenet joins, as in 2x2x2; auto: the block size's prime factors",
        metavar="NxN...",
    )
    add_option(group, "num_layers", "number of blocks of gpt")
    add_option(group, "num_heads", "heads of each attention of gpt")
    add_option(group, "dropout", "share of gpt's values dropped in training")
    _flag(group, "tied", "one weight for gpt's token embedding and its head")
    add_option(
        group,
        "norm",
        "of gpt: layer norm, or rms: the root of the mean square alone, without weight and bias",
        choices=GPT_NORMS,
    )
    add_option(group, "activation", "of gpt's wide networks", choices=GPT_ACTIVATIONS)
    _flag(group, "biases", "biases in gpt's linear layers and layer norms")
    _flag(group, "final_norm", "a norm before gpt's head")
    _flag(group, "embedding_norm", "a norm before gpt's first block")
    add_option(
        group,
        "init",
        "initialisation of the weights; counts, for bigram and ngram, sets them from the training names; microgpt, for"
        " gpt, draws them as that program does",
        choices=INITS,
    )
    add_option(group, "estimator", "how counts become probabilities", choices=ESTIMATORS)
    add_option(group, "smoothing", "the k of add-k")
    add_option(group, "budget", "seconds for the search for a mixture; 0: as suits the list")
    _flag(group, "refit", "train the mixture that was found on all names in the end")


def _add_optimization_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the optimization")
    add_option(group, "steps", "number of steps")
    add_option(group, "batch_size", "examples in a step")
    add_option(
        group,
        "order",
        "how they are drawn: with replacement; shuffled: each once, in random order, before any comes again; in-order:"
        " as the split has them",
        choices=ORDERS,
    )
    _flag(group, "full_batch", "all examples in each step instead")
    add_option(group, "optimizer", "which optimizer", choices=OPTIMIZERS)
    add_option(group, "learning_rate", f"of the first step; with adamw the default is {ADAMW_LEARNING_RATE}")
    add_option(group, "final_learning_rate", "where the schedule ends")
    add_option(
        group,
        "schedule",
        "constant; two-step: the final rate from --switch-at on; linear: a straight line to the final rate; cosine: "
        "half a cosine to it",
        choices=SCHEDULES,
    )
    add_option(group, "switch_at", "where two-step changes the rate, as a share of the steps")
    add_option(group, "warmup", "first steps, in which the rate rises to --learning-rate")
    add_option(group, "clip_grad_norm", "scale gradients down whose global norm is above this; 0: never")
    add_option(
        group,
        "ema",
        "decay of a moving average of the weights, evaluated and saved beside them as ema.safetensors; 0: none",
    )
    add_option(group, "momentum", "of sgd")
    _flag(group, "nesterov", "Nesterov's form of the momentum")
    add_option(group, "weight_decay", "added to the gradient by sgd, decoupled from it by adamw")
    add_option(group, "beta1", "of adamw")
    add_option(group, "beta2", "of adamw")


def _setting(group: Any, name: str, description: str, **arguments: Any) -> None:
    """Add the flag of a setting of RunSettings."""
    default = getattr(RunSettings, name)
    default = "off" if default is False else default
    group.add_argument(
        flag_of(name), default=argparse.SUPPRESS, help=f"{description} (default: {default})", **arguments
    )


def add_threads(group: Any) -> None:
    """Add the flag of the number of threads."""
    group.add_argument(
        "--threads",
        type=whole_number(THREADS),
        metavar="N",
        default=argparse.SUPPRESS,
        help="CPU threads of torch; more than one pays for large batches only"
        f" (default: {RunSettings.threads})",
    )


def _format(group: Any, name: str, description: str, *, default: object, **arguments: Any) -> None:
    """Add the flag of a field of ListFormat."""
    group.add_argument(
        flag_of(name), default=argparse.SUPPRESS, help=f"{description} (default: {default})", **arguments
    )


def add_option(
    group: Any, name: str, description: str, *, choices: Collection[str] = (), metavar: str | None = None
) -> None:
    """Add the flag of an option of TrainOptions, which also checks the value's range."""
    allowed = LIMITS.get(name)
    parse: Callable[[str], Any] = str
    if isinstance(allowed, WholeNumbers):
        parse, metavar = whole_number(allowed), "N"
    elif isinstance(allowed, Numbers):
        parse, metavar = number(allowed), "X"
    elif choices:
        parse, metavar = one_of(choices), "|".join(choices)
    limits = "" if allowed is None else f", {allowed.limits}"
    group.add_argument(
        flag_of(name),
        type=parse,
        default=argparse.SUPPRESS,
        metavar=metavar,
        help=f"{description}{limits} (default: {_defaults(name)})",
    )


def _defaults(name: str) -> str:
    """Say the default of an option, and those of the models that have another one."""
    usual = getattr(TrainOptions, name)
    texts = [_shown_default(usual)]
    for model, options in MODEL_DEFAULTS.items():
        if not MODELS[model].found and options.get(name, usual) != usual:
            texts.append(f"{model} {_shown_default(options[name])}")
    return "; ".join(texts)


def _shown_default(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _flag(group: Any, name: str, description: str) -> None:
    """Add the two flags, --NAME and --no-NAME, of an option of TrainOptions that is true or false."""
    group.add_argument(
        flag_of(name),
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help=f"{description} (default: {_defaults(name)})",
    )


def _column(text: str) -> str:
    if not text.strip() or not text.isprintable():
        expected = "expected the name of a column, or its number from 1"
        raise argparse.ArgumentTypeError(f"got {shown(text)}, {expected}")
    return text


def _comment(text: str) -> str:
    if not is_comment_mark(text):
        raise argparse.ArgumentTypeError(f"got {shown(text)}, expected a few characters such as #")
    return text


def _interval(text: str) -> CheckpointInterval:
    try:
        return CheckpointInterval.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
