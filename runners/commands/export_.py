"""``flopwatch export``."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runners.commands.report_ import add_choice, choice

if TYPE_CHECKING:
    from data.index import Index

__all__ = ["arguments", "main"]

_EPILOG = """\
what:
  a view        board, latest, samples, runs, machines … as Parquet, CSV, JSON or JSON lines, by the name of FILE
  all           every documented view, one file each, in the folder FILE
  archive       the whole board as one .tar.gz, for flopwatch import elsewhere
  bencher       the newest results in Bencher Metric Format
  badge         an SVG badge of the fastest result in the choice
  views         the names of the views, and what they hold

examples:
  flopwatch export board -o board.parquet --since 2026-11-01
  flopwatch export samples --run latest -o samples.csv
  flopwatch export all -o exported --format parquet
  flopwatch export archive -o board.tar.gz
  flopwatch export badge --case matmul/1024 --variant blas -o matmul.svg
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from data.export import FORMATS

    parser.epilog = _EPILOG
    add = parser.add_argument
    add("what", metavar="WHAT", help="a view, all, archive, bencher, badge, or views")
    add("-o", "--out", type=Path, metavar="FILE", help="write here (bencher and badge: default the screen)")
    add("--format", choices=tuple(FORMATS), help="of views (default: by the name of FILE)")
    add("--variant", metavar="NAME", help="badge: only this variant")
    add("--backend", metavar="NAME", help="badge: only this backend")
    add("--label", default="", metavar="TEXT", help="badge: the text on the left")
    add_choice(parser)


def main(options: argparse.Namespace) -> int:
    """Write what is asked for."""
    from data.errors import BadInput
    from data.index import Index

    if options.what not in ("bencher", "badge", "views") and options.out is None:
        raise BadInput(f"export {options.what} needs -o FILE")
    if options.what == "archive":
        from data import maintenance

        found = maintenance.backup(options.out)
        print(f"{options.out}: {', '.join(f'{name} {value}' for name, value in found.items())}")
        return 0
    with Index.open() as index:
        if index.problem:
            print(f"flopwatch: {index.problem}", file=sys.stderr)
        if options.what == "views":
            _list(index)
        elif options.what in ("bencher", "badge"):
            _text(index, options)
        else:
            _tables(index, options)
    return 0


def _list(index: "Index") -> None:
    from data.export import views

    for name, what in views(index).items():
        print(f"{name:16} {what}")


def _text(index: "Index", options: argparse.Namespace) -> None:
    from data.export import badge, bencher
    from data.report.render import write_text

    if options.what == "bencher":
        text = bencher(index, choice(options))
    else:

        def wanted(row: dict[str, object]) -> bool:
            return all(
                getattr(options, name) is None or row[name] == getattr(options, name)
                for name in ("variant", "backend")
            )

        text = badge(index, choice(options), wanted, options.label)
    if options.out is None or str(options.out) == "-":
        print(text, end="")
        return
    write_text(options.out, text)
    print(options.out)


def _tables(index: "Index", options: argparse.Namespace) -> None:
    from data.errors import BadInput
    from data.export import FORMATS, export_view, views

    wanted = list(views(index)) if options.what == "all" else [options.what]
    suffix = options.out.suffix.removeprefix(".")
    format_ = options.format or ("parquet" if options.what == "all" else suffix)
    if format_ not in FORMATS:
        raise BadInput(
            f"{options.out.name} names no format: {', '.join('.' + name for name in FORMATS)}, or give --format"
        )
    for view in wanted:
        path = options.out / f"{view}.{format_}" if options.what == "all" else options.out
        count = export_view(index, view, path, format_, choice(options))
        print(f"{path}: {count:,} rows")
