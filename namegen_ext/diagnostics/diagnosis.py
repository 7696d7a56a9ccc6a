"""Everything that there is to see in a run, gathered as plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from namegen_ext.data import build_windows
from namegen_ext.data.characters import shown_end_marker
from namegen_ext.diagnostics.activations import ActivationStatistics, activation_statistics
from namegen_ext.diagnostics.bigrams import bigram_counts, next_symbol_probabilities, symbol_groups
from namegen_ext.diagnostics.diagnosed_examples import DEFAULT_EXAMPLES
from namegen_ext.diagnostics.embedding import EmbeddingMap, embedding_map
from namegen_ext.diagnostics.gradients import GradientStatistics, parameter_gradients
from namegen_ext.diagnostics.history import RunHistory, read_history
from namegen_ext.models.examples import build_examples
from namegen_ext.models.number_of_values import number_of_values
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.saved_run import Run

_MOST_SYMBOLS = 100  # rows of a table; more could not be told apart in a picture
OTHERS = "others"  # the row of all symbols that have none of their own
_MODEL_CONTEXTS = 20_000  # the model's bigram table is averaged over at most this many training contexts

Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Diagnosis:
    """What there is to see in a run.

    Attributes:
        model: the model's name, such as "mlp".
        recipe: the recipe it was trained by.
        data: the word list's name.
        layers: "stock" or "fused", as the model ran while it was looked at.
        fusion: which layers were fused and which were not, in words; empty for stock layers.
        step: number of steps that the model was trained for.
        parameters: number of trainable values.
        block_size: characters of context.
        words: number of training words.
        examples: how many training examples the activations and gradients come from. They are windows, or words for a
            model over sequences.
        vocab_size: number of symbols V, the end marker included.
        symbols: what the tables and the map show, with the end marker first: the vocabulary, or, where that has more
            than 100 symbols, the most frequent ones and then :data:`OTHERS` for all others together.
        activations: the statistics of each activation layer.
        gradients: the statistics of each parameter's gradient.
        embedding: the map of the symbols, without the others; None for a model without an embedding.
        bigram_counts: how often one symbol follows another in the training words; a row of counts for each of
            ``symbols``.
        model_bigrams: the model's probabilities of the next symbol after each symbol. A row is NaN where the symbol
            does not occur in the training words.
        is_bigram: whether the model sees only one symbol, so that ``model_bigrams`` describes it completely.
            Otherwise ``model_bigrams`` are averages over training contexts.
        history: the curves of metrics.jsonl.

    """

    model: str
    recipe: str
    data: str
    layers: str
    fusion: str
    step: int
    parameters: int
    block_size: int
    words: int
    examples: int
    vocab_size: int
    symbols: tuple[str, ...]
    activations: tuple[ActivationStatistics, ...]
    gradients: tuple[GradientStatistics, ...]
    embedding: EmbeddingMap | None
    bigram_counts: tuple[tuple[int, ...], ...]
    model_bigrams: Table
    is_bigram: bool
    history: RunHistory


def diagnose(run: Run, *, fused: bool = False, examples: int = DEFAULT_EXAMPLES, seed: int = 0) -> Diagnosis:
    """Look into a run: its history, its training words, and its model at work on a batch of them.

    Args:
        run: a loaded run. With ``fused`` its model is fused in place; otherwise the run is not changed.
        fused: whether to fuse the model first, as far as its layers can be fused.
        examples: how many training examples go through the model. They are drawn without replacement. Where there are
            fewer, all of them are taken.
        seed: the seed of that draw and of dropout.

    Raises:
        RunError: the run's words or metrics are missing or damaged. The message is one line that names the file.
        ValueError: ``examples`` is less than 1.

    """
    if examples < 1:
        raise ValueError(f"examples must be at least 1, but got {examples}")
    model, vocabulary, options = run.model, run.vocabulary, run.config.options
    history = read_history(RunDirectory(run.path))
    words = run.splits.train
    report = None
    if fused:
        from namegen_ext.fusion import fuse  # it needs the operators, which a look at stock layers does not

        report = fuse(model)
    device = _device_of(model)
    tokens, targets = build_examples(options.model, words, vocabulary, options.block_size)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))[:examples]  # (B,)
    batch = tokens[order].to(device), targets[order].to(device)  # (B, block_size), (B,) or (B, block_size)
    is_bigram = options.model == "bigram" or options.block_size == 1
    groups = symbol_groups(words, vocabulary, _MOST_SYMBOLS)  # (V,)
    shown, others = _shown_symbols(groups)
    contexts = shown[:, None].expand(-1, options.block_size)  # each once, at every place of the context
    if not is_bigram or others:
        windows, _ = build_windows(words, vocabulary, options.block_size)  # (n, block_size)
        drawn = torch.randperm(len(windows), generator=torch.Generator().manual_seed(seed))  # (n,)
        windows = windows[drawn[:_MODEL_CONTEXTS]]
        # Further contexts of a symbol change nothing in a bigram model. They are there for the other symbols' row.
        contexts = torch.cat([contexts, windows]) if is_bigram else windows
    symbols = (shown_end_marker(vocabulary.symbols), *vocabulary.symbols)
    return Diagnosis(
        model=options.model,
        recipe=run.config.recipe,
        data=run.config.data_name,
        layers="fused" if report is not None and report.fused else "stock",
        fusion="" if report is None else str(report),
        step=run.step,
        parameters=number_of_values(model),
        block_size=options.block_size,
        words=len(words),
        examples=len(batch[1]),
        vocab_size=len(vocabulary),
        symbols=(*(symbols[number] for number in shown.tolist()), *([OTHERS] if others else [])),
        activations=activation_statistics(model, *batch, seed=seed),
        gradients=parameter_gradients(model, *batch, seed=seed),
        embedding=_embedding_of(model, len(vocabulary), shown),
        bigram_counts=tuple(tuple(row) for row in bigram_counts(words, vocabulary, groups).tolist()),
        model_bigrams=_table(next_symbol_probabilities(model, contexts.to(device), len(vocabulary), groups)),
        is_bigram=is_bigram,
        history=history,
    )


def _shown_symbols(groups: Tensor) -> tuple[Tensor, bool]:
    """Return the symbols with a row of their own, int64 in the vocabulary's order, and whether there are others."""
    size = int(groups.max()) + 1
    others = len(groups) > size
    return (groups < size - others).nonzero()[:, 0], others


def _embedding_of(model: nn.Module, vocab_size: int, shown: Tensor) -> EmbeddingMap | None:
    found = embedding_map(model, vocab_size)
    return None if found is None else replace(found, points=tuple(found.points[i] for i in shown.tolist()))


def _table(values: Tensor) -> Table:
    return tuple(tuple(row) for row in values.tolist())


def _device_of(model: nn.Module) -> torch.device:
    tensors = [*model.parameters(), *model.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")
