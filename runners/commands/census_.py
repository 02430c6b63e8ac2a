"""``flopwatch census``."""

import argparse
import json

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch census                     cells without a result of the last 30 days, and why
  flopwatch census --days 7 --machine lab
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--days", type=int, default=30, metavar="30", help="a result is recent for so many days")
    add("--machine", metavar="NAME", help="only this machine (name or id)")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Print the cells without a recent result and why, and what has gone stale."""
    from datetime import UTC, datetime, timedelta

    from data import census, queries
    from data.errors import BadInput
    from data.index import Index
    from runners.commands._words import machine_id

    if options.days < 1:
        raise BadInput(f"--days {options.days} is not possible; give a number of days from 1 on")
    now, recent = datetime.now(UTC), timedelta(days=options.days)
    with Index.open() as index:
        wanted = machine_id(index, options.machine)
        machines = [row for row in queries.machines(index) if wanted in (None, row["machine_id"])]
        latest = queries.latest(index)
        known = {row["machine_id"] for row in machines}
        gaps = census.gaps(latest, queries.last_ok(index), now, recent)
        names = {row["machine"] for row in machines}
        gaps = [gap for gap in gaps if gap.machine in names]
        old = census.stale(machines, [row for row in latest if row["machine_id"] in known], now, recent)
    if options.json:
        print(json.dumps({"gaps": [gap.to_json() for gap in gaps], "stale": [one.to_json() for one in old]}))
        return 0
    from rich.table import Table

    from runners.printing import console

    screen = console()
    for one in old:
        screen.print(f"{one.kind} {one.name}: {one.text}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("machine", "case", "variant", "backend", "threads", "why"):
        table.add_column(name, overflow="fold")
    for gap in gaps:
        table.add_row(gap.machine, gap.case, gap.variant, gap.backend, str(gap.threads), gap.why)
    screen.print(table if gaps else "every cell has a recent result")
    return 0
