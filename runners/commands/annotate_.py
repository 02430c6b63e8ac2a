"""``flopwatch annotate``."""

import argparse
import json

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch annotate 'new power supply' --machine lab --since 2026-11-20
  flopwatch annotate 'driver 580 installed' --version 580
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from runners.commands._words import moment

    parser.epilog = _EPILOG
    add = parser.add_argument
    add("text", metavar="TEXT", help="the remark")
    add("--machine", metavar="NAME", help="on this machine")
    add("--series", metavar="ID", help="on this series")
    add("--run", metavar="ID", help="on this run")
    add("--version", metavar="TEXT", help="on this version")
    add("--since", type=moment, metavar="DATE", help="from then on")
    add("--until", type=moment, metavar="DATE", help="until then")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Append the annotation to the ledger."""
    from data import entries, queries
    from data.errors import BadInput, NotFound
    from data.index import Index
    from runners.commands._words import author, machine_id

    if not options.text.strip():
        raise BadInput("the remark is empty; give a text")
    with Index.open() as index:
        if options.series and not queries.history(index, options.series):
            raise NotFound(f"no series is called {options.series!r}; flopwatch regressions --json names them")
        record = entries.Annotation(
            text=options.text,
            by=author(),
            machine=machine_id(index, options.machine),
            series=options.series,
            run=queries.resolve_run(index, options.run) if options.run else None,
            version=options.version,
            since=options.since and f"{options.since:%Y-%m-%dT%H:%M:%SZ}",
            until=options.until and f"{options.until:%Y-%m-%dT%H:%M:%SZ}",
        )
        index.state(record)
    print(
        json.dumps({"annotation": record.id}) if options.json else f"annotation {record.id} is in the ledger"
    )
    return 0
