"""All charts: which there are, and that nothing in them overlaps or is cut off."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from namegen_bench.reporting.charts.all_charts import all_charts
from namegen_bench.reporting.charts.chart import compose, render
from namegen_bench.reporting.charts.look import DARK, LIGHT, THEMES, Theme, chart_style
from namegen_bench.reporting.results import Result

pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing can be drawn")

ALL = [
    "training-step",
    "training-step-other",
    "time-to-loss",
    "sampling",
    "scaling-batch",
    "scaling-hidden",
    "scaling-threads",
    "scaling-memory",
    "operators",
    "operators-time",
    "operators-memory",
    "gpu-operators",
]


def texts_of(results: list[Result], name: str) -> list[str]:
    """All the text in a chart."""
    (chart,) = (chart for chart in all_charts(results) if chart.name == name)
    with chart_style(LIGHT):
        figure = compose([chart], LIGHT)
        figure.draw_without_rendering()
        return [text for text, _ in written(figure)]


def written(figure: object) -> list[tuple[str, object]]:
    """Each text that can be seen in a drawn figure, with its box in pixels."""
    from matplotlib.text import Text

    found = []
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and (text.axes is None or text.axes.axison):
            found.append((text.get_text(), text.get_window_extent()))
    return found


def ticks_in_view(figure: object) -> None:
    """Take away the labels of ticks that lie outside of their axes, which are never drawn."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                tick.label1.set_visible(low <= tick.get_loc() <= high)


def test_there_is_a_chart_of_everything(results: list[Result]) -> None:
    assert [chart.name for chart in all_charts(results)] == ALL
    assert not all_charts([])


@pytest.mark.parametrize("name", ALL)
def test_no_text_overlaps_another_or_is_cut_off(results: list[Result], name: str) -> None:
    (chart,) = (chart for chart in all_charts(results) if chart.name == name)
    with chart_style(LIGHT):
        figure = compose([chart], LIGHT)
        figure.draw_without_rendering()
        ticks_in_view(figure)
        texts = written(figure)
        assert len(texts) > 8
        width, height = figure.bbox.width, figure.bbox.height
        for text, box in texts:
            assert min(box.x0, box.y0) >= 0, text
            assert (max(box.x1, width), max(box.y1, height)) == (width, height), text
        for (text, box), (other, other_box) in itertools.combinations(texts, 2):
            assert not box.padded(-0.5).overlaps(other_box.padded(-0.5)), (text, other)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_same_results_give_the_same_bytes(results: list[Result], theme: Theme) -> None:
    for file_format in ("svg", "png"):
        first, second = (render(all_charts(results)[:2], theme, file_format) for _ in range(2))
        assert first == second


def test_an_svg_says_in_words_what_it_shows_and_is_small(results: list[Result]) -> None:
    for chart in all_charts(results):
        svg = render([chart], DARK, "svg")
        assert len(svg) < 60_000, chart.name
        title, description = ET.fromstring(svg)[:2]
        assert (title.text, description.text) == (chart.title, chart.alt)
        assert chart.title in chart.alt or len(chart.alt) > 40


def test_steps_are_those_of_one_thread(results: list[Result]) -> None:
    # Made up: (100 + batch) microseconds at one thread, half as much at two; the engine takes a fifth.
    texts = texts_of(results, "training-step")
    assert {"132 µs", "26.4 µs   5.0×", "1.12 ms", "225 µs   5.0×"} <= set(texts)
    assert any("one thread" in text for text in texts)
    assert not any("best of" in text for text in texts)
    assert "GPT, batch 32" in texts_of(results, "training-step-other")


def test_the_speedup_of_an_operator(results: list[Result]) -> None:
    # Made up: the fused layers take 0.7 of the time, the operator alone 1.1.
    texts = texts_of(results, "operators")
    assert texts.count("1.4×") == 3
    assert texts.count("0.91×") == 3


def test_names_per_second(results: list[Result]) -> None:
    texts = texts_of(results, "sampling")
    assert "111,000" in texts  # 9 microseconds a name
    assert "556,000   5.0×" in texts


def test_a_peer_without_a_look_of_its_own_is_drawn_under_its_name(make_result: Callable[..., Result]) -> None:
    results = [make_result(peer, batch=batch) for peer in ("stock", "tinygrad") for batch in (32, 1024)]
    assert "tinygrad" in texts_of(results, "training-step")


def test_what_another_machine_measured_is_left_out(make_result: Callable[..., Result]) -> None:
    old = [
        make_result(peer, batch=batch, cpu="Old CPU") for peer in ("stock", "numpy") for batch in (32, 1024)
    ]
    new = [make_result(batch=batch) for batch in (32, 1024)]
    texts = texts_of(old + new, "training-step")
    assert "numpy" not in texts
    assert not any("Old CPU" in text for text in texts)
