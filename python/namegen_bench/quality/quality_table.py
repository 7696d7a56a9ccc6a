"""The table of ``bench quality``: a line for each list, means over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from namegen_bench.quality.quality_models import FIT, QUALITY_MODELS, SINGLE_MODELS
from namegen_bench.quality.quality_runs import QualityRow


@dataclass(frozen=True)
class ListResult:
    """What was measured on one list.

    Attributes:
        list_name: of the list.
        names: how many it has.
        by_model: means over the seeds, by model.

    """

    list_name: str
    names: int
    by_model: dict[str, QualityRow]

    @property
    def best_single(self) -> QualityRow | None:
        """The model of the ladder with the least test loss."""
        singles = [self.by_model[name] for name in SINGLE_MODELS if name in self.by_model]
        return min(singles, key=lambda row: row.test_loss, default=None)

    @property
    def gain(self) -> float | None:
        """How much lower the loss of ``fit`` is than that of the best single model."""
        best, fit = self.best_single, self.by_model.get(FIT)
        return None if best is None or fit is None else best.test_loss - fit.test_loss


def list_results(rows: Sequence[QualityRow]) -> list[ListResult]:
    """Take the means over the seeds; the lists by their size."""
    results = []
    for list_name in dict.fromkeys(row.list_name for row in rows):
        of_list = [row for row in rows if row.list_name == list_name]
        by_model = {}
        for model in QUALITY_MODELS:
            own = [row for row in of_list if row.model == model.name]
            if own:
                by_model[model.name] = QualityRow(
                    list_name=list_name,
                    names=own[0].names,
                    seed=0,
                    model=model.name,
                    test_loss=fmean(row.test_loss for row in own),
                    copies=fmean(row.copies for row in own),
                    near_copies=fmean(row.near_copies for row in own),
                    seconds=fmean(row.seconds for row in own),
                    processor_seconds=fmean(row.processor_seconds for row in own),
                )
        results.append(ListResult(list_name, of_list[0].names, by_model))
    return sorted(results, key=lambda result: (result.names, result.list_name))


def markdown_table(results: Sequence[ListResult]) -> str:
    """Write test losses, copies and near copies as a Markdown table, and a last line of means."""
    models = [model for model in QUALITY_MODELS if any(model.name in result.by_model for result in results)]
    head = [
        "list",
        "names",
        *(model.label for model in models),
        "gain",
        "copies",
        "near",
        "seconds",
        "of a core",
    ]
    lines = [_line(head), _line(["---", *["--:"] * (len(head) - 1)])]
    for result in results:
        best = min(row.test_loss for row in result.by_model.values())
        cells = [result.list_name.replace("_", " "), f"{result.names:,}"]
        for model in models:
            row = result.by_model.get(model.name)
            text = "" if row is None else f"{row.test_loss:.3f}"
            cells.append(f"**{text}**" if row is not None and row.test_loss == best else text)
        fit = result.by_model.get(FIT)
        cells.append("" if result.gain is None else f"{result.gain:.3f}")
        cells += (
            [""] * 4
            if fit is None
            else [
                f"{fit.copies:.1%}",
                f"{fit.near_copies:.1%}",
                f"{fit.seconds:.1f}",
                f"{fit.processor_seconds:.1f}",
            ]
        )
        lines.append(_line(cells))
    lines.append(_line(["mean", "", *_means(results, [model.name for model in models])]))
    return "\n".join(lines)


def _means(results: Sequence[ListResult], models: Sequence[str]) -> list[str]:
    def mean(values: list[float], form: str) -> str:
        return format(fmean(values), form) if len(values) == len(results) else ""

    losses = [
        mean([result.by_model[name].test_loss for result in results if name in result.by_model], ".3f")
        for name in models
    ]
    fits = [result.by_model[FIT] for result in results if FIT in result.by_model]
    gains = [result.gain for result in results if result.gain is not None]
    return [
        *losses,
        mean(gains, ".3f"),
        mean([row.copies for row in fits], ".1%"),
        mean([row.near_copies for row in fits], ".1%"),
        mean([row.seconds for row in fits], ".1f"),
        mean([row.processor_seconds for row in fits], ".1f"),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
