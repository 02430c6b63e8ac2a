"""``flopwatch withdraw``."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.entries import Withdrawal
    from data.index import Index

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch withdraw latest --reason 'a backup was running'
  flopwatch withdraw 0199a --measurement 1f… --reason 'wrong buffer'    some measurements of a run
  flopwatch withdraw --undo 0199b-… --reason 'it was right after all'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help="an id or the begin of one, latest or previous")
    add("--measurement", action="append", default=[], metavar="ID", help="only these measurements of it")
    add("--undo", metavar="ID", help="undo this withdrawal instead")
    add("--reason", required=True, metavar="TEXT", help="why; it is kept beside the result")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Append the withdrawal, or what undoes one, to the ledger."""
    from data import entries
    from data.errors import BadInput
    from data.index import Index
    from runners.commands._words import author

    if (options.run is None) == (options.undo is None):
        raise BadInput("name the run to withdraw, or the withdrawal to --undo")
    if not options.reason.strip():
        raise BadInput("the reason is empty; say why")
    record: entries.Record
    with Index.open() as index:
        if options.undo:
            _require_withdrawal(index, options.undo)
            record = entries.Reinstatement(withdrawal=options.undo, reason=options.reason, by=author())
        else:
            record = _withdrawal(index, options)
        index.state(record)
    if options.json:
        print(json.dumps({"kind": "reinstatement" if options.undo else "withdrawal", "id": record.id}))
    elif options.undo:
        print(f"withdrawal {options.undo} is undone")
    else:
        print(f"withdrawn; undo it: flopwatch withdraw --undo {record.id} --reason …")
    return 0


def _withdrawal(index: "Index", options: argparse.Namespace) -> "Withdrawal":
    from data import entries, queries
    from data.errors import NotFound
    from runners.commands._words import author

    run_id = queries.resolve_run(index, options.run)
    held = {row["measurement_id"] for row in queries.measurements(index, run_id)}
    for name in options.measurement:
        if name not in held:
            raise NotFound(f"run {run_id} has no measurement {name!r}; its page lists them")
    return entries.Withdrawal(
        run=run_id, reason=options.reason, measurements=options.measurement, by=author()
    )


def _require_withdrawal(index: "Index", name: str) -> None:
    from data.errors import NotFound

    held = [row["withdrawal_id"] for row in index.query("FROM withdrawals WHERE undone_at IS NULL")]
    if name not in held:
        raise NotFound(f"no withdrawal is called {name!r}; there is {', '.join(held) or 'none'}")
