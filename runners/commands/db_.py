"""``flopwatch db``."""

import argparse
import json
from pathlib import Path
from typing import Any

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch db info                    where everything lies and how much there is
  flopwatch db check                   every entry's hash, and the index against the ledger
  flopwatch db backup board.tar.gz     also while the board is in use
  flopwatch db restore board.tar.gz
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    what = parser.add_subparsers(dest="what", metavar="ACTION", required=True)
    for name, summary in (
        ("info", "where everything lies, how much there is, and who owns the index"),
        ("check", "the ledger's hashes, the index's counts, and one against the other"),
        ("rebuild", "make the index anew from the ledger"),
        ("backup", "write the whole ledger into one file, also while it is in use"),
        ("restore", "take the entries of a backup into the ledger"),
    ):
        action = what.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        action.add_argument("--json", action="store_true", help="print JSON")
        if name in ("backup", "restore"):
            action.add_argument("file", type=Path, metavar="FILE", help="a .tar or .tar.gz file")


def main(options: argparse.Namespace) -> int:
    """Do it and print what came of it; ``check`` ends with 1 where something is wrong."""
    from data import maintenance
    from data.errors import BadInput

    if options.what == "restore" and not options.file.is_file():
        raise BadInput(f"{options.file} is no file; give one that flopwatch db backup wrote")

    actions: dict[str, Any] = {
        "info": maintenance.info,
        "check": maintenance.check,
        "rebuild": maintenance.rebuild,
        "backup": lambda: maintenance.backup(options.file),
        "restore": lambda: maintenance.restore(options.file),
    }
    found: dict[str, Any] = actions[options.what]()
    if options.json:
        print(json.dumps(found, default=str))
    else:
        for name, value in found.items():
            for line in value if isinstance(value, list) else [value]:
                print(f"{name.replace('_', ' ')}: {'–' if line is None else line}")
    return 0 if found.get("ok", True) else 1
