"""``flopwatch report``."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.report import Selection

__all__ = ["add_choice", "arguments", "choice", "main"]

_EPILOG = """\
examples:
  flopwatch report -o report.md                               everything that is stored, charts in report_files/
  flopwatch report --run latest --format html -o report.html  one run, as one file
  flopwatch report --run latest --against previous --format short
                                                              a comment for a pull request, on the screen
  flopwatch report --machine lab --version numpy==2.4* --since 2026-11-01 -o lab.md
"""


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose results."""
    add = parser.add_argument
    add(
        "--run",
        action="append",
        default=[],
        metavar="ID",
        help="only these runs: an id, its begin, latest, previous",
    )
    add(
        "--machine",
        action="append",
        default=[],
        metavar="NAME",
        help="only these machines (name, id or glob)",
    )
    add(
        "--version",
        action="append",
        default=[],
        metavar="NAME==X",
        help="only runs with this package (numpy==2.4*), or this version or commit of flopwatch",
    )
    add("--case", action="append", default=[], metavar="GLOB", help="only these cases")
    add("--since", metavar="WHEN", help="only runs from then on: 2026-11-22, or 30d for days ago")
    add("--until", metavar="WHEN", help="only runs until then")


def choice(options: argparse.Namespace) -> "Selection":
    """Return the choice that the options make."""
    from data.report.selection import Selection, moment

    return Selection(
        runs=tuple(options.run),
        machines=tuple(options.machine),
        versions=tuple(options.version),
        cases=tuple(options.case),
        since=moment(options.since) if options.since else None,
        until=moment(options.until) if options.until else None,
    )


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("-o", "--out", type=Path, metavar="FILE", help="write here (default: to the screen, without charts)")
    add("--format", choices=("markdown", "html", "short"), help="default: by the name of FILE, else markdown")
    add("--template", type=Path, metavar="FILE", help="a Jinja template in place of the format's own")
    add("--against", metavar="ID", help="what changed since this run: an id, its begin, or previous")
    add("--no-charts", action="store_true", help="tables only")
    add_choice(parser)


def main(options: argparse.Namespace) -> int:
    """Write the report of what is chosen."""
    from data.errors import BadInput
    from data.index import Index
    from data.report import build, render, write

    if options.template and not options.template.is_file():
        raise BadInput(f"{options.template} is no file; templates are Jinja files")
    by_name = options.out is not None and options.out.suffix in (".html", ".htm")
    format_ = options.format or ("html" if by_name else "markdown")
    on_screen = options.out is None or str(options.out) == "-"
    with Index.open() as index:
        draw = not options.no_charts and format_ != "short" and (format_ == "html" or not on_screen)
        report = build(index, choice(options), draw=draw, against=options.against)
        if index.problem:
            print(f"flopwatch: {index.problem}", file=sys.stderr)
    if on_screen:
        print(render(report, format_, template=options.template), end="")
        return 0
    files = write(report, options.out, format_, options.template)
    beside = f" and {len(files) - 1} charts in {files[1].parent}" if len(files) > 1 else ""
    print(f"{options.out}{beside}: {len(report.tables)} tables")
    return 0
