"""Go: the text of ``go test -bench`` (one process; -count gives its samples)."""

import re

from data.importers.results import Imported, Importer, Result, Timing
from data.importers.source import Source
from data.records import Work

__all__ = ["IMPORTER"]

_LINE = re.compile(r"^(Benchmark\S*)\s+(\d+)\s+(.+)$")
_HEADER = re.compile(r"^(goos|goarch|pkg|cpu): (.*)$")
_THREADS = re.compile(r"-(\d+)$")


def _recognises(source: Source) -> bool:
    if source.is_folder or source.looks_like_json:
        return False
    head = source.content[:4096]
    return re.search(rb"^(goos: |Benchmark\S*\s+\d+\s+\S+ ns/op)", head, re.MULTILINE) is not None


def _values(source: Source, number: int, rest: str) -> dict[str, float]:
    """Return unit → value of a line; raises ImportedFileError where they do not come in pairs."""
    words = rest.split()
    try:
        if len(words) % 2:
            raise ValueError
        return {unit: float(value) for value, unit in zip(words[::2], words[1::2], strict=True)}
    except ValueError:
        raise source.error(f"{rest.strip()!r} is no list of values with units", number) from None


def _threads(names: list[str]) -> int | None:
    """Return the count that go appends to each name when it is not 1; a name of one's own may end alike."""
    found = {match[1] if (match := _THREADS.search(name)) else None for name in names}
    one = found.pop() if len(found) == 1 else None
    return int(one) if one else None


def _result(name: str, threads: int, lines: list[tuple[int, dict[str, float]]]) -> Result:
    timed = [(count, values) for count, values in lines if "ns/op" in values]
    if not timed:
        return Result(name=name, threads=threads, reason="has no ns/op", attributes=dict(lines[0][1]))
    count, first = timed[0]
    work, unit = Work(), "s"
    if "MB/s" in first:
        work, unit = Work(bytes=round(first["MB/s"] * first["ns/op"] / 1e3)), "GB/s"
    others = [{key: value for key, value in values.items() if key != "ns/op"} for _, values in timed]
    attributes = {"metrics": others, "iterations": [count for count, _ in timed]}
    return Result(
        name=name,
        timings=[Timing([values["ns/op"] for _, values in timed], count)],
        threads=threads,
        work=work,
        unit=unit,
        attributes=attributes,
    )


def _read(source: Source) -> list[Imported]:
    header: dict[str, str] = {}
    found: dict[tuple[str, str], list[tuple[int, dict[str, float]]]] = {}
    failures = []
    lines = source.text.splitlines()
    for number, line in enumerate(lines, 1):
        if match := _HEADER.match(line):
            header[match[1]] = match[2].strip()
        elif match := _LINE.match(line):
            found.setdefault((header.get("pkg", ""), match[1]), []).append(
                (int(match[2]), _values(source, number, match[3]))
            )
        elif re.match(r"^Benchmark\S*\s+\d", line):
            raise source.error("the line of a benchmark ends early", number)
        elif line.startswith(("FAIL", "--- FAIL", "panic:")):
            failures.append(line)
    if not found:
        raise source.error("holds no line of a benchmark", len(lines) or None)
    threads = _threads([name for _, name in found])
    packages = {package for package, _ in found}
    results = []
    for (package, name), rows in found.items():
        shown = _THREADS.sub("", name) if threads else name
        full = f"{package}.{shown}" if len(packages) > 1 else shown
        results.append(_result(full, threads or 1, rows))
    return [
        Imported(
            tool="go",
            results=results,
            cpu_model=header.get("cpu", ""),
            machine={name: header[name] for name in ("goos", "goarch") if name in header},
            metadata={"packages": sorted(packages), "failures": failures},
        )
    ]


IMPORTER = Importer("go", "go test -bench text", _recognises, _read)
