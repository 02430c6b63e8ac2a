"""Colours that stay with a backend on every page, in the light and the dark theme.

Each colour keeps a contrast of at least 3:1 with both backgrounds (WCAG 2.2, 1.4.11), and the colours of backends
that meet in one chart stay apart for people with protanopia, deuteranopia and tritanopia; the tests compute both.
Variants of one backend share its colour and differ in their pattern.
"""

import zlib
from dataclasses import dataclass

__all__ = [
    "BACKENDS",
    "COMPUTING",
    "FILES",
    "OTHER",
    "PATTERNS",
    "STROKES",
    "THEMES",
    "Theme",
    "backend",
    "backend_order",
    "of_place",
    "paler",
    "pattern",
    "stroke",
    "theme",
    "variant_order",
]

#: Backends that compute, in the order in which people read them.
COMPUTING = {
    "numba": "#bd6a12",
    "numpy": "#2f8fe0",
    "openblas": "#217160",
    "mkl": "#8a2ffa",
    "blis": "#a66ab0",
    "accelerate": "#929395",
    "torch": "#b53c05",
    "jax": "#0f69d2",
    "cupy": "#338e60",
    "mlx": "#b21ab4",
}
#: Backends that read and write files; numpy does both.
FILES = {
    "safetensors": "#b98a01",
    "orjson": "#9b4f4a",
    "json": "#5c648f",
    "pickle": "#e943cf",
}
BACKENDS = COMPUTING | FILES
#: What is no backend (machines side by side) takes these in turn: those of the backends that lie furthest apart.
_PLACES = tuple(
    COMPUTING[name] for name in ("numpy", "numba", "openblas", "mkl", "torch", "accelerate", "mlx")
)
#: A backend that is not known yet.
OTHER = "#7d7d7d"

#: Variants in the order in which people read them, each with Plotly's fill pattern ("" is plain).  Variants that
#: meet in one chart differ; the plain one is the best known way.
PATTERNS = {
    "naive": ".",
    "naive-parallel": "/",
    "blocked": "x",
    "blas": "",
    "unfused": ".",
    "unfused-fresh": ".",
    "unfused-inplace": "/",
    "fused": "",
    "recompute": ".",
    "kv-cache": "",
    "two-pass": ".",
    "welford": "",
    "scalar": ".",
    "parallel": "/",
    "simd": "x",
    "parallel-simd": "",
    "operator": "-",
    "json-pretty": "/",
    "json-compact": "",
    "safetensors": "",
    "safetensors-mmap": "x",
    "npz": ".",
    "pickle": "",
}
_SPARE = ("\\", "+", "|", "-")

#: Where a variant is a line and not a bar: the dash and the mark that go with each pattern.
STROKES = {
    "": ("solid", "circle"),
    ".": ("dot", "diamond"),
    "/": ("dash", "square"),
    "x": ("longdash", "x"),
    "-": ("dashdot", "triangle-up"),
    "\\": ("longdashdot", "triangle-down"),
    "+": ("dash", "cross"),
    "|": ("dot", "star"),
}


@dataclass(frozen=True)
class Theme:
    """The colours of a chart that are no backend's: text and whiskers, secondary marks, the page behind, verdicts."""

    ink: str
    muted: str
    grid: str
    surface: str
    fill: str
    outline: str
    alarm: str
    good: str
    slower: str
    faster: str


THEMES = {
    "light": Theme(
        "#2b2f36",
        "#6b7280",
        "#e6e8ec",
        "#ffffff",
        "rgba(107,114,128,0.12)",
        "rgba(107,114,128,0.38)",
        "#b42318",
        "#17672f",
        "#f0a35e",
        "#7ab8ee",
    ),
    "dark": Theme(
        "#eceef2",
        "#9aa3b2",
        "#2c313a",
        "#14171c",
        "rgba(154,163,178,0.13)",
        "rgba(154,163,178,0.42)",
        "#ff8a7a",
        "#63c98a",
        "#96571d",
        "#23609b",
    ),
}


def theme(name: str | None) -> Theme:
    """Return the theme of that name, the light one where none is known."""
    return THEMES.get(name or "light", THEMES["light"])


def backend(name: str) -> str:
    """Return the colour of a backend."""
    return BACKENDS.get(name, OTHER)


def paler(colour: str, strength: float) -> str:
    """Return ``#rrggbb`` so far transparent that ``strength`` (0 to 1) of it is left."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return colour if strength == 1 else f"rgba({red},{green},{blue},{strength:.2f})"


def backend_order(name: str) -> tuple[int, str]:
    """Sort key: backends in the order of the house, unknown ones after them by name."""
    names = list(BACKENDS)
    return (names.index(name) if name in BACKENDS else len(names), name)


def variant_order(name: str) -> tuple[int, str]:
    """Sort key: variants in the order of the house, unknown ones after them by name."""
    names = list(PATTERNS)
    return (names.index(name) if name in PATTERNS else len(names), name)


def pattern(variant: str) -> str:
    """Return the fill pattern of a variant; an unknown one keeps the pattern that its name gives it."""
    return PATTERNS.get(variant, _SPARE[zlib.crc32(variant.encode()) % len(_SPARE)])


def stroke(variant: str) -> tuple[str, str]:
    """Return dash and mark of a variant's line."""
    return STROKES[pattern(variant)]


def of_place(position: int) -> str:
    """Return the colour of what is no backend, such as a machine, by its place in the chart."""
    return _PLACES[position % len(_PLACES)]
