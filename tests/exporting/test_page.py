"""The exported page in a browser, as a user meets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from namegen_ext.data import load_words
from namegen_ext.exporting.packing import ALPHABET
from namegen_ext.fit_names import fit
from namegen_ext.generator import Generator

_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_PHONE, _DESKTOP = {"width": 360, "height": 780}, {"width": 1280, "height": 900}
_MOST_BYTES = 200_000  # more than the weights


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser without a window: playwright's own, else that of the system."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with playwright.sync_playwright() as driver:
        path: str | None = driver.chromium.executable_path
        if path is None or not Path(path).is_file():
            path = next((found for found in map(shutil.which, _BROWSERS) if found), None)
        if path is None:
            pytest.skip(
                "needs Chromium: apt-get install chromium-headless-shell, or playwright install chromium"
            )
        running = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Export a generator and open the page; what goes wrong in it, or asks the net, fails the test."""
    contexts, problems = [], []

    def show(generator: Generator, address: str = "#seed=7", **options: Any) -> Any:
        generator.export(tmp_path / "names.html")
        context = browser.new_context(accept_downloads=True, **{"viewport": _DESKTOP, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else problems.append(request.url)
            ),
        )
        page.goto((tmp_path / "names.html").as_uri() + address)
        page.wait_for_selector("#names li, #status:not(:empty)")
        return page

    yield show
    for context in contexts:
        context.close()
    assert problems == []


def names_of(page: Any) -> list[str]:
    return page.locator("#names bdi").all_text_contents()


def has_names(page: Any, count: int) -> None:
    page.wait_for_function(f"document.querySelectorAll('#names li').length === {count}")


