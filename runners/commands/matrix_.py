"""``flopwatch matrix``."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runners.commands._options import choices, outcomes, wishes_from

if TYPE_CHECKING:
    from data.rundocument import RunDocument
    from data.versions import Meeting
    from runners.matrix import Matrix
    from runners.recipes import Recipe

__all__ = ["arguments", "main", "recipes_from"]

_EPILOG = """\
an environment is written as parts separated by commas:
  numpy==2.4.6                   a requirement; what is not named has the version that is here
  numpy==2.*                     the latest release of each minor version, an environment for each
  python=3.12  threads=2         an interpreter that is here; a thread count
  OPENBLAS_CORETYPE=Haswell      a variable of the environment
  kernels=my_kernels.py@main     a file of kernels, or a checkout of flopwatch, at a commit
  package=../orjson@v3.10        a package built from its checkout at a commit
  name=old                       what it is called (default: the text itself)

examples:
  flopwatch matrix --with numpy==1.26.4 --with numpy==2.4.6 --case 'relu/*' --backend numpy
  flopwatch matrix --with numpy==2.4.6 --with 'numpy==2.4.6,numba==0.66.*'
  flopwatch matrix --file matrix.toml        with = [...], axes = { numpy = [...] }, include, exclude
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--with", action="append", default=[], dest="recipes", metavar="ENVIRONMENT", help="an environment")
    add("--file", type=Path, metavar="FILE", help="a TOML file of environments ([tool.flopwatch.matrix])")
    add(
        "--margin",
        type=float,
        default=0.02,
        metavar="0.02",
        help="within this share of 1 is the same; without --effort, a case goes on until that is known (2 min at most)",
    )
    choices(parser)
    outcomes(parser)


def recipes_from(texts: list[str], file: Path | None) -> "list[Recipe]":
    """Return the recipes of the command line and of a file.  Raises BadInput for fewer than two."""
    from data.errors import BadInput
    from runners.recipes import expand, from_file, unique

    recipes = [recipe for text in [*texts, *(from_file(file) if file else [])] for recipe in expand(text)]
    if len(recipes) < 2:
        raise BadInput("a matrix compares at least two environments: give --with twice, or a --file")
    if len({recipe.threads is None for recipe in recipes}) > 1:
        raise BadInput(
            "give threads= for every environment or for none, so that it is known what is compared"
        )
    return unique(recipes)


def main(options: argparse.Namespace) -> int:
    """Measure the same cases in several environments side by side, and print the verdict on each pair."""
    from dataclasses import replace

    from data.errors import BadInput
    from data.versions import every_pair
    from runners.matrix import measure_matrix, prepare
    from runners.printing import Screen

    if not 0 < options.margin < 1:
        raise BadInput(f"--margin {options.margin} is not possible; give a share such as 0.02")
    recipes = recipes_from(options.recipes, options.file)
    wishes = replace(wishes_from(options), margin=options.margin, until_decided=options.effort is None)
    with Screen(quiet=options.json) as screen:
        arms = prepare(recipes, wishes, screen)
        matrix = measure_matrix(arms, wishes, screen, _command(options))
    documents = matrix.documents()
    meetings = every_pair(documents, margin=options.margin)
    if options.json:
        print(json.dumps(_summary(matrix, meetings)))
    else:
        _print(matrix, documents, meetings)
    return _status(matrix, documents)


def _command(options: argparse.Namespace) -> list[str]:
    from data.estimate import MARGIN

    words = ["flopwatch", "matrix"]
    for text in options.recipes:
        words += ["--with", text]
    if options.file:
        words += ["--file", str(options.file)]
    words += ["--margin", f"{options.margin:g}"] if options.margin != MARGIN else []
    words += ["--precision", f"{options.precision:g}"] if options.precision else []
    for name in ("profile", "effort"):
        words += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    for name in ("case", "variant", "backend", "threads"):
        for value in getattr(options, name):
            words += [f"--{name}", str(value)]
    return words


