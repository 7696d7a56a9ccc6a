"""The themes and looks can be told apart, by colour and without."""

from __future__ import annotations

import itertools

import pytest

from namegen_bench.names import PEERS as MEASURED
from namegen_bench.reporting.charts.look import DARK, LIGHT, OWN, PEERS, THEMES, Theme, colour_of, looks_of


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, of a colour such as "#0072B2"."""
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_can_be_read(theme: Theme) -> None:
    # WCAG 2.2, success criterion 1.4.3: at least 4.5 for text.
    assert contrast(theme.text, theme.ground) > 7
    assert contrast(theme.muted, theme.ground) > 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_what_this_package_measures_stands_out(theme: Theme) -> None:
    for peer in OWN:
        colour = colour_of(PEERS[peer], theme)
        # Okabe and Ito's lighter colours have 2.0 and more on white; hatches, marks and labels come on top.
        assert contrast(colour, theme.ground) > 2
        assert contrast(colour, theme.neutral) > 1.05
    assert contrast(colour_of(PEERS["fused-step"], theme), theme.ground) > 3


def test_black_is_turned_on_a_dark_ground() -> None:
    unknown = looks_of(["one", "two"])["two"]
    assert colour_of(unknown, LIGHT) == "#000000"
    assert contrast(colour_of(unknown, DARK), DARK.ground) > 7


def test_no_two_looks_are_alike_without_colours() -> None:
    # Those that stand in one chart: by suite.
    charts = (
        (
            "plain-tensors",
            "numpy",
            "stock",
            "torch.compile",
            "torch.compile-max-autotune",
            "jax-scan",
            *OWN[:1],
            "fused-step",
        ),
        ("stock", "torch.compile", "cuda-graph", "fused-layers", "fused-op", "fused-op-graph"),
        ("one-at-a-time", "stock", "python", "node", "native"),
    )
    for chart in charts:
        looks = looks_of(chart)
        assert list(looks) == [peer for peer in PEERS if peer in chart]
        for first, second in itertools.combinations(looks.values(), 2):
            assert first.label != second.label
            assert first.mark != second.mark
            assert first.hatch != second.hatch or "" in (first.hatch, second.hatch)


def test_every_peer_that_is_measured_has_a_look() -> None:
    assert set(MEASURED) <= set(PEERS)


def test_unknown_peers_come_first_each_with_a_look_of_its_own() -> None:
    looks = looks_of(["stock", "b", "a", "b"])
    assert list(looks) == ["b", "a", "stock"]
    assert looks["a"] != looks["b"]
    assert looks_of(["stock"], "sample")["stock"].label == "batched, eager"
