"""``flopwatch import``."""

import argparse
import json
from pathlib import Path

__all__ = ["arguments", "main"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="run files, gzipped or not")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Validate each file whole, append it to the ledger and index it."""
    from data.index import record

    receipts = [record(path) for path in options.files]
    if options.json:
        print(json.dumps([receipt.to_json() for receipt in receipts]))
    else:
        for path, receipt in zip(options.files, receipts, strict=True):
            print(f"{path}: {receipt}")
    return 0
