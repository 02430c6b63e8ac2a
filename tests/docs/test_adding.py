"""docs/adding.md, followed to the letter: its files and lines are put into a copy of the tree, and used there."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, apply, blocks, copy_tree

DOCUMENT = ROOT / "docs" / "adding.md"
#: as the document measures; the budget bounds how long a busy machine is waited for
LIGHT = ("--threads", "1", "--effort", "smoke", "--no-store", "--budget", "10s")


class Tree:
    """A copy of the tree in which everything of the document was done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.folder.mkdir()
        copy_tree(self.folder)
        self.applied = [block for block in blocks(DOCUMENT) if apply(block, self.folder)]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")},
            "FLOPWATCH_HOME": str(folder / "home"),
            "PYTHONPATH": str(self.folder),
            "NUMBA_CACHE_DIR": str(folder / "numba"),
        }

    def python(self, *words: str) -> str:
        """Run Python in the copy and return what it printed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def flopwatch(self, *words: str) -> Any:
        """Run a command of the copy and return its JSON."""
        return json.loads(self.python("-m", "runners", *words, "--json"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Do what the document says, once."""
    return Tree(tmp_path_factory.mktemp("adding"))


def test_everything_is_put_in_place(tree: Tree) -> None:
    """A kernel, a backend, a page, an importer and a file for it are whole files; the rest are lines."""
    files = [block for block in tree.applied if block.text.startswith("# ")]
    assert len(files) == 5
    assert len(tree.applied) - len(files) == 6
    assert [block for block in blocks(DOCUMENT, "python", "diff", "csv") if block not in tree.applied] == []


def test_the_code_has_the_style_of_the_house(tree: Tree) -> None:
    """What people will copy passes the linter and is formatted as the house is."""
    new = [block.text.split()[1] for block in tree.applied if block.language == "python"]
    tree.python("-m", "ruff", "check", "--no-cache", *new)
    # The first line of each block is its path, so a file begins right after it.
    tree.python("-m", "ruff", "format", "--no-cache", "--check", *new)


def test_a_kernel_is_listed_and_measured(tree: Tree) -> None:
    """The new cases are available on both backends, and both variants agree with the reference."""
    listed = tree.flopwatch("list", "--case", "axpy/*")
    assert {(row["case"], row["variant"]) for row in listed if row["available"]} == {
        (f"axpy/{size}", variant) for size in ("1M", "10M") for variant in ("fused", "unfused")
    }
    done = tree.flopwatch("run", "--case", "axpy/1M", *LIGHT)
    rows = {row["variant"]: row for row in done["measurements"] if row["case"] == "axpy/1M"}
    assert {name: row["status"] for name, row in rows.items()} == {"fused": "ok", "unfused": "ok"}
    assert 0 < rows["unfused"]["max_relative_error"] < 3 * 2**-24
    assert rows["fused"]["unit"] == "GElement/s"


def test_a_backend_is_listed_and_measured(tree: Tree) -> None:
    """The new library computes three kernels that were there before, and its answer is checked."""
    listed = tree.flopwatch("list", "--backend", "arrow")
    assert {row["kernel"] for row in listed} == {"exp", "add", "mul"}
    assert all(row["available"] for row in listed)
    done = tree.flopwatch("run", "--case", "exp/1M", "--backend", "arrow", *LIGHT)
    (row,) = [row for row in done["measurements"] if row["case"] == "exp/1M"]
    assert (row["status"], row["backend"], row["condition"]) == ("ok", "arrow", "fresh")


_OPEN = """
import json
from streamlit.testing.v1 import AppTest
test = AppTest.from_file("app/dashboard.py", default_timeout=60)
test.query_params["machine"] = "atlas"
test.switch_page("views/exactness.py").run()
assert not test.exception, test.exception
(figure,) = [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]
print(json.dumps([test.title[0].value, figure["data"][0]["y"], [frame.value.shape[0] for frame in test.dataframe]]))
"""


def test_a_page_answers_its_question(tree: Tree, tmp_path: Path) -> None:
    """The page draws the worst error of each series of a stored run, and its table has every result."""
    from tests.app.builder import Plan, standard_cells, write_run

    write_run(tmp_path / "board.run.jsonl", Plan(standard_cells()))
    tree.python("-m", "runners", "import", str(tmp_path / "board.run.jsonl"))
    title, errors, counts = json.loads(tree.python("-c", _OPEN).splitlines()[-1])
    assert title == "Exactness"
    assert errors
    assert all(0 <= error < 1 for error in errors)
    assert max(errors) > 0
    assert counts[0] > len(errors)


def test_an_importer_reads_its_file(tree: Tree) -> None:
    """The file of the document becomes one benchmark of three processes; a wrong number is named with its line."""
    (imported,) = tree.flopwatch("import", "times.csv", "--machine", "this", "--date", "2026-11-22")
    assert imported["format"] == "times-csv"
    rows = tree.python("-c", _PROCESSES)
    case, processes, time_ns = rows.strip().split("\t")
    assert (case, processes) == ("times-csv:sort a million", "3")
    assert float(time_ns) == pytest.approx(71.2e6)
    (tree.folder / "wrong.csv").write_text("benchmark,seconds\nsort,0.1\nsort,fast\n", "utf-8")
    with pytest.raises(AssertionError, match=r"wrong\.csv, line 3, seconds: 'fast' is no number of seconds"):
        tree.flopwatch("import", "wrong.csv")


_PROCESSES = r"""
from data.index import Index
with Index.open() as index:
    for row in index.query("SELECT case_id, processes, time_ns FROM latest WHERE case_id LIKE 'times-csv:%'"):
        print(*row.values(), sep="\t")
"""


def test_where_is_what() -> None:
    """Each name of the last table is defined in the file beside it."""
    table = DOCUMENT.read_text("utf-8").partition("## Where is what")[2]
    rows = re.findall(r"^\| [^|]+ \| (.*?`([\w/.]+\.py)`) \| `(\w+)` \|$", table, re.MULTILINE)
    assert len(rows) == table.count("\n| ") - 1
    for _, file, name in rows:
        assert name in _defined(ROOT / file), f"{file} defines no {name}"


def _defined(path: Path) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign):
            targets = [item for target in node.targets for item in ast.walk(target)]
            found |= {item.id for item in targets if isinstance(item, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def test_the_document_is_among_those_that_are_tested() -> None:
    """Its commands and links are tested with all others."""
    assert DOCUMENT in DOCUMENTS
