"""A smaller SVG file draws the same: every letter, mark and path is followed to where it ends up."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import pytest

from namegen_bench.reporting.charts.all_charts import all_charts
from namegen_bench.reporting.charts.chart import compose
from namegen_bench.reporting.charts.compact_svg import compact_svg
from namegen_bench.reporting.charts.look import LIGHT, chart_style
from namegen_bench.reporting.results import Result

pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing can be drawn")

SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
Point = tuple[float, float]


def drawn(svg: bytes) -> list[tuple[str, list[Point]]]:
    """Everything that is drawn, in order: its style, and where its points lie in the picture."""
    root = ET.fromstring(svg)
    by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
    found: list[tuple[str, list[Point]]] = []

    def walk(element: ET.Element, style: str, x: float, y: float, a: float, b: float) -> None:
        if element.tag in (SVG + "defs", SVG + "title", SVG + "desc", SVG + "metadata"):
            return
        for kind, values in re.findall(r"(\w+)\(([^)]*)\)", element.get("transform", "")):
            first, *rest = map(float, values.split())
            if kind == "translate":
                x, y = x + a * first, y + b * (rest[0] if rest else 0)
            else:
                assert kind == "scale"
                a, b = a * first, b * (rest[0] if rest else first)
        style = element.get("style", style).replace(" ", "")
        style = re.sub(r"url\([^)]*\)", "url", style)  # what a hatch is called is no matter
        if element.tag == SVG + "use":
            x, y = x + a * float(element.get("x", 0)), y + b * float(element.get("y", 0))
            walk(by_id[(element.get(HREF) or element.get("href"))[1:]], style, x, y, a, b)
        elif element.tag == SVG + "path":
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", element.get("d", ""))]
            points = [(x + a * u, y + b * v) for u, v in zip(numbers[::2], numbers[1::2], strict=True)]
            if points:  # spaces have none
                found.append((style, points))
        for child in element:
            walk(child, style, x, y, a, b)

    walk(root, "", 0, 0, 1, 1)
    return found


@pytest.mark.parametrize("number", range(12))
def test_everything_is_where_it_was(results: list[Result], number: int) -> None:
    chart = all_charts(results)[number]
    with chart_style(LIGHT):
        buffer = io.BytesIO()
        compose([chart], LIGHT).savefig(buffer, format="svg")
    before, after = drawn(buffer.getvalue()), drawn(compact_svg(buffer.getvalue(), "title", "words"))
    assert len(before) == len(after) > 200
    for (style, points), (other_style, other_points) in zip(before, after, strict=True):
        assert style == other_style
        assert len(points) == len(other_points)
        # Letters are at most 12 points high. Their outlines are rounded to 16/64 of a hundredth of that, their
        # places in the line to a hundredth, half of a unit at most: 0.015 and 0.06 points. Places of lines of
        # text are rounded to 0.001, paths to 0.01.
        for point, other in zip(points, other_points, strict=True):
            assert point == pytest.approx(other, abs=0.015 + 0.06 + 0.0005)


def test_it_is_smaller_and_its_references_lead_somewhere(results: list[Result]) -> None:
    with chart_style(LIGHT):
        buffer = io.BytesIO()
        compose(all_charts(results), LIGHT).savefig(buffer, format="svg")
    compact = compact_svg(buffer.getvalue(), "a < b", "words")
    assert len(compact) < 0.5 * len(buffer.getvalue())
    names = re.findall(r' id="([^"]*)"', compact.decode())
    assert len(names) == len(set(names))
    referenced = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', compact.decode()))
    assert {one or other for one, other in referenced} <= set(names)
    assert ET.fromstring(compact)[0].text == "a < b"
