"""Every command of the README and of docs/ is run, in a temporary home with a board beside it.

Where that cannot be, a table says why.  What measures for minutes is held against the real parser and the real names
of cases and backends; with ``--out`` it is run with a small kernel in place of its cases.  Words are expanded by a
shell, as people's are.
"""

import re
import shutil
import subprocess
import tomllib
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data.index import record_in_ledger
from runners import cli, workload
from tests.app.board_server import BoardServer
from tests.app.builder import Plan, standard_cells, write_run
from tests.docs.documents import DOCUMENTS, ROOT, blocks, plain_text
from tests.runners.conftest import FAKE_KERNELS

#: what cannot be run here, and why; a line that matches none of these is run
NOT_HERE = {
    r"just (board|test)$": "it is what runs these tests; the build types it as the README says it",
    r"just (setup|app|board|clean)\b": "it makes or serves the environment that these tests run in",
    r"just (test|lint|bench|soak|lock)\b": "it is how these tests are run",
    r"streamlit run": "it serves until it is ended; the board of this module is started by the same words",
    r"axpy|arrow|times\.csv": "it needs what the document adds; test_adding runs it in a copy of the tree",
    r"cuda1[23]|cupy": "it needs a GPU",
    r"pip (install|download)|-m venv": "it downloads packages",
    r"git (clone|pull)|^cd ": "it needs the repository's address",
    r"systemctl|loginctl": "it changes the services of the system",
    r"schedule \w+ (windows|launchd)|metal|--backend (mlx|accelerate)": "it needs another system",
    r"schedule (install|remove)|\bssh\b": "it changes the schedules of the user, or needs another machine",
    r"db\.example\.org|LEDGER=postgresql": "it needs a PostgreSQL server; tests/data starts one",
    r"uv tool run": "it needs the built wheel; tests/release installs that and runs it",
    r"-m tests\.": "it is a proof at length, which measures for minutes",
    r"restore moving\.tar\.gz": "it follows on PostgreSQL; test_maintenance.py runs it on a real server",
}
#: commands that measure, for minutes or hours
MEASURES = ("run", "matrix", "bisect", "reproduce", "job")
#: names that belong to the reader
OF_THE_READER = ("mine/*", "axpy/*", "axpy/1M", "arrow")
SMALL = ("--case", "fake/steady", "--backend", "numpy", "--threads", "1", "--effort", "smoke")
#: lines that only a shell can run
_SHELL = re.compile(r"[|;<>&]")
_PROGRAM = re.compile(r"(\S*[/\\])?flopwatch")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardServer]:
    """A board that takes what the commands send."""
    with BoardServer(tmp_path_factory.mktemp("board")) as server:
        yield server


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two runs, which stay the latest whatever is measured, and run files that came from elsewhere."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOPWATCH_HOME", str(folder / "home"))
        (folder / "home" / "runs").mkdir(parents=True)
        for number, factor in enumerate((1.0, 1.1)):
            path = folder / "home" / "runs" / f"{number}.run.jsonl"
            write_run(
                path, Plan(standard_cells(factor), started=datetime.now(UTC) + timedelta(hours=1 + number))
            )
            record_in_ledger(path)
    for name in ("night", "elsewhere"):
        write_run(folder / f"{name}.run.jsonl", Plan(standard_cells()))
    return folder