def test_names_are_there_at_once_and_are_those_of_python(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    generator = generator_of("mixture")
    page = open_page(generator)
    assert names_of(page) == generator.sample(24, seed=7)


def test_names_are_there_within_half_a_second(open_page: Callable[..., Any]) -> None:
    page = open_page(fit(load_words("census").words, model="gpt", steps=1))  # 204,544 parameters
    milliseconds = []
    for _ in range(5):  # the quickest of them, as other work may hold up any one
        page.reload()
        page.wait_for_selector("#names li")
        # Since the page was asked for.
        milliseconds.append(page.evaluate("performance.getEntriesByName('names')[0].startTime"))
    assert min(milliseconds) < 500, milliseconds


def test_more_names_by_click_and_by_space(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    generator = generator_of("mlp")
    page = open_page(generator)
    page.click("#more")
    has_names(page, 48)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    has_names(page, 72)
    assert names_of(page) == generator.sample(72, seed=7)
    assert "n=72" in page.url
    page.focus("#prefix")
    page.keyboard.type(" ")  # a space in a field is a space
    assert page.input_value("#prefix") == " "


def test_what_is_asked_for_stands_in_the_address(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    generator = generator_of("witten-bell")
    page = open_page(generator)
    page.fill("#prefix", "ba")
    page.fill("#suffix", "a")
    page.fill("#without", "k")
    page.fill("#maxLength", "6")
    page.check("#novel")
    page.locator("#temperature").fill("1.5")
    page.wait_for_function("document.querySelectorAll('#names li').length > 3")
    page.wait_for_timeout(300)
    found = names_of(page)
    known = {*generator.splits.train, *generator.splits.dev, *generator.splits.test}
    for name in found:
        assert name.startswith("ba")
        assert name.endswith("a")
        assert "k" not in name
        assert len(name) <= 6
        assert name not in known
    other = open_page(generator, page.url[page.url.index("#") :])
    other.wait_for_function(f"document.querySelectorAll('#names li').length === {len(found)}")
    assert names_of(other) == found
    assert other.input_value("#suffix") == "a"
    assert other.is_checked("#novel")


def test_a_category_is_chosen_and_stands_in_the_address(
    open_page: Callable[..., Any], categories_of: Callable[[str], Generator]
) -> None:
    generator = categories_of("mlp")
    page = open_page(generator)
    assert page.is_visible("#category")
    assert names_of(page) == generator.sample(24, seed=7)
    page.select_option("#category", "orc")
    page.wait_for_function("location.hash.includes('category=orc')")
    page.wait_for_timeout(200)
    assert names_of(page) == generator.sample(24, seed=7, category="orc")
    other = open_page(generator, "#seed=7&category=ent")
    other.wait_for_selector("#status:has-text('Category must be one of dwarf, elf, orc')")


def test_a_list_without_categories_offers_none(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    assert not open_page(generator_of("mlp")).is_visible("#category")


def test_a_new_seed_gives_other_names(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    page = open_page(generator_of("mlp"))
    before = names_of(page)
    page.click("#anew")
    page.wait_for_function("document.querySelector('#seed').value !== '7'")
    page.wait_for_timeout(200)
    assert names_of(page) != before
    assert names_of(page) == generator_of("mlp").sample(24, seed=int(page.input_value("#seed")))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#seed=1&prefix=xyz", "Prefix must be of letters that the model knows"),
        ("#seed=1&minLength=9&maxLength=3", "MinLength must be at most maxLength 3"),
        ("#seed=99999999999999999999", "Seed must be a whole number"),
        ("#seed=1&maxLength=1000000", "MaxLength must be a whole number"),
    ],
)
def test_what_cannot_be_is_said(
    address: str, said: str, open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    page = open_page(generator_of("mlp"), address)
    page.wait_for_function("document.querySelector('#status').textContent !== ''")
    assert said in page.text_content("#status")
    assert page.locator("[aria-invalid=true]").count() == 1


def test_what_is_hard_to_find_is_given_up_and_said(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    page = open_page(generator_of("mlp"), "#seed=1&prefix=bababa&suffix=ododo&without=u")
    page.wait_for_selector("#status:has-text('Found')", timeout=30_000)
    assert "names drawn are as asked for" in page.text_content("#status")


def test_a_name_is_looked_at_letter_by_letter(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    generator = generator_of("mlp")
    page = open_page(generator)
    page.locator("#names button").first.click()
    first = names_of(page)[0]
    assert page.input_value("#typed") == first
    assert page.locator("#letters .letter").all_text_contents() == [*first, "end"]
    assert f"{generator.nll([first]):.2f} a letter" in page.text_content("#verdict")
    page.fill("#typed", "q")
    assert "has never seen \u201cq\u201d" in page.text_content("#verdict")
    page.fill("#typed", "")
    assert page.text_content("#verdict") == ""


def test_a_name_is_written_by_picking(
    open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    page = open_page(generator_of("mlp"))
    page.focus("#typed")
    page.keyboard.press("Tab")
    page.keyboard.press(
        "Enter"
    )  # the likeliest first letter, or the end of an empty name, which adds nothing
    page.locator("#follow button", has_text="%").filter(has_not_text="the end").first.click()
    typed = page.input_value("#typed")
    assert len(typed) >= 1
    page.fill("#typed", "bada")
    page.locator("#follow button", has_text="the end").click()
    assert names_of(page)[0] == "bada"


@pytest.mark.parametrize("kind", ["txt", "csv", "json"])
def test_names_are_downloaded(
    kind: str, open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    generator = generator_of("mlp")
    page = open_page(generator)
    with page.expect_download() as waiting:
        page.select_option("#download", kind)
    text = Path(waiting.value.path()).read_bytes().decode()
    expected = generator.sample(24, seed=7)
    assert waiting.value.suggested_filename == f"names-7.{kind}"
    found = {"txt": text.splitlines, "csv": lambda: text.splitlines()[1:], "json": lambda: json.loads(text)}[
        kind
    ]()
    assert found == expected


def test_names_are_copied(open_page: Callable[..., Any], generator_of: Callable[[str], Generator]) -> None:
    page = open_page(generator_of("mlp"), permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy")
    page.wait_for_selector("#status:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == names_of(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [_PHONE, _DESKTOP], ids=["phone", "desktop"])
def test_it_looks_right_and_axe_finds_nothing(
    scheme: str, size: dict[str, int], open_page: Callable[..., Any], generator_of: Callable[[str], Generator]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = open_page(generator_of("mlp"), color_scheme=scheme, viewport=size)
    page.fill("#typed", "banomidaki")
    page.wait_for_selector("#letters li")
    # Nothing reaches beyond the width, and every part is there to be seen.
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for part in ("#names", "#wishes", "#letters", "#follow", "#about"):
        box = page.locator(part).bounding_box()
        assert box["width"] > 200
        assert box["height"] > 40
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, ground[4:-1].split(","))) / 3
    assert (lightness < 64) if scheme == "dark" else (lightness > 192)
    assert len(set(page.screenshot())) > 100  # not blank: a picture of one colour packs into few values
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:80] for node in one["nodes"]]) for one in found] == []


def test_hostile_names_cannot_break_out(open_page: Callable[..., Any]) -> None:
    hostile = [
        "</script><script>window.hit=1</script>",
        "<img src=x onerror=window.hit=1>",
        "\"'`${window.hit=1}",
        "<!--<script>",
    ]
    marks = ["a\u202eb\u2066c", "\u200fshalom", "a&lt;b", "\\u003c{{script}}", "=cmd()"]
    generator = fit(hostile + marks, model="ngram", block_size=8, estimator="witten-bell")
    generator.config.__dict__["data_name"] = "</title><script>window.hit=1</script>{{model}}"
    page = open_page(generator, "#seed=3&n=60&prefix=%3C%2Fscript%3E%3Cscript%3Ewindow.hit%3D1")
    page.wait_for_selector("#names li")
    assert page.evaluate("window.hit") is None
    assert page.text_content("#title") == "Names from </title><script>window.hit=1</script>{{model}}"
    found = names_of(page)
    assert found
    assert all(name.startswith("</script><script>window.hit=1") for name in found)
    page.fill("#prefix", "")
    has_names(page, 60)
    page.locator("#names button").nth(3).click()
    assert page.evaluate("window.hit") is None
    assert not {"\u202e", "\u2066", "\u200f"} & set("".join(names_of(page)))
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0


def test_the_page_is_little_more_than_its_weights(
    generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    census = load_words("census").words
    wide = fit(census, model="wavenet", steps=5)  # 76,579 parameters
    for generator in (generator_of("mlp"), wide, fit(census, model="gpt", steps=1)):
        (path,) = generator.export(tmp_path / "names.html")
        weights = sum(4 * parameter.numel() for parameter in generator.model.parameters())
        assert path.stat().st_size - weights < _MOST_BYTES


def test_the_packed_model_means_nothing_to_html() -> None:
    assert len(ALPHABET) == 91
    assert not set(ALPHABET) & set("<&\\ \n\r")
