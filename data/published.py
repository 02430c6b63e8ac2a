"""Published reference figures: data with their source, never measured here.  ``published.toml`` holds them."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

__all__ = ["Expected", "ExpectedBackend", "Figure", "Model", "Published", "published"]

Range = tuple[float, float]


class Source(Struct):
    """Where the figures stood."""

    name: str
    about: str
    date: str


class Figure(Struct):
    """The published time of one call in ns, and its rate where one was given."""

    case: str
    time_ns: float
    rate: float | None = None
    unit: str = ""


class Model(Struct):
    """A saved model: size in MiB, seconds to save and to load."""

    model: str
    format: str
    size_mib: float
    save_s: float
    load_s: float


class Expected(Struct):
    """How many times faster than naive loops a BLAS library was expected to be, and its time in ms if given."""

    cases: list[str]
    speedup: Range
    time_ms: Range | None = None


class ExpectedBackend(Struct):
    """The rate in GFLOP/s that was expected of a kind of backend; ``kind`` says how sure the source was."""

    name: str
    variants: list[str]
    devices: list[str]
    gflops: Range
    kind: str


class Published(Struct, rename={"figures": "figure", "models": "model", "backends": "backend"}):
    """All that was published."""

    source: Source
    figures: list[Figure]
    models: list[Model]
    expected: list[Expected]
    backends: list[ExpectedBackend]

    def figure(self, case: str) -> Figure | None:
        """Return the published figure of a case."""
        return next((figure for figure in self.figures if figure.case == case), None)

    def model(self, model: str, format_: str) -> Model | None:
        """Return the published figures of a model in a format."""
        return next((one for one in self.models if (one.model, one.format) == (model, format_)), None)

    def expectation(self, case: str) -> Expected | None:
        """Return what was expected of a BLAS library for a case."""
        return next((one for one in self.expected if case in one.cases), None)


@cache
def published() -> Published:
    """Return the figures that come with flopwatch."""
    content: dict[str, Any] = tomllib.loads(Path(__file__).with_name("published.toml").read_text("utf-8"))
    return msgspec.convert(content, Published)