def _status(matrix: "Matrix", documents: "list[tuple[str, RunDocument]]") -> int:
    from data.words import Status

    statuses = {line.status for _, document in documents for line in document.lines}
    if matrix.stopped == "interrupted":
        return 4
    if Status.WRONG in statuses:
        return 1
    return 0 if Status.OK in statuses else 3


def _summary(matrix: "Matrix", meetings: "list[Meeting]") -> dict[str, Any]:
    return {
        "matrix": matrix.id,
        "stopped": matrix.stopped,
        "elapsed_s": round(matrix.elapsed_s, 3),
        "environments": [
            {"name": name, "file": str(file), "refused": matrix.refused.get(name)}
            for name, file in matrix.files.items()
        ],
        "comparisons": [_row(meeting) for meeting in meetings],
    }


def _row(meeting: "Meeting") -> dict[str, Any]:
    names = ("case", "variant", "condition", "backend", "device", "threads")
    comparison = meeting.comparison
    return dict(zip(names, meeting.key, strict=True)) | {
        "old": meeting.old,
        "new": meeting.new,
        "ratio": comparison.ratio,
        "low": comparison.low,
        "high": comparison.high,
        "processes": comparison.processes,
        "pairing": "processes",
        "verdict": comparison.verdict.value,
        "differs": comparison.differs,
        "remains": meeting.remains,
        "needs_processes": comparison.needs_processes,
    }


def _print(matrix: "Matrix", documents: "list[tuple[str, RunDocument]]", meetings: "list[Meeting]") -> None:
    from rich.table import Table

    from runners.printing import console

    screen = console()
    names = [name for name, _ in documents]
    if len(names) > 1:
        screen.print(
            f"new / old with 95 % interval over processes that took turns; old is {names[0]}; "
            "* remains when 5 % of those that remain may be chance",
            markup=False,
        )
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("case", "variant", "backend", "threads", *names[1:]):
            table.add_column(name, overflow="fold")
        cells: dict[Any, dict[str, str]] = {}
        for meeting in meetings:
            if meeting.old == names[0]:
                cells.setdefault(meeting.key, {})[meeting.new] = _figure(meeting)
        for key, found in cells.items():
            case, variant, condition, backend, _, threads = key
            label = variant if condition == "given" else f"{variant} ({condition})"
            table.add_row(case, label, backend, str(threads), *(found.get(name, "–") for name in names[1:]))
        screen.print(table)
        _print_pairs(meetings, names)
    for name, reason in matrix.refused.items():
        screen.print(f"{name} could not be built: {reason}", markup=False)
    for name, file in matrix.files.items():
        screen.print(f"{name}: {file}", markup=False)
    screen.print(f"{matrix.elapsed_s:.0f} s, stored: {matrix.stored[0]}", markup=False)


def _figure(meeting: "Meeting") -> str:
    comparison = meeting.comparison
    text = f"{comparison.ratio:.3f}"
    if comparison.low is not None and comparison.high is not None:
        text += f" ({comparison.low:.3f}–{comparison.high:.3f})"
    return f"{text} {comparison.verdict.value}{'*' if meeting.remains else ''}"


def _print_pairs(meetings: "list[Meeting]", names: list[str]) -> None:
    """Print for each pair how many measurements had which verdict."""
    from rich.table import Table

    from runners.printing import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("old", "new", "faster", "slower", "same", "inconclusive"):
        table.add_column(name, justify="left" if name in ("old", "new") else "right", overflow="fold")
    for number, old in enumerate(names):
        for new in names[number + 1 :]:
            counts = Counter(
                one.comparison.verdict.value for one in meetings if (one.old, one.new) == (old, new)
            )
            table.add_row(
                old, new, *(str(counts[word]) for word in ("faster", "slower", "same", "inconclusive"))
            )
    console().print(table)