class Person:
    """Types the commands of one document, in a folder and a home of their own."""

    def __init__(self, folder: Path, board: BoardServer, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch, self.typed = folder, patch, 0
        self.token = board.token(folder.name)
        self.addresses = {"https://bench.example.org": board.url, "http://localhost:8501": board.url}
        (folder / "token").write_text(self.token, "utf-8")
        for name in (
            "FLOPWATCH_DB",
            "FLOPWATCH_LEDGER",
            "FLOPWATCH_URL",
            "FLOPWATCH_TOKEN",
            "FLOPWATCH_MACHINE",
        ):
            patch.delenv(name, raising=False)
        patch.setenv("FLOPWATCH_HOME", str(folder / "home"))
        patch.setenv("FLOPWATCH_KERNELS", str(FAKE_KERNELS))
        patch.chdir(folder)

    def types(self, line: str) -> None:
        """Do what the line says; where it cannot be done here, hold the arguments of our program against its parser."""
        if any(re.search(pattern, line) for pattern in NOT_HERE):
            for words in _of_our_program(line):
                known(parsed(words))
            return
        for address, here in self.addresses.items():
            line = line.replace(address, here)
        self.typed += 1
        words = expanded(line.replace("fw_…", self.token))
        if words[0] == "export":
            for name, value in (word.split("=", 1) for word in words[1:]):
                if name != "FLOPWATCH_HOME":
                    self.patch.setenv(name, value)
        elif _SHELL.search(re.sub(r"'[^']*'|\"[^\"]*\"|\$\([^)]*\)| #.*", "", line)):
            raise AssertionError(f"{line}: write one command a line, or say in NOT_HERE why it cannot be run")
        else:
            self._run(words)

    def _run(self, words: list[str]) -> None:
        assert _PROGRAM.fullmatch(words[0]), f"{words}: run it here, or say in NOT_HERE why it cannot be run"
        options = parsed(words[1:])
        if options.command not in MEASURES:
            assert cli.main(words[1:]) == 0, words
            return
        known(options)
        if getattr(options, "out", None) and options.command == "run":
            kept = [word for name in ("--out", "--upload", "--label") for word in _option(words, name)]
            assert cli.main(["run", *SMALL, *kept]) == 0, words


def expanded(line: str) -> list[str]:
    """Return the words of a line as the shell sees them, comments left out."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split("\0")[:-1]


def parsed(words: list[str]) -> Namespace:
    """Return what the real parser makes of the arguments; a wrong one fails the test with the parser's words."""
    assert words, "no command"
    assert words[0] in cli.COMMANDS, words
    try:
        return cli.whole_parser().parse_args(words)
    except SystemExit as ended:
        raise AssertionError(f"flopwatch {' '.join(words)} is refused with {ended.code}") from None


def known(options: Namespace) -> None:
    """Fail for a case or a backend that does not exist."""
    for pattern in getattr(options, "case", None) or ():
        assert pattern in OF_THE_READER or list(workload.cases((pattern,))), pattern
    names = {backend.name for backend in workload.backends().values()}
    for name in getattr(options, "backend", None) or ():
        assert name in names or name in OF_THE_READER, name


def _option(words: list[str], name: str) -> list[str]:
    return words[words.index(name) : words.index(name) + 2] if name in words else []


def _of_our_program(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of flopwatch in a line."""
    for command in re.split(r"&&|;|\|", line):
        found = re.search(r"(?:^|\s)(?:\S*[/\\])?(?:flopwatch|-m runners) (.*)", command)
        if found and not found[1].startswith(("-", "#")):
            words = expanded(found[1])
            if words[0] in cli.COMMANDS:
                yield words


def lines(document: Path) -> Iterator[str]:
    """Yield the commands of a document: lines of ``sh``, and those after a prompt in ``console``."""
    for block in blocks(document, "sh", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if block.language == "console":
                line = line.removeprefix("$ ") if line.startswith("$ ") else ""
            if line.strip() and not line.lstrip().startswith("#"):
                yield line.strip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands(
    document: Path, filled: Path, board: BoardServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of the document does what it says, one after the other."""
    if not list(lines(document)):
        return
    folder = tmp_path / document.stem
    shutil.copytree(filled, folder)
    person = Person(folder, board, monkeypatch)
    workload.kernels.cache_clear()
    try:
        for line in lines(document):
            person.types(line)
    finally:
        workload.kernels.cache_clear()


def test_commands_for_powershell() -> None:
    """What our program is told on Windows, it takes."""
    found = [
        words
        for document in DOCUMENTS
        for block in blocks(document, "powershell")
        for line in block.text.replace("\\", "/").splitlines()
        for words in _of_our_program(line)
    ]
    assert len(found) >= 5
    for words in found:
        known(parsed(words))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_within_sentences(document: Path) -> None:
    """Commands between backticks have arguments that the program takes; capital words stand for something.

    What has no argument is the name of a command, and must be one.
    """
    for text in re.findall(r"`flopwatch ([^`]+)`", plain_text(document)):
        if re.search(r"[|\[…<>]", text):
            continue
        words = [word for word in expanded(text.replace("\n", " ")) if word != "--json"]
        if words == ["--help"]:
            continue
        if len(words) == 1 or (words[:1] in (["db"], ["token"]) and len(words) == 2):
            assert words[0] in cli.COMMANDS, text
        else:
            known(parsed(words))


def test_what_is_not_run_is_in_use() -> None:
    """Each reason is needed by some line, so that the table does not outlive what it excuses."""
    every = [line for document in DOCUMENTS for line in lines(document)]
    assert len(every) > 60
    for pattern in NOT_HERE:
        assert any(re.search(pattern, line) for line in every), pattern


def test_a_wrong_command_is_found_out(
    filled: Path, board: BoardServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option that does not exist, an unknown case and an unknown program fail."""
    shutil.copytree(filled, tmp_path / "wrong")
    person = Person(tmp_path / "wrong", board, monkeypatch)
    for line in (
        "flopwatch run --fast",
        "flopwatch run --case 'matmull/*'",
        "flopwash list",
        "flopwatch list | head",
    ):
        with pytest.raises(AssertionError):
            person.types(line)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link of a document leads to a file of the tree, and to a heading where it names one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", plain_text(document)):
        if not re.match(r"https?://", target):
            path, _, heading = target.partition("#")
            file = (document.parent / path).resolve() if path else document
            assert file.exists(), f"{document.name}: {target}"
            assert not heading or heading in _headings(file), f"{document.name}: {target}"


def _headings(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_document_is_found_from_the_readme() -> None:
    """Whoever reads the README gets to each document by links."""
    seen, ahead = set(), [DOCUMENTS[0]]
    while ahead:
        document = ahead.pop()
        if document not in seen:
            seen.add(document)
            links = re.findall(r"\]\(([^)#\s]+\.md)", plain_text(document))
            ahead += [(document.parent / link).resolve() for link in links if "://" not in link]
    assert set(DOCUMENTS) <= seen, set(DOCUMENTS) - seen


def test_settings_in_the_documents_can_be_read() -> None:
    """Blocks of TOML are TOML."""
    for document in DOCUMENTS:
        for block in blocks(document, "toml"):
            tomllib.loads(block.text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_service_of_a_board_is_accepted(tmp_path: Path) -> None:
    """systemd takes the unit, with a program that exists in place of the operator's."""
    (unit,) = (block.text for block in blocks(ROOT / "docs" / "operating-a-board.md", "ini"))
    path = tmp_path / "flopwatch-board.service"
    path.write_text(
        unit.replace("/srv/flopwatch/.venv/bin/python", shutil.which("true") or "/bin/true"), "utf-8"
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
