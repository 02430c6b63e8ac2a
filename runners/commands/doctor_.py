"""``flopwatch doctor``."""

import argparse
import json
from dataclasses import asdict

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch doctor            what would disturb a measurement, what matters first
  flopwatch doctor --json     for programs
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Examine the machine and print what was seen, what it does to a result, and the remedy."""
    from runners.doctor import examine, render

    findings = examine()
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        render(findings)
    return 0
