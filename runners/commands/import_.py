"""``flopwatch import``."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["arguments", "main"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="run files, gzipped or not")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Validate each file whole, append it to the ledger and index it; one that is refused does not stop the others."""
    from data.errors import BadInput, NotStored
    from data.index import record

    answers: list[dict[str, Any]] = []
    refused = 0
    for path in options.files:
        try:
            if not path.is_file():
                raise BadInput(f"{path} is no file")
            receipt = record(path)
            answers.append(receipt.to_json())
            if not options.json:
                print(f"{path}: {receipt}")
        except BadInput as error:
            refused += 1
            answers.append({"error": error.describe()})
            print(f"flopwatch: {error}", file=sys.stderr)
        except NotStored as error:
            raise NotStored(f"{path} could not be stored: {error}") from error
    if options.json:
        print(json.dumps(answers))
    return 2 if refused else 0
