"""``flopwatch import``."""

import argparse
import json
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.importers import CaseOf
    from data.importers.convert import Place
    from data.records import Machine

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch import node.run.jsonl                            a run file of another machine
  flopwatch import board.tar.gz                              a whole board: flopwatch export archive
  flopwatch import target/criterion --machine this           what cargo bench left behind, measured here
  flopwatch import target/criterion --map 'matmul/naive/*=matmul/*:naive'
                                                             beside our own numbers of the same cases
  flopwatch import result.json --format pyperf --date 2026-11-22
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from data.importers import IMPORTERS

    parser.epilog = _EPILOG + "\nformats:\n" + "".join(f"  {one.name:17} {one.title}\n" for one in IMPORTERS)
    add = parser.add_argument
    add(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="run files, boards, or results of other tools (files, folders)",
    )
    names = ["auto", "run", "board", *(one.name for one in IMPORTERS)]
    add("--format", choices=names, default="auto", metavar="NAME", help="default: auto, by the content")
    add("--machine", metavar="NAME", help="who measured, where the file does not tell: this, or a name")
    add("--date", metavar="WHEN", help="when, where the file does not tell (default: the file's own date)")
    add(
        "--map",
        action="append",
        default=[],
        metavar="NAME=CASE[:VARIANT]",
        help="a name of the tool (with * for any part) is this case of the workload",
    )
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Validate each file whole, append it to the ledger and index it; one that is refused does not stop the others."""
    from data.errors import BadInput, NotStored

    answers: list[dict[str, Any]] = []
    refused = 0
    take = _taker(options)
    for path in options.files:
        try:
            for answer, text in take(path):
                answers.append(answer)
                if not options.json:
                    print(f"{path}: {text}")
        except BadInput as error:
            refused += 1
            answers.append({"error": error.describe()})
            print(f"flopwatch: {error}", file=sys.stderr)
        except NotStored as error:
            raise NotStored(f"{path} could not be stored: {error}") from error
    if options.json:
        print(json.dumps(answers))
    return 2 if refused else 0


Answer = tuple[dict[str, Any], str]


def _taker(options: argparse.Namespace) -> Callable[[Path], Iterator[Answer]]:
    """Return what takes in one file; wrong options are refused before any file is read."""
    case_of = _mapping(options.map)
    machine = _named_machine(options.machine) if options.machine else None

    def take(path: Path) -> Iterator[Answer]:
        format_ = options.format if options.format != "auto" else _kind(path)
        if format_ == "run":
            yield _run_file(path)
        elif format_ == "board":
            yield _board(path)
        else:
            yield from _other_tool(path, format_, options.date, machine, case_of)

    return take


def _kind(path: Path) -> str:
    """Return ``run``, ``board`` or ``auto`` for what another tool wrote."""
    from data.errors import BadInput

    if not path.exists():
        raise BadInput(f"{path} is no file")
    if path.name.endswith((".run.jsonl", ".run.jsonl.gz")):
        return "run"
    if path.is_file() and tarfile.is_tarfile(path):
        return "board"
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(4096).lstrip()
        if re.match(rb'\{\s*"kind"\s*:', head) or (
            head[:2] == b"\x1f\x8b" and path.name.endswith(".jsonl.gz")
        ):
            return "run"
        if not head or (path.suffix == ".jsonl" and not head.startswith(b'{"reason"')):
            return "run"
    return "auto"


def _run_file(path: Path) -> Answer:
    from data.errors import BadInput
    from data.index import record

    if not path.is_file():
        raise BadInput(f"{path} is no file")
    receipt = record(path)
    return receipt.to_json(), str(receipt)


def _board(path: Path) -> Answer:
    from data import maintenance

    found = maintenance.restore(path)
    return found, ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in found.items())


def _other_tool(
    path: Path, format_: str, date: str | None, machine: "Machine | None", case_of: "CaseOf"
) -> Iterator[Answer]:
    from data.importers import Source, detect, find, to_run_file
    from data.index import record
    from data.report.selection import moment

    source = Source(path)
    importer = detect(source) if format_ == "auto" else find(format_)
    when = moment(date) if date else datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    files = []
    for imported in importer.read(source):
        content = source.content or repr(imported.results).encode()
        files.append((imported, to_run_file(imported, content, when, machine=machine, case_of=case_of)))
    with TemporaryDirectory() as folder:
        for number, (imported, content) in enumerate(files):
            run_file = Path(folder) / f"{number}.run.jsonl"
            run_file.write_bytes(content)
            receipt = record(run_file)
            timed = sum(1 for result in imported.results if result.timings)
            text = f"{importer.title}, {len(imported.results)} benchmarks, {timed} with a time: {receipt}"
            yield receipt.to_json() | {"format": importer.name}, text


def _named_machine(wish: str) -> "Machine | None":
    """Return this machine, one that the board knows by this name or id, or a new one that only has a name."""
    import hashlib

    import msgspec

    from data.index import Index
    from data.records import Machine

    if wish == "this":
        from runners.machine import describe_machine

        return describe_machine()
    with Index.open() as index:
        rows = index.query(
            "SELECT * FROM machine WHERE machine_id = $wish OR coalesce(given_name, name) = $wish "
            "ORDER BY described DESC LIMIT 1",
            {"wish": wish},
        )
    if not rows:
        identity = hashlib.blake2b(f"named\0{wish}".encode(), digest_size=6).hexdigest()
        return Machine(identity, wish[:200], "unknown", 0, 0, 0)
    row = rows[0]
    known = (
        row["machine_id"],
        row["name"],
        row["cpu_model"],
        row["cores"],
        row["threads"],
        row["memory_bytes"],
    )
    return Machine(*known, row["devices"], msgspec.json.decode(row["attributes"]))


def _mapping(wishes: list[str]) -> "CaseOf":
    """Return what tells the case of the workload that a name means; raises BadInput for a wish that is none."""
    from data.errors import BadInput
    from runners.workload import cases

    rules = []
    for wish in wishes:
        pattern, equals, target = wish.partition("=")
        case, _, variant = target.partition(":")
        if not (pattern and equals and case) or case.count("*") > pattern.count("*"):
            raise BadInput(f"--map {wish!r} is not NAME=CASE[:VARIANT] with as many * on the left")
        expression = "(.+)".join(re.escape(part) for part in pattern.split("*"))
        rules.append((re.compile(expression), case, variant or "imported"))
    known = {case.id: case for case in cases()} if rules else {}

    def case_of(name: str) -> "Place | None":
        from data.importers.convert import Place
        from data.records import Work

        for expression, case, variant in rules:
            match = expression.fullmatch(name)
            if match is None:
                continue
            meant = "".join(
                part for pair in zip_longest(case.split("*"), match.groups(), fillvalue="") for part in pair
            )
            if meant not in known:
                raise BadInput(
                    f"--map makes {meant!r} of {name!r}, and there is no such case: flopwatch list"
                )
            found = known[meant]
            work = found.work
            counted = Work(work.version, work.flop, work.bytes, work.elements, work.tokens)
            return Place(meant, found.kernel, variant, counted, found.unit, found.bound)
        return None

    return case_of
