"""What others published, as data with its source: results, claims and plans; people add files of their own."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from data.errors import BadInput

__all__ = ["Cells", "Claim", "Item", "Publication", "Result", "Source", "publications", "read_publication"]

Share = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Quantity = Literal["speedup", "rate", "time", "size", "memory", "format"]

#: quantity → units that a claim about it can have
_UNITS = {
    "speedup": ("x",),
    "rate": ("GFLOP/s", "GB/s", "GElement/s", "token/s"),
    "time": ("ms",),
    "size": ("x",),
    "memory": ("of the file",),
    "format": ("programs",),
}


class Source(Struct, forbid_unknown_fields=True):
    """Who published it, when, and on which machine."""

    id: Name
    title: Text
    date: str = ""
    machine: str = ""
    url: str = ""
    note: str = ""


class Result(Struct, forbid_unknown_fields=True):
    """One published result; ``time_ns`` is the time of one call, ``rate`` what was given in ``unit``."""

    case: Name
    variant: Name
    time_ns: Annotated[float, Meta(gt=0)]
    rate: Annotated[float, Meta(gt=0)] | None = None
    unit: str = "s"
    file_mib: Annotated[float, Meta(gt=0)] | None = None
    note: str = ""


class Cells(Struct, forbid_unknown_fields=True):
    """Which series a claim is about; what is not given may be anything.  ``threads``: most, one, or same."""

    variant: Name
    condition: str = ""
    backend: str = ""
    device: str = ""
    threads: Literal["most", "one", "same", ""] = ""


class Claim(Struct, forbid_unknown_fields=True):
    """A published statement with the range that it gives.

    ``cases`` are those that it is about; ``context`` are shown beside it and do not decide.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    statement: Text
    kind: Name
    quantity: Quantity
    expected: tuple[Share, Share]
    unit: Name
    cases: Annotated[list[Name], Meta(min_length=1)]
    subject: Cells
    baseline: Cells | None = None
    context: list[Name] = []
    note: str = ""


class Item(Struct, forbid_unknown_fields=True):
    """A line of the publication's own status or plan."""

    state: Name
    text: Text


class Publication(Struct, forbid_unknown_fields=True):
    """One publication."""

    source: Source
    result: list[Result] = []
    claim: list[Claim] = []
    item: list[Item] = []


def read_publication(path: Path) -> Publication:
    """Return a publication from a TOML file; raises BadInput naming the file and what is wrong in it."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Publication)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"{path}: {error}") from None
    seen: set[str] = set()
    for claim in found.claim:
        if claim.id in seen:
            raise BadInput(f"{path}: claim {claim.id} is there twice; give each range an id of its own")
        seen.add(claim.id)
        _check(claim, path)
    return found


def _check(claim: Claim, path: Path) -> None:
    low, high = claim.expected
    if low > high:
        raise BadInput(f"{path}: claim {claim.id} expects {low:g} to {high:g}; give the lower end first")
    if claim.unit not in _UNITS[claim.quantity]:
        known = " or ".join(_UNITS[claim.quantity])
        raise BadInput(
            f"{path}: claim {claim.id} gives a {claim.quantity} in {claim.unit!r}; it must be in {known}"
        )
    if (claim.baseline is None) == (claim.quantity in ("speedup", "size")):
        wanted = "a baseline" if claim.baseline is None else "no baseline"
        raise BadInput(f"{path}: claim {claim.id} is about a {claim.quantity} and needs {wanted}")


@cache
def publications() -> tuple[Publication, ...]:
    """Return the publications that come with flopwatch."""
    return tuple(read_publication(path) for path in sorted(Path(__file__).parent.glob("*.toml")))
