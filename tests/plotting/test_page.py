"""The page: whole, self-contained, and safe against what stands in a run."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from namegen_ext.diagnostics import Diagnosis
from namegen_ext.plotting import NumberTable, Picture, render_page

PNG = b"\x89PNG\r\n\x1a\nmade up"
HOSTILE = "<script>alert(\"1\")</script>&amp;' onerror='x"
VOID = {"meta", "img", "source"}


class Reader(HTMLParser):
    """Reads a page strictly: every tag closed, in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for own, attributes in self.tags if own == tag]


@pytest.fixture
def picture() -> Picture:
    table = NumberTable(("layer", "mean"), (("net.0", "0.1"), (HOSTILE, "0.2")))
    return Picture("loss", "Loss", f"alt {HOSTILE}", f"Read {HOSTILE}.", PNG, table)


def test_pictures_stand_in_the_page(diagnosis: Diagnosis, picture: Picture) -> None:
    page = Reader(render_page(diagnosis, [picture, replace(picture, name="other")], ["Gradients: none."]))
    images = page.all("img")
    assert len(images) == 2
    for image in images:
        source = image["src"]
        assert source is not None
        kind, data = source.split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data, validate=True) == PNG
        assert image["alt"] == picture.alt
    text = "".join(page.texts)
    assert picture.how_to_read in text
    assert "Gradients: none." in text
    assert {link["href"] for link in page.all("a")} == {"#loss", "#other"}
    assert {section["id"] for section in page.all("section")} == {"loss", "other"}


def test_nothing_is_fetched_and_no_script_runs(diagnosis: Diagnosis, picture: Picture) -> None:
    hostile = replace(diagnosis, data=HOSTILE, recipe=HOSTILE, fusion=HOSTILE)
    text = render_page(hostile, [picture], [HOSTILE])
    page = Reader(text)
    assert not {"script", "link", "b", "iframe"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not re.search(r"https?:|@import|url\(", text)
    # Title, heading, facts (twice), the sentence, the caption, the table's cell, what was fused.
    assert "".join(page.texts).count(HOSTILE) == 8


def test_names_stand_first(diagnosis: Diagnosis, picture: Picture) -> None:
    text = render_page(diagnosis, [picture], [], [HOSTILE, "anna"])
    assert text.index("<bdi>anna</bdi>") < text.index("<table>")
    assert HOSTILE not in text
    assert 'id="names"' not in render_page(diagnosis, [picture], [])


def test_dark_pages_and_phones_have_pictures_of_their_own(diagnosis: Diagnosis, picture: Picture) -> None:
    others = {"dark": b"dark", "phone": b"phone", "phone dark": b"both"}
    page = Reader(render_page(diagnosis, [replace(picture, others=others)], []))
    found = [(one["media"], base64.b64decode(str(one["srcset"]).split(",")[1])) for one in page.all("source")]
    # The first query that holds is taken.
    assert found == [
        ("(max-width: 40rem) and (prefers-color-scheme: dark)", b"both"),
        ("(max-width: 40rem)", b"phone"),
        ("(prefers-color-scheme: dark)", b"dark"),
    ]


def test_light_and_dark(diagnosis: Diagnosis, picture: Picture) -> None:
    text = render_page(diagnosis, [picture], [])
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert '<meta charset="utf-8">' in text


def test_what_was_fused_is_told(diagnosis: Diagnosis, picture: Picture) -> None:
    assert "Fused layers" not in render_page(diagnosis, [picture], [])
    fused = replace(diagnosis, layers="fused", fusion="1 site fused")
    assert "1 site fused" in render_page(fused, [picture], [])
