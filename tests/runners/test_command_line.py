"""The program as people start it: real processes, real files, every exit status."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.rundocument import read
from data.summary import summarise
from data.words import Status
from tests.runners.conftest import FAKE_KERNELS

ROOT = Path(__file__).resolve().parents[2]
FAKE = ("--backend", "numpy", "--threads", "1")


@pytest.fixture
def environment(tmp_path):
    """The environment of the program: a home of its own, the fake kernel."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    return variables | {
        "FLOPWATCH_HOME": str(tmp_path / "home"),
        "FLOPWATCH_KERNELS": str(FAKE_KERNELS),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
    }


def flopwatch(environment, *arguments, check=None):
    done = subprocess.run(
        [sys.executable, "-m", "runners", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "runners", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_files(environment):
    return sorted(Path(environment["FLOPWATCH_HOME"], "runs").glob("*.run.jsonl"))


def wait_for_lines(environment, kind, count, limit_s=400, but=None):
    """Wait until a run file, other than ``but``, holds so many lines of a kind."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        for file in run_files(environment):
            if file != but and file.read_text().count(f'{{"kind":"{kind}"') >= count:
                return file
        time.sleep(0.02)
    raise AssertionError(f"no run file with {count} lines of kind {kind}")


def test_a_run_is_measured_printed_written_and_stored(environment):
    """One command gives a summary, a complete run file and rows in the index."""
    done = flopwatch(environment, "run", "--case", "fake/steady", *FAKE, "--json", check=0)
    summary = json.loads(done.stdout)
    rows = {row["variant"]: row for row in summary["measurements"]}
    assert rows["one-ms"]["time_ns"] == pytest.approx(1_000_100)
    assert rows["one-ms"]["low_ns"] == pytest.approx(1_000_100)
    assert rows["two-ms"]["rate"] == pytest.approx(1e6 / 2_000_100)
    assert not read(Path(summary["file"])).interrupted
    found = json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)
    assert (found["runs"], found["measurements"]) == (1, 2)
    assert json.loads(flopwatch(environment, "db", "check", "--json", check=0).stdout)["ok"]
    assert json.loads(flopwatch(environment, "db", "rebuild", "--json", check=0).stdout)["measurements"] == 2


def test_progress_and_results_are_for_people_too(environment):
    """Without --json there is a table with median, interval, rate and error, and progress beside it."""
    done = flopwatch(environment, "run", "--case", "fake/steady", *FAKE, "--effort", "smoke", check=0)
    for word in ("fake/steady", "one-ms", "1.00 ms", "GFLOP/s", "median", "of ceiling", "stored"):
        assert word in done.stdout
    assert "measuring 2 variants in 3 processes each" in done.stderr


def test_a_wrong_answer_ends_with_one_and_has_no_time_anywhere(environment):
    """A wrong kernel is stored as wrong, its speed is nowhere, and the exit status says so."""
    options = ("--variant", "wrong", "--variant", "one-ms", "--effort", "smoke", "--json")
    done = flopwatch(environment, "run", "--case", "fake/odd", *FAKE, *options, check=1)
    row = next(row for row in json.loads(done.stdout)["measurements"] if row["variant"] == "wrong")
    assert row["status"] == "wrong"
    assert (row["time_ns"], row["low_ns"], row["high_ns"], row["rate"]) == (None,) * 4
    document = read(run_files(environment)[0])
    assert all(line.samples is None for line in document.lines if line.variant == "wrong")


def test_a_killed_run_keeps_what_it_had_and_is_resumed(environment):
    """After kill -9 the file is readable with all that was finished; --resume completes the very same file."""
    process = start(environment, "run", "--case", "fake/steady", *FAKE)
    file = wait_for_lines(environment, "measurement", 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    held = read(file)
    assert held.interrupted
    assert len(held.lines) >= 3
    kept = {row.variant: row for row in summarise(held)}
    assert kept["one-ms"].status == Status.OK
    with file.open("ab") as torn:
        torn.write(b'{"kind":"measurement","case":"fa')
    flopwatch(environment, "run", "--resume", file, check=0)
    whole = read(file)
    assert not whole.interrupted
    assert whole.content.startswith(held.content)
    assert {row.variant: row.processes for row in summarise(whole)} == {"one-ms": 6, "two-ms": 6}


def test_control_c_keeps_and_stores_what_was_measured(environment):
    """An interrupted run ends with 4, says how to complete it, and its part is stored."""
    process = start(environment, "run", "--case", "fake/steady", *FAKE)
    file = wait_for_lines(environment, "measurement", 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4, errors
    assert f"--resume {file}" in errors
    assert json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)["runs"] == 1
    flopwatch(environment, "run", "--resume", file, check=0)
    assert json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)["runs"] == 1


def test_a_complete_file_is_not_resumed(environment, tmp_path):
    """Resuming a complete file, or with other options, is refused in one line."""
    file = tmp_path / "a.run.jsonl"
    flopwatch(environment, "run", "--case", "fake/steady", *FAKE, "--effort", "smoke", "--out", file, check=0)
    assert "complete" in flopwatch(environment, "run", "--resume", file, check=2).stderr
    assert "--case" in flopwatch(environment, "run", "--resume", file, "--case", "fake/odd", check=2).stderr
    assert "exists" in flopwatch(environment, "run", "--case", "fake/odd", "--out", file, check=2).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--case", "matmul/1204"), "did you mean"),
        (("run", "--backend", "numpi"), "numpy"),
        (("run", "--variant", "nonsense"), "no variant matches 'nonsense'"),
        (("run", "--threads", "100000"), "this machine has 1 to"),
        (("run", "--threads", "1e400"), "invalid int value"),
        (("run", "--precision", "500%"), "'500%' is no precision"),
        (("run", "--budget", "0m"), "is no duration"),
        (("run", "--seed", "-1"), "--seed -1"),
        (("run", "--label", "novalue"), "write KEY=VALUE"),
        (("run", "--profile", "qick"), "quick"),
        (("run", "--resume", "/no/such/file"), "/no/such/file"),
        (("rnu",), "did you mean run?"),
        (("compare", "latest", "previous"), "latest"),
        (("import", "/no/such/file"), "is no file"),
        (("db", "restore", "/no/such/file"), "/no/such/file"),
    ],
)
def test_wrong_use_is_one_clear_line(environment, arguments, words):
    """What cannot be is refused before anything is measured, in one line that names the value."""
    done = flopwatch(environment, *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_file_can_be_written_without_duckdb(environment, tmp_path):
    """--out works where DuckDB is missing, and loads none of the page libraries."""
    file = tmp_path / "bare.run.jsonl"
    program = (
        "import sys; sys.modules['duckdb'] = None; sys.modules['streamlit'] = None; sys.modules['pandas'] = None\n"
        "from runners.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    options = ["run", "--case", "fake/steady", *FAKE, "--effort", "smoke", "--out", str(file)]
    done = subprocess.run(
        [sys.executable, "-c", program, *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not read(file).interrupted
    assert json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)["runs"] == 1


def test_nothing_to_measure_ends_with_three(environment):
    """Where no backend is available, the reason is said and the status is 3."""
    program = (
        "import sys\nfrom runners.workload import Availability, backends\n"
        "for one in backends().values(): type(one).probe = lambda _: Availability(False, 'not installed', 'pip')\n"
        "from runners.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--case", "fake/steady"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "not installed" in done.stderr


def test_a_home_that_cannot_be_made_ends_with_five(environment, tmp_path):
    """Where nothing can be written, nothing is measured: status 5, the place and the remedy."""
    (tmp_path / "file").write_text("no folder")
    broken = environment | {"FLOPWATCH_HOME": str(tmp_path / "file" / "home")}
    done = flopwatch(broken, "run", "--case", "fake/steady", *FAKE, check=5)
    assert "FLOPWATCH_HOME" in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 200 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_run_file_elsewhere(environment, small_disk):
    """When the disk fills up in mid-run, all lines are kept where there is room: status 5, the path printed."""
    full = environment | {"FLOPWATCH_HOME": str(small_disk)}
    (small_disk / "ballast").write_bytes(b"x" * 172_000)
    done = flopwatch(full, "run", "--case", "fake/steady", *FAKE, check=5)
    assert "disk is full" in done.stderr
    kept = Path(done.stderr.split("kept at ")[1].split(";")[0])
    assert len(read(kept).lines) >= 1
    (small_disk / "ballast").unlink()
    flopwatch(environment, "run", "--resume", kept, check=0)


def test_a_run_a_reader_and_an_owner_share_the_index(environment):
    """While another process owns the index, a run is stored and other commands answer."""
    program = (
        "import sys, time\nfrom data.index import Index\n"
        "index = Index.open(); index.follow(); print('ready', flush=True)\n"
        "sys.stdin.read(); index.close()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert owner.stdout.readline() == "ready\n"
        run = start(environment, "run", "--case", "fake/steady", *FAKE, "--effort", "smoke")
        flopwatch(environment, "db", "info", check=0)
        _, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)["runs"] == 1:
                break
        else:
            raise AssertionError("the owner did not index the run")
    finally:
        owner.communicate("", timeout=30)


def test_help_names_every_command():
    """The help lists every command, and each command has help of its own."""
    from runners.cli import COMMANDS

    whole = subprocess.run(
        [sys.executable, "-m", "runners", "--help"], capture_output=True, text=True, check=True
    )
    for command in COMMANDS:
        assert command in whole.stdout
        own = subprocess.run(
            [sys.executable, "-m", "runners", command, "--help"], capture_output=True, text=True, check=True
        )
        assert own.stdout.startswith(f"usage: flopwatch {command}")
