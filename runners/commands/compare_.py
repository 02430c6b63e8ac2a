"""``flopwatch compare``."""

import argparse
import fnmatch
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.estimate import Comparison
    from data.rundocument import RunDocument
    from data.summary import Key

__all__ = ["arguments", "main"]

_NAMES = ("case", "variant", "condition", "backend", "device", "threads")

_EPILOG = """\
examples:
  flopwatch compare previous latest                what the last run changed
  flopwatch compare 01a20e 01a21f --case 'relu/*'  two runs by the begin of their ids, one kernel
  flopwatch compare old.run.jsonl new.run.jsonl --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("old", metavar="A", help="the old run: an id or the begin of one, latest, previous, or a run file")
    add("new", metavar="B", help="the new run, likewise")
    add("--case", action="append", default=[], metavar="GLOB", help="only these cases")
    add("--margin", type=float, default=0.02, metavar="0.02", help="within this share of 1 is the same")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Print new/old with its interval and verdict for each measurement that both runs have."""
    from data.compare import compare_runs, may_be_layout, sittings
    from data.errors import BadInput
    from data.family import discoveries
    from data.versions import compare_arms, measured_together

    if not 0 < options.margin < 1:
        raise BadInput(f"--margin {options.margin} is not possible; give a share such as 0.02")
    old, new = _document(options.old), _document(options.new)
    compared = compare_arms if measured_together(old.run, new.run) else compare_runs
    found = {
        key: comparison
        for key, comparison in compared(old, new, margin=options.margin).items()
        if not options.case or any(fnmatch.fnmatchcase(key[0], pattern) for pattern in options.case)
    }
    if not found:
        raise BadInput(f"{options.old} and {options.new} have no measurement in common that was ok in both")
    remaining = dict(zip(found, discoveries([one.p_value for one in found.values()]), strict=True))
    times = min(sittings(old.processes), sittings(new.processes))
    if options.json:
        rows = [
            _row(key, comparison)
            | {"remains": remaining[key], "may_be_layout": may_be_layout(comparison, times)}
            for key, comparison in found.items()
        ]
        print(json.dumps(rows))
    else:
        _print(found, remaining, old, new, times)
    return 0


def _document(wish: str) -> "RunDocument":
    from data.errors import BadInput
    from data.rundocument import read

    path = Path(wish)
    if path.is_file():
        return read(path)
    if path.suffix in (".jsonl", ".gz"):
        raise BadInput(f"{path} is no file")
    from data import queries
    from data.index import Index

    with Index.open() as index:
        return read(queries.run_file(index, queries.resolve_run(index, wish)))


def _row(key: "Key", comparison: "Comparison") -> dict[str, Any]:
    return dict(zip(_NAMES, key, strict=True)) | {
        "ratio": comparison.ratio,
        "low": comparison.low,
        "high": comparison.high,
        "processes": comparison.processes,
        "verdict": comparison.verdict.value,
        "differs": comparison.differs,
        "needs_processes": comparison.needs_processes,
        "p_value": comparison.p_value,
        **({} if comparison.cycle_ratio is None else {"cycle_ratio": comparison.cycle_ratio}),
    }


def _print(
    found: "dict[Key, Comparison]",
    remaining: "dict[Key, bool]",
    old: "RunDocument",
    new: "RunDocument",
    times: int,
) -> None:
    from rich.table import Table

    from data.compare import may_be_layout
    from runners.printing import console

    screen = console()
    if old.run.machine.id != new.run.machine.id:
        screen.print(
            "the runs are of different machines: the ratios compare the machines as well", markup=False
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("case", "variant", "backend", "threads", "new / old", "95 % interval", "verdict"):
        table.add_column(
            name, justify="right" if name in ("threads", "new / old", "95 % interval") else "left"
        )
    for key, comparison in found.items():
        case, variant, condition, backend, _, threads = key
        name = variant if condition == "given" else f"{variant} ({condition})"
        ratio, interval, verdict = _figures(comparison)
        verdict += " *" if remaining[key] else ""
        verdict += ", may be the layout of memory" if may_be_layout(comparison, times) else ""
        table.add_row(case, name, backend, str(threads), ratio, interval, verdict)
    screen.print(table)
    screen.print(_of_the_family(list(found.values()), list(remaining.values())), markup=False)


def _of_the_family(comparisons: "list[Comparison]", remaining: list[bool]) -> str:
    """Say how many of the differences can be chance: each interval holds its level for itself alone."""
    differ, count = sum(one.differs for one in comparisons), len(comparisons)
    return (
        f"{differ} of {count} differ from 1; if nothing had changed, about {0.05 * count:.0f} would, by chance. "
        f"{sum(remaining)} remain (*) when 5 % of those that remain may be chance."
    )


def _figures(comparison: "Comparison") -> tuple[str, str, str]:
    interval = "–"
    if comparison.low is not None and comparison.high is not None:
        interval = f"{comparison.low:.3f} – {comparison.high:.3f}"
    verdict = comparison.verdict.value
    if comparison.verdict == "same" and comparison.differs:
        verdict += ", but differs"
    if comparison.needs_processes:
        verdict += f" (about {comparison.needs_processes} processes would tell)"
    return f"{comparison.ratio:.3f}", interval, verdict
