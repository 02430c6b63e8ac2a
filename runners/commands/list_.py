"""``flopwatch list``."""

import argparse
import json

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch list                                   every case, with the backends that are here and not
  flopwatch list --case 'matmul/*' --backend mkl   a part of it
  flopwatch list --json                            for programs
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases that match")
    parser.add_argument("--backend", action="append", default=[], metavar="NAME", help="only these backends")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Print every case × variant × backend, available or why not."""
    from runners.plan import listing, require_known
    from runners.workload import backends, cases

    require_known("backend", options.backend, backends())
    require_known("case", options.case, (case.id for case in cases()))
    rows = listing(options.case, options.backend)
    if options.json:
        print(json.dumps(rows))
    else:
        from runners.printing import print_listing

        print_listing(rows)
    return 0
