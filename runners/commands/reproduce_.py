"""``flopwatch reproduce``."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runners.commands._options import duration, label

if TYPE_CHECKING:
    from data.reproduction import Result
    from data.rundocument import RunDocument
    from data.summary import Key
    from runners.reproduce import Attempt

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch reproduce latest
  flopwatch reproduce elsewhere.run.jsonl --case 'relu/*'
  flopwatch reproduce 0199c0de --with numpy==2.2.6      on purpose in another environment: what differs is named

exit status: 0 all that can be compared was reproduced, 1 something was not, 3 nothing can be compared
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add(
        "original",
        metavar="ID|FILE",
        help="a run (an id or the begin of one, latest), a measurement, or a run file",
    )
    add("--case", action="append", default=[], metavar="GLOB", help="only these cases of the run")
    add(
        "--with",
        dest="changes",
        default="",
        metavar="CHANGES",
        help="change the environment on purpose (see matrix)",
    )
    add("--here", action="store_true", help="measure in flopwatch's own environment instead of the run's")
    add("--budget", type=duration, metavar="10m", help="start no further block after this time")
    add(
        "--limit",
        type=duration,
        default=300.0,
        metavar="5m",
        help="kill a process that does not answer in this time",
    )
    add("--label", action="append", default=[], type=label, metavar="KEY=VALUE", help="kept with the new run")
    add("--machine", metavar="NAME", help="a name for this machine (default: its host name)")
    add("--out", type=Path, metavar="FILE", help="write the new run file here (default: runs/ in the home)")
    add("--no-store", action="store_true", help="keep the new run file only")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Measure a run again in its own environment, and print how close that came."""
    from data.errors import BadInput
    from runners.printing import Screen
    from runners.reproduce import reproduce
    from runners.wishes import Wishes

    if options.here and options.changes:
        raise BadInput(
            "--here takes flopwatch's own environment, --with changes that of the run: give one of them"
        )
    if options.out is not None and options.out.exists():
        raise BadInput(f"{options.out} exists; choose another name")
    original, keys = _original(options.original, store=not options.no_store)
    keys = _narrowed(original, keys, options.case)
    wishes = Wishes(
        budget_s=options.budget,
        limit_s=options.limit,
        labels=dict(options.label),
        machine=options.machine,
        out=options.out,
        store=not options.no_store,
    )
    with Screen(quiet=options.json) as screen:
        attempt = reproduce(original, keys, wishes, screen, changes=options.changes, here=options.here)
    if options.json:
        print(json.dumps(_summary(attempt)))
    else:
        _print(attempt)
    return _status(attempt)


def _original(wish: str, *, store: bool) -> "tuple[RunDocument, list[Key] | None]":
    """Return the run that is meant, and the one measurement where one is meant; a file is taken into the ledger."""
    from data.errors import BadInput, NotFound
    from data.rundocument import read

    path = Path(wish)
    if path.is_file():
        document = read(path)
        if store:
            from data.receipts import record_in_ledger

            record_in_ledger(path)
        return document, None
    if path.suffix in (".jsonl", ".gz"):
        raise BadInput(f"{path} is no file")
    from data import queries
    from data.index import Index

    with Index.open() as index:
        try:
            return read(queries.run_file(index, queries.resolve_run(index, wish))), None
        except NotFound as error:
            try:
                row = queries.measurement(index, wish)
            except NotFound:
                raise error from None
        names = ("case_id", "variant", "condition", "backend", "device", "threads")
        case, variant, condition, backend, device, threads = (row[name] for name in names)
        document = read(queries.run_file(index, row["run_id"]))
        return document, [(case, variant, condition, backend, device, int(threads))]


def _narrowed(original: "RunDocument", keys: "list[Key] | None", patterns: list[str]) -> "list[Key] | None":
    import fnmatch

    from data.errors import BadInput

    if not patterns:
        return keys
    held = keys or list(original.measurements)
    found = [key for key in held if any(fnmatch.fnmatchcase(key[0], pattern) for pattern in patterns)]
    if not found:
        cases = ", ".join(sorted({key[0] for key in held}))
        raise BadInput(f"the run has no case that matches {' or '.join(patterns)}; it has {cases}")
    return found


def _status(attempt: "Attempt") -> int:
    from data.words import Reproduced

    found = attempt.reproduction
    if found.count(Reproduced.NO):
        return 1
    return 0 if found.count(Reproduced.YES) else 3


def _summary(attempt: "Attempt") -> dict[str, Any]:
    from data.reproduction import badge

    found = attempt.reproduction
    return {
        "original": found.original.id,
        "run": found.new.id,
        "file": str(attempt.file),
        "stored": attempt.stored,
        "comparability": found.comparability.value,
        "differences": [
            {"what": one.what, "before": one.before, "now": one.now, "decides": one.decides}
            for one in found.differences
        ],
        "environment_identical": found.original.environment.id == found.new.environment.id,
        "results": [result.to_json() for result in found.results],
        "badge": badge(found),
    }


def _print(attempt: "Attempt") -> None:
    from rich.table import Table

    from data.reproduction import badge
    from data.words import Reproduced
    from runners.printing import console

    screen, found = console(), attempt.reproduction
    same = found.original.environment.id == found.new.environment.id
    screen.print(
        f"comparable: {found.comparability}; environment "
        + (f"identical ({found.new.environment.id})" if same else "not identical"),
        markup=False,
    )
    for one in found.differences:
        screen.print(f"  {one}{' (decides)' if one.decides else ''}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "case",
        "variant",
        "backend",
        "threads",
        "new / old",
        "95 % interval",
        "predicted",
        "verdict",
    ):
        right = name in ("threads", "new / old", "95 % interval", "predicted")
        table.add_column(name, justify="right" if right else "left")
    for result in found.results:
        table.add_row(*_columns(result))
    screen.print(table)
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in Reproduced)
    screen.print(f"{counts}; {attempt.file}", markup=False)
    screen.print(badge(found), markup=False)


def _columns(result: "Result") -> list[str]:
    case, variant, condition, backend, _, threads = result.key
    name = variant if condition == "given" else f"{variant} ({condition})"
    ratio = "–" if result.ratio is None else f"{result.ratio:.3f}"
    interval = "–" if result.low is None or result.high is None else f"{result.low:.3f} – {result.high:.3f}"
    predicted = "–" if result.predicted is None else f"± {result.predicted:.1%}"
    why = f": {result.reason}" if result.reason else ""
    return [case, name, backend, str(threads), ratio, interval, predicted, f"{result.verdict}{why}"]
