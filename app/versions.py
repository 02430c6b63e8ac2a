"""The same kernel over versions of one program: which versions there are, and how each did."""

import re
from collections.abc import Iterable, Mapping, Sequence

from app import machines, rows, texts
from app.rows import Row
from app.speedups import words

__all__ = ["against", "by_version", "offered", "order", "versions_of"]

#: Programs that decide how fast a kernel is, in the order in which people look for them.
_TELLING = (
    "numpy",
    "numba",
    "llvmlite",
    "torch",
    "jax",
    "jaxlib",
    "scipy-openblas32",
    "mkl",
    "blis",
    "safetensors",
    "orjson",
    "cupy-cuda13x",
    "cupy-cuda12x",
    "mlx",
)


def versions_of(environment: Row) -> dict[str, str]:
    """Return the versions in an environment: interpreter, libraries of BLAS, packages that matter, drivers."""
    found = {"Python": str(environment.get("interpreter") or "").rpartition(" ")[2]}
    packages = machines.parsed(environment.get("packages"))
    if isinstance(packages, Mapping):
        found |= {name: str(packages[name]) for name in _TELLING if name in packages}
    blas = machines.parsed(environment.get("blas"))
    for library in blas if isinstance(blas, list) else []:
        if isinstance(library, Mapping) and library.get("library") and library.get("version"):
            found[f"BLAS {library['library']}"] = str(library["version"])
    attributes = machines.parsed(environment.get("attributes"))
    if isinstance(attributes, Mapping) and attributes.get("driver"):
        found["driver"] = str(attributes["driver"])
    return {name: version for name, version in found.items() if version}


def order(version: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key of a version: numbers by size, letters by name, so that 1.10 comes after 1.9 and 2.0rc1 before 2.0."""
    pieces = re.findall(r"\d+|[a-z]+", version.lower())
    return (*((2, int(piece)) if piece.isdecimal() else (0, piece) for piece in pieces), (1, ""))


def offered(environments: Iterable[Row]) -> list[str]:
    """Return the programs to choose from: those with more than one version first."""
    held: dict[str, set[str]] = {}
    for environment in environments:
        for name, version in versions_of(environment).items():
            held.setdefault(name, set()).add(version)
    return sorted(held, key=lambda name: (len(held[name]) < 2, *_place(name)))


def _place(name: str) -> tuple[int, str]:
    return (_TELLING.index(name) if name in _TELLING else len(_TELLING), name)


def by_version(board: Iterable[Row], environments: Iterable[Row], program: str) -> list[Row]:
    """Return the newest result of each series in each version of ``program``, the oldest ``version`` first."""
    named = {str(one["environment_id"]): versions_of(one).get(program) for one in environments}
    newest: dict[tuple[str, str], Row] = {}
    for row in board:
        version = named.get(str(row.get("environment_id")))
        if version is None or not rows.is_speed(row):
            continue
        key = (str(row.get("series_id")), version)
        held = newest.get(key)
        if held is None or str(row.get("started")) > str(held.get("started")):
            newest[key] = {**row, "version": version}
    return sorted(newest.values(), key=lambda row: order(row["version"]))


def against(board: Sequence[Row], baseline: str) -> list[Row]:
    """Return how much faster each series is in each version than in ``baseline``, in the words of the speedups.

    The versions were measured in different runs, so the ratio lies between the extremes of both intervals.
    """
    olds = {row.get("series_id"): row for row in board if row["version"] == baseline}
    names = {key: name for key, (name, _) in rows.series(board).items()}
    found = []
    for row in board:
        old = olds.get(row.get("series_id"))
        time, before = texts.finite(row.get("time_ns")), texts.finite((old or {}).get("time_ns"))
        if old is None or row["version"] == baseline or not time or not before:
            continue
        name = f"{row['case_id']} · {names[rows.key(row)]}"
        found.append({**row, "case_id": name, "series": row["version"], **words(row, old)})
    return sorted(found, key=lambda row: (rows.case_order(str(row["case_id"])), order(row["version"])))
