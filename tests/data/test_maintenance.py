"""flopwatch db: info, check, rebuild, backup, restore."""

import io
import os
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import psutil
import pytest

from data import entries, maintenance, places, queries
from data.errors import BadInput, IndexOwned, StorageError
from data.index import Index, record
from data.ledger import RUN, Ledger, digest, open_ledger
from data.owner import Ownership
from tests.data.run_files import run_bytes, write_run
from tests.data.views import everything

pytestmark = pytest.mark.usefixtures("home")


def _fill(folder: Path, count: int = 3) -> list[str]:
    runs = [record(write_run(folder / f"{seed}.run.jsonl", seed=seed)).run for seed in range(count)]
    with Index.open() as index:
        index.state(entries.Withdrawal(run=runs[0], reason="test"))
    return runs


def test_info_counts_what_there_is(tmp_path: Path) -> None:
    """The numbers are those of what was recorded, and the places are named."""
    empty = maintenance.info()
    assert (empty["runs"], empty["measurements"], empty["entries"]) == (0, 0, 0)
    _fill(tmp_path)
    info = maintenance.info()
    assert (info["runs"], info["entries"], info["measurements"]) == (3, 4, 18)
    assert info["samples"] == 3 * 28 * 12
    assert Path(info["database"]) == places.database()
    assert info["owner"] is None
    assert info["database_bytes"] == places.database().stat().st_size


def test_a_healthy_store_has_no_findings(tmp_path: Path) -> None:
    """check() of what was recorded and withdrawn normally finds nothing."""
    _fill(tmp_path)
    assert maintenance.check() == {"ok": True, "entries": 4, "findings": []}


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("DELETE FROM sample WHERE run = 2; DELETE FROM measurement WHERE run = 2", "other numbers"),
        ("DELETE FROM run WHERE run = 2", "measurements of no run"),
        ("DELETE FROM series WHERE series = 1", "measurements of no series"),
        ("DELETE FROM newest", "newest rows that are not"),
        (
            "INSERT INTO run SELECT run + 10, * EXCLUDE (run) FROM run WHERE run = 2",
            "runs that are held twice",
        ),
        ("UPDATE measurement SET time_ns = 1 WHERE status = 'wrong'", "speeds of results that are not ok"),
        ("DELETE FROM measurement WHERE run = 2 AND series = 1", "samples of no measurement"),
        ("DELETE FROM sample WHERE run = 2", "other numbers"),
        ("UPDATE measurement SET time_ns = time_ns * 2 WHERE run = 2", "other numbers"),
    ],
)
def test_damage_to_the_index_is_found_and_healed_by_a_rebuild(
    tmp_path: Path, damage: str, finding: str
) -> None:
    """Rows that were lost, doubled or changed are named; rebuilding from the ledger makes everything right."""
    _fill(tmp_path)
    with Index.open() as index, index.cursor() as cursor:
        before = everything(index)
        for statement in damage.split("; "):
            cursor.execute(statement).fetchall()
    report = maintenance.check()
    assert not report["ok"]
    assert finding in " ".join(report["findings"])
    maintenance.rebuild()
    assert maintenance.check()["findings"] == []
    with Index.open() as index:
        assert everything(index) == before


def test_damage_to_the_ledger_is_found(tmp_path: Path) -> None:
    """A changed and a lost entry are named by their digest."""
    _fill(tmp_path)
    ledger = open_ledger(places.ledger())
    changed, lost, *_ = (entry.sha256 for entry in ledger.follow()[0] if entry.kind == RUN)
    changed_path, lost_path = ledger.path(changed), ledger.path(lost)
    assert changed_path is not None
    assert lost_path is not None
    changed_path.write_bytes(changed_path.read_bytes().replace(b"testbox", b"testbux"))
    lost_path.unlink()
    findings = " ".join(maintenance.check()["findings"])
    assert f"entry {changed} (run)" in findings
    assert "damaged" in findings
    assert f"entry {lost} is in the index and was lost from the ledger" in findings


@pytest.mark.parametrize("parallel", [False, True])
def test_a_rebuilt_index_says_the_same(
    tmp_path: Path, ledger_address: str, monkeypatch: pytest.MonkeyPatch, parallel: bool
) -> None:
    """All views are equal before and after, progress is told, and no trace of the work is left."""
    monkeypatch.setenv("FLOPWATCH_LEDGER", ledger_address)
    monkeypatch.setattr("data.follow._WORTH_PROCESSES_BYTES", 0 if parallel else 1 << 60)
    _fill(tmp_path)
    with Index.open() as index:
        before = everything(index)
    told: list[tuple[int, int]] = []
    report = maintenance.rebuild(lambda done, total: told.append((done, total)))
    assert (report["entries"], report["measurements"], told[-1]) == (4, 18, (4, 4))
    with Index.open() as index:
        assert everything(index) == before
    assert sorted(path.name for path in places.home().iterdir() if path.is_file()) == [
        "flopwatch.duckdb",
        "flopwatch.duckdb.lock",
        "flopwatch.duckdb.owner",
    ]


