"""docs/troubleshooting.md quotes messages that exist, and docs/glossary.md the words that the program says."""

import ast
import re
from functools import cache

import pytest

from data.words import Comparability, Effort, Profile, Status, Verdict
from runners.plan import listing
from tests.docs.documents import ROOT

_TABLES, _, _OTHERS = (
    (ROOT / "docs" / "troubleshooting.md").read_text("utf-8").partition("## From other programs")
)
MESSAGES = re.findall(r"^\| `([^`]+)` \|", _TABLES, re.MULTILINE)
#: stands for a value, in the document and in what is read from the source
GAP = "…"


def _text(node: ast.AST) -> str:
    """Return a literal as text, with a gap for each value that is put in; nothing for what is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return ""


@cache
def said() -> str:
    """Return every text of the program, one a line."""
    texts = [(ROOT / "Justfile").read_text("utf-8")]
    for package in ("runners", "data", "app"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if ROOT / "data" / "local" not in path.parents:
                texts += [_text(node) for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    return "\n".join(text.replace("\n", " ") if number else text for number, text in enumerate(texts))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_in_the_source(message: str) -> None:
    """The words between the gaps stand in one text of the program, in this order."""
    parts = [re.escape(part) for part in message.split(GAP)]
    assert sum(map(len, parts)) >= 10, "a message of gaps proves nothing"
    assert re.search(".*".join(parts), said()), message


def test_there_are_messages_of_every_kind() -> None:
    """Each table has some, and no row has slipped through the pattern."""
    rows = [
        line for line in _TABLES.splitlines() if line.startswith("| ") and not line.startswith("| message")
    ]
    assert len(rows) == len(MESSAGES) >= 40


def test_an_invented_message_is_found_out() -> None:
    """The search can fail."""
    assert not re.search("the index … is owned by nobody".replace(GAP, ".*"), said())


def test_the_glossary_has_the_words_that_the_program_says() -> None:
    """Every status, verdict, effort, profile and condition is explained, and the words stand in alphabetical order."""
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    words = re.findall(r"^\| \*\*([^*]+)\*\*", glossary, re.MULTILINE)
    assert words == sorted(set(words))
    conditions = {str(row["condition"]) for row in listing()}
    enumerations = {word.value for kind in (Status, Verdict, Effort, Profile) for word in kind}
    for word in sorted(conditions | enumerations):
        assert f"`{word}`" in glossary, word
    assert {"kernel", "case", "variant", "sample", "run", "ceiling", "claim", "noise floor"} <= set(words)
    assert len(Comparability) == 3
