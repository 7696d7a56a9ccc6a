"""How outcomes are told: the table, its Markdown, and JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from namegen_ext.reproduction import Check, Expectation, Outcome, Row
from namegen_ext.reproduction.outcome_tables import print_table, summarise, to_json, to_markdown


def make_outcome(recipe: str, verdict: str, note: str = "") -> Outcome:
    dev = Expectation("dev", 2.1, 2.07, 2.13)
    train = Expectation("train", 2.4540145, 2.4540135, 2.4540155)
    bound = Expectation("unseen_dev", None, 0.0, 2.2)
    return Outcome(
        row=Row(recipe, (dev, train, bound), note=note),
        backend="stock",
        steps=20_001,
        parameters=11_897,
        losses={"train": 2.45401402, "dev": 2.12344, "unseen_dev": None},
        checks=(Check(dev, 2.12344), Check(train, 2.45401402), Check(bound, None)),
        verdict=verdict,
        seconds=12.34,
        train_seconds=11.0,
        options={"seed": 42},
    )


OUTCOMES = [make_outcome("first", "ok", "a note"), make_outcome("second", "out of tolerance")]


def test_the_table_shows_every_figure() -> None:
    file = io.StringIO()
    print_table(OUTCOMES, Console(file=file, width=160))
    text = file.getvalue()
    for shown in ("first", "second", "20,001", "11,897", "2.1234", "dev 2.1000", "0.03", "12.3"):
        assert shown in text
    # What is exact is shown with as many digits as it is exact to.
    assert "train 2.4540145" in text
    assert "2.4540140" in text
    assert "below 2.2" in text
    assert "first: a note" in text


def test_markdown_has_a_line_for_each_figure() -> None:
    table, notes = to_markdown(OUTCOMES).split("\n\n")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert {len(line) for line in lines} == {11}
    assert [line[0] for line in lines[2:]] == ["`first`", "", "", "`second`", "", ""]
    assert lines[2][3:9] == ["2.4540", "2.1234", "-", "dev 2.1000", "2.1234", "0.03"]
    assert lines[3][6:9] == ["train 2.4540145", "2.4540140", "1e-06"]
    assert lines[4][6:9] == ["unseen dev", "-", "below 2.2"]
    assert notes == "- `first`: a note.\n"


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        (OUTCOMES[:1], "1 of 1 rows as published"),
        (OUTCOMES, "1 of 2 rows as published; not: second"),
    ],
)
def test_the_last_line(outcomes: list[Outcome], text: str) -> None:
    assert summarise(outcomes) == text


def test_json_holds_everything() -> None:
    content = json.loads(json.dumps(to_json(OUTCOMES[1]), allow_nan=False))
    assert content["name"] == "second"
    assert content["ok"] is False
    assert (content["train_loss"], content["dev_loss"]) == (2.45401402, 2.12344)
    assert content["unseen_dev_loss"] is None
    assert [check["ok"] for check in content["checks"]] == [True, True, False]
    assert content["checks"][0] == {
        "metric": "dev",
        "published": 2.1,
        "measured": 2.12344,
        "low": 2.07,
        "high": 2.13,
        "ok": True,
    }
    assert (content["seconds"], content["backend"], content["options"]) == (12.34, "stock", {"seed": 42})
