"""Reading metrics.jsonl."""

from __future__ import annotations

from pathlib import Path

import pytest

from namegen_ext.diagnostics import RunHistory, read_history
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.training import RunError

LINES = (
    '{"step": 1, "loss": 3.0, "learning_rate": 0.1, "update_to_data": {"a": -2.5, "b": null}}',
    '{"step": 10, "loss": 2.5, "learning_rate": 0.1, "update_to_data": {"a": -3, "b": -1.0}}',
    '{"step": 10, "dev_loss": 2.6, "unseen_dev_loss": null}',
    '{"step": 20, "loss": 2.25, "learning_rate": 0.01}',
    '{"step": 20, "train_loss": 2.2, "dev_loss": 2.5, "test_loss": null, "unseen_dev_loss": 2.7}',
)


def directory(tmp_path: Path, text: str) -> RunDirectory:
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    return RunDirectory(tmp_path)


def test_the_curves(tmp_path: Path) -> None:
    history = read_history(directory(tmp_path, "\n".join(LINES) + "\n"))
    assert history == RunHistory(
        train_loss=((1, 3.0), (10, 2.5), (20, 2.25)),
        dev_loss=((10, 2.6), (20, 2.5)),
        learning_rate=((1, 0.1), (10, 0.1), (20, 0.01)),
        update_ratios={"a": ((1, -2.5), (10, -3.0)), "b": ((10, -1.0),)},
    )


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    history = read_history(directory(tmp_path, LINES[0] + "\n" + LINES[1][:30]))
    assert history.train_loss == ((1, 3.0),)


def test_no_metrics(tmp_path: Path) -> None:
    empty = RunHistory((), (), (), {})
    assert read_history(RunDirectory(tmp_path)) == empty
    assert read_history(directory(tmp_path, "")) == empty


@pytest.mark.parametrize(
    "damaged",
    [
        "not JSON",
        "[1]",
        '{"loss": 3.0}',
        '{"step": true, "loss": 3.0}',
        '{"step": 1.5, "loss": 3.0}',
        '{"step": 1, "loss": "3"}',
        '{"step": 1, "update_to_data": [1]}',
        '{"step": 1, "update_to_data": {"a": "x"}}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, damaged: str) -> None:
    with pytest.raises(RunError, match=r"metrics\.jsonl: line 2 ") as caught:
        read_history(directory(tmp_path, f"{LINES[0]}\n{damaged}\n{LINES[3]}\n"))
    assert "\n" not in str(caught.value)
