"""Colours: apart for everybody, in sight on both backgrounds, and the same in the theme's file."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest

from app import colours

#: What dichromats see, on linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
VISION = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
#: Distance in Oklab (Ottosson 2020).  The palette of Okabe and Ito, made for this purpose, keeps 0.076.
APART = 0.076
CHARTS = {
    "computing": list(colours.COMPUTING),
    "files": ["numpy", *colours.FILES],
}


def linear(colour: str) -> tuple[float, ...]:
    """Return linear RGB of ``#rrggbb``."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def times(matrix: tuple[tuple[float, ...], ...], vector: tuple[float, ...]) -> tuple[float, ...]:
    """Return the product of a matrix and a vector."""
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def oklab(rgb: tuple[float, ...]) -> tuple[float, ...]:
    """Return Oklab of linear RGB."""
    cones = times(
        (
            (0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005),
        ),
        rgb,
    )
    roots = tuple(max(cone, 0.0) ** (1 / 3) for cone in cones)
    return times(
        (
            (0.2104542553, 0.7936177850, -0.0040720468),
            (1.9779984951, -2.4285922050, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.8086757660),
        ),
        roots,
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    lights = sorted(
        sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("chart", CHARTS)
def test_backends_in_one_chart_are_told_apart(chart: str, vision: str) -> None:
    """Any two backends of one chart look different, also to the colour-blind."""
    seen = {name: oklab(times(VISION[vision], linear(colours.backend(name)))) for name in CHARTS[chart]}
    for one, other in itertools.combinations(seen, 2):
        distance = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5
        assert distance >= APART, f"{one} and {other} look alike with {vision}: {distance:.3f}"


@pytest.mark.parametrize("name", colours.THEMES)
def test_marks_stand_out_from_the_page(name: str) -> None:
    """Every bar has a contrast of 3:1 with the page, and text of 4.5:1, in both themes."""
    theme = colours.theme(name)
    for colour in (*colours.BACKENDS.values(), colours.OTHER):
        assert contrast(colour, theme.surface) >= 3
    for text in (theme.ink, theme.muted, theme.alarm):
        assert contrast(text, theme.surface) >= 4.5


def test_an_unknown_backend_has_a_colour() -> None:
    """A backend or variant that nobody has heard of is drawn, in a colour and pattern that stay."""
    assert re.fullmatch("#[0-9a-f]{6}", colours.backend("abacus"))
    assert colours.pattern("guesswork") == colours.pattern("guesswork") != ""
    assert max(["numba", "abacus", "mlx"], key=colours.backend_order) == "abacus"
    assert min(["guesswork", "naive"], key=colours.variant_order) == "naive"


@pytest.mark.parametrize(
    "variants",
    [
        ("naive", "naive-parallel", "blocked", "blas"),
        ("unfused-fresh", "unfused-inplace", "fused", "operator"),
        ("scalar", "parallel", "simd", "parallel-simd", "operator"),
        ("two-pass", "welford", "operator"),
        ("recompute", "kv-cache"),
    ],
)
def test_variants_in_one_chart_have_their_own_pattern(variants: tuple[str, ...]) -> None:
    """Variants of one backend that meet in a chart differ in their pattern."""
    assert len({colours.pattern(variant) for variant in variants}) == len(variants)


def test_the_theme_of_the_pages_has_the_same_colours() -> None:
    """The server's file names the page and chart colours that the charts use."""
    file = Path(colours.__file__).parent / ".streamlit" / "config.toml"
    themes = tomllib.loads(file.read_text(encoding="utf-8"))["theme"]
    for name, theme in colours.THEMES.items():
        assert themes[name]["backgroundColor"] == theme.surface
        assert themes[name]["textColor"] == theme.ink
        assert themes[name]["chartCategoricalColors"] == list(colours.BACKENDS.values())
