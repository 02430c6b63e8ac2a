"""What the documents say: their fenced blocks, their links, and code that is to be put into a tree."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCUMENTS", "ROOT", "Block", "apply", "blocks", "copy_tree", "plain_text"]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
#: the first line of a block that is a whole file, and of one that adds lines to a file
_FILE, _LINES = re.compile(r"# (\S+\.\w+)\n"), re.compile(r"\+\+\+ (\S+)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, in which language it is, and its text."""

    document: str
    line: int
    language: str
    text: str


def blocks(document: Path, *languages: str) -> Iterator[Block]:
    """Yield the fenced blocks of a document, or those in some languages, in their order."""
    text = document.read_text("utf-8")
    for found in _FENCE.finditer(text):
        if not languages or found["language"] in languages:
            line = text.count("\n", 0, found.start()) + 2
            yield Block(document.relative_to(ROOT).as_posix(), line, found["language"], found["text"])


def plain_text(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", document.read_text("utf-8"))


def copy_tree(into: Path) -> None:
    """Copy what a checkout needs to run."""
    for name in ("runners", "data", "app"):
        shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("local", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", into)


def apply(block: Block, tree: Path) -> bool:
    """Do to a tree what a block says: write a file, or add lines below the line before them; False for neither."""
    if named := _FILE.match(block.text):
        path = tree / named[1]
        assert not path.exists(), f"{block.document}:{block.line}: {named[1]} is there already"
        path.write_text(block.text[named.end() :], "utf-8")
        return True
    if named := _LINES.match(block.text):
        _add(tree / named[1], block.text[named.end() :].splitlines(), block)
        return True
    return False


def _add(path: Path, wanted: list[str], block: Block) -> None:
    lines = path.read_text("utf-8").splitlines()
    at = 0
    for line in wanted:
        if line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
        else:
            places = [number for number, held in enumerate(lines) if held == line[1:]]
            assert len(places) == 1, (
                f"{block.document}:{block.line}: {line!r} stands {len(places)} times in {path}"
            )
            at = places[0] + 1
    path.write_text("\n".join(lines) + "\n", "utf-8")
