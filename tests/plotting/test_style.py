"""Labels, lines and the bytes of a picture."""

from __future__ import annotations

import pytest

from namegen_ext.plotting.style import (
    LOOKS,
    Look,
    drawing_style,
    line_styles,
    new_figure,
    panels,
    some,
    symbol_labels,
    to_png,
)

matplotlib = pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed, nothing can be drawn: pip install "namegen_ext[plot]"'
)


def test_symbols_that_the_font_lacks_are_named() -> None:
    assert symbol_labels([".", "a", "é", "$", "中", " ", "\u200b"]) == [
        ".",
        "a",
        "é",
        "$",
        "U+4E2D",
        "\N{OPEN BOX}",
        "U+200B",
    ]


def test_no_two_lines_look_alike() -> None:
    styles = {(style["color"], style["linestyle"]) for style in line_styles(28)}
    assert len(styles) == 28


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_has_its_ground_and_its_width(look: Look) -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow, which matplotlib needs, is not installed")
    import io

    with drawing_style(look):
        figure, axes = panels(3, 3, 4.0, 2.9)
        axes[0].set_title("a title that is longer than a phone is wide " * 3)
        picture = image.open(io.BytesIO(to_png(figure))).convert("RGB")
    assert (max(picture.getpixel((1, 1))) < 40) if look.dark else (min(picture.getpixel((1, 1))) > 240)
    if look.phone:  # the panels stack
        assert picture.width < 620
        assert picture.height > picture.width


@pytest.mark.parametrize(("count", "chosen"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (10, [0, 3, 6, 9])])
def test_some_are_spread(count: int, chosen: list[int]) -> None:
    assert some(range(count), 4) == chosen


def test_the_users_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    with drawing_style():
        assert matplotlib.rcParams["axes.grid"]
    assert dict(matplotlib.rcParams) == before


def test_a_picture_is_opaque_and_nearly_white_and_the_same_each_time() -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow, which matplotlib needs, is not installed")
    import io

    def draw() -> bytes:
        with drawing_style():
            figure = new_figure(2.0, 2.0)
            figure.subplots().plot([0, 1])
            return to_png(figure)

    png = draw()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png == draw()
    picture = image.open(io.BytesIO(png)).convert("RGBA")
    red, green, blue, alpha = picture.getpixel((1, 1))
    assert alpha == 255
    assert min(red, green, blue) > 240