def test_reading_processes_leave_the_main_module_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main module of a server is the page it drew last, which a process of its own could not run."""
    monkeypatch.setattr("data.follow._WORTH_PROCESSES_BYTES", 0)
    page = types.ModuleType("__main__")
    page.__file__ = str(tmp_path / "page.py")
    Path(page.__file__).write_text("raise SystemExit('a page is not a program')\n")
    monkeypatch.setitem(sys.modules, "__main__", page)
    _fill(tmp_path)
    assert maintenance.rebuild()["entries"] == 4
    assert sys.modules["__main__"] is page


def test_a_rebuild_needs_no_readable_index(tmp_path: Path) -> None:
    """An index that cannot even be opened is replaced."""
    runs = _fill(tmp_path)
    places.database().write_bytes(b"rubbish" * 1000)
    maintenance.rebuild()
    with Index.open() as index:
        assert {row["run_id"] for row in queries.runs(index)} == set(runs[1:])


def test_a_rebuild_waits_for_no_server(tmp_path: Path) -> None:
    """While another process owns the index, the error names it, and nothing is touched."""
    _fill(tmp_path)
    before = places.database().read_bytes()
    with Ownership(places.database()) as ownership:
        assert ownership.take()
        with pytest.raises(IndexOwned, match="process"):
            maintenance.rebuild(wait_s=0.1)
    assert places.database().read_bytes() == before


@pytest.mark.parametrize("name", ["backup.tar", "backup.tar.gz"])
def test_a_backup_brings_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger_address: str, name: str
) -> None:
    """Restored into an empty ledger of either kind: the same entries with their times, and the same views."""
    _fill(tmp_path)
    with Index.open() as index:
        before = everything(index)
    held = open_ledger(places.ledger()).follow()[0]
    report = maintenance.backup(tmp_path / name)
    assert report["entries"] == 4
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("FLOPWATCH_LEDGER", ledger_address)
    assert maintenance.restore(tmp_path / name)["restored"] == 4
    assert maintenance.restore(tmp_path / name) == {"file": str(tmp_path / name), "entries": 4, "restored": 0}
    ledger = open_ledger(ledger_address)
    assert {(entry.sha256, entry.received) for entry in ledger.follow()[0]} == {
        (entry.sha256, entry.received) for entry in held
    }
    ledger.close()
    with Index.open() as index:
        assert everything(index) == before


def test_a_backup_while_others_append_is_consistent(tmp_path: Path, ledger: Ledger) -> None:
    """What was appended before the backup began is in it, whole; what comes meanwhile does not disturb it."""
    before = {ledger.append(RUN, run_bytes(tmp_path, seed=seed, cells=1)).sha256 for seed in range(5)}

    def append_more(done: int, total: int) -> None:
        ledger.append(RUN, run_bytes(tmp_path, seed=100 + done, cells=1))

    maintenance.backup(tmp_path / "backup.tar", ledger, append_more)
    with tarfile.open(tmp_path / "backup.tar") as archive:
        names = archive.getnames()
        for name in names:
            file = archive.extractfile(name)
            assert file is not None
            assert digest(file.read()) == name.partition(".")[0]
    assert before == {name.partition(".")[0] for name in names}


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    """A file that exists stays."""
    (tmp_path / "backup.tar").write_text("precious")
    with pytest.raises(StorageError, match="exists already"):
        maintenance.backup(tmp_path / "backup.tar")
    assert (tmp_path / "backup.tar").read_text() == "precious"


def _archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_damaged_backup_is_refused_as_a_whole(tmp_path: Path) -> None:
    """One wrong member, a path that leads elsewhere, a text file, half a file: nothing is restored."""
    good = run_bytes(tmp_path)
    whole = _archive(tmp_path / "whole.tar", {f"{digest(good)}.run": good})
    cases = [
        _archive(tmp_path / "wrong.tar", {f"{digest(good)}.run": good, f"{digest(b'a')}.run": b"b"}),
        _archive(tmp_path / "path.tar", {f"{digest(good)}.../../x": good}),
        tmp_path / "text.tar",
        tmp_path / "half.tar",
    ]
    cases[2].write_text("hello " * 1000)
    cases[3].write_bytes(whole.read_bytes()[:2000])
    for case in cases:
        with pytest.raises(BadInput, match="nothing was restored"):
            maintenance.restore(case)
    with pytest.raises(StorageError, match="no such file"):
        maintenance.restore(tmp_path / "missing.tar")
    assert open_ledger(places.ledger()).follow()[0] == []
    assert maintenance.restore(whole)["restored"] == 1


_REBUILDING = """
import time
from data import follow, maintenance
follow._WORTH_PROCESSES_BYTES = 0
def wait(done, total):
    print(done, flush=True)
    time.sleep(60)
if __name__ == "__main__":
    maintenance.rebuild(wait)
"""


def test_a_killed_rebuild_leaves_the_old_index_and_no_process(tmp_path: Path) -> None:
    """The processes that read for it end with it."""
    _fill(tmp_path)
    with Index.open() as index:
        before = everything(index)
    script = tmp_path / "rebuilding.py"
    script.write_text(_REBUILDING)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    helpers = psutil.Process(process.pid).children(recursive=True)
    assert helpers
    process.kill()
    process.communicate()
    assert psutil.wait_procs(helpers, timeout=30)[1] == []
    with Index.open() as index:
        assert everything(index) == before
