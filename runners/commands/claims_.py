"""``flopwatch claims``."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.claims import Finding

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch claims
  flopwatch claims --id 'blas-*' --file ours.toml     your own claims as well (data/published/*.toml is a pattern)
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--file", action="append", default=[], type=Path, metavar="FILE", help="claims of your own, TOML")
    add("--id", action="append", default=[], metavar="GLOB", help="only these claims")
    add("--machine", metavar="NAME", help="only this machine (name or id)")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Print the verdict on each claim for each machine and backend."""
    from data import queries
    from data.claims import judge_claims
    from data.index import Index
    from data.published import publications, read_publication
    from data.speedups import pairs_of_runs

    sources = [*publications(), *(read_publication(path) for path in options.file)]
    with Index.open() as index:
        machines = _machines(queries.machines(index), options.machine)
        found = judge_claims(sources, queries.latest(index), machines, pairs_of_runs(index))
    found = _chosen(found, options.id)
    if options.json:
        print(json.dumps([finding.to_json() for finding in found]))
    else:
        _print(found)
    return 0


def _machines(held: list[dict[str, object]], wish: str | None) -> list[dict[str, object]]:
    from data.errors import NotFound

    if not held:
        raise NotFound("nothing is stored yet; measure first: flopwatch run")
    found = [one for one in held if wish in (None, one["machine"], one["machine_id"])]
    if not found:
        raise NotFound(
            f"no machine is called {wish!r}; there is {', '.join(str(one['machine']) for one in held)}"
        )
    return found


def _chosen(found: "list[Finding]", patterns: list[str]) -> "list[Finding]":
    import fnmatch

    from data.errors import NotFound

    if not patterns:
        return found
    chosen = [one for one in found if any(fnmatch.fnmatchcase(one.claim.id, pattern) for pattern in patterns)]
    if not chosen:
        known = ", ".join(dict.fromkeys(one.claim.id for one in found))
        raise NotFound(f"no claim matches {patterns[0]!r}; there is {known}")
    return chosen


def _print(found: "list[Finding]") -> None:
    from rich.table import Table

    from runners.printing import console

    screen = console()
    for machine in dict.fromkeys(one.machine for one in found):
        screen.print(f"{machine}: published claims, and what was measured here", markup=False, style="bold")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("claim", "backend", "verdict and figures"):
            table.add_column(name, overflow="fold")
        for one in found:
            if one.machine == machine:
                table.add_row(one.claim.id, one.backend or "–", one.sentence)
        screen.print(table)
