"""Real jobs in trouble: overlap, reboot, a full disk, clocks that change, a board that is down.  Nothing is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data.rundocument import read
from data.summary import summarise
from tests.runners.test_command_line import FAKE, environment, flopwatch, run_files, start, wait_for_lines

__all__ = ["environment"]

JOB = ("job", "--every", "24h", *FAKE, "--quiet-limit", "1s", "--even-if-unfit")


def the_log(environment):
    return Path(environment["FLOPWATCH_HOME"], "jobs", "job.log").read_text()


def test_a_job_that_a_reboot_cut_is_completed_by_the_next(environment):
    """Killed in mid-run, the next bell completes the same run file; nothing is measured twice, nothing lost."""
    process = start(environment, *JOB, "--case", "fake/steady")
    file = wait_for_lines(environment, "measurement", 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    held = read(file)
    flopwatch(environment, *JOB, "--case", "fake/steady", check=0)
    assert run_files(environment) == [file]
    whole = read(file)
    assert not whole.interrupted
    assert whole.content.startswith(held.content)
    assert json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)["runs"] == 1
    log = the_log(environment)
    assert "was cut; going on with it" in log
    assert f"completing {file}" in log
    assert flopwatch(environment, *JOB, "--case", "fake/steady", check=0).stderr == ""


def test_a_kernel_that_hangs_is_killed_and_the_job_goes_on(environment):
    """The variant that hangs is named as timeout, the others have their times, and the job ends."""
    variants = ("--variant", "hangs", "--variant", "one-ms", "--effort", "smoke", "--limit", "8s")
    flopwatch(environment, *JOB, "--case", "fake/odd", *variants, check=0)
    statuses = {row.variant: str(row.status) for row in summarise(read(run_files(environment)[0]))}
    assert statuses == {"hangs": "timeout", "one-ms": "ok"}
    assert "timeout: fake/odd hangs" in the_log(environment)


def test_a_board_that_is_down_gets_everything_later(environment, tmp_path):
    """With the board down a job ends with 5 and keeps its run; with it up, one job sends both and a sign of life."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    board = environment | {"FLOPWATCH_HOME": str(tmp_path / "board")}
    token = flopwatch(board, "token", "create", "fleet", check=0).stdout.split("fw_")[1].split()[0]
    secret = tmp_path / "token"
    secret.write_text(f"fw_{token}")
    words = (
        *JOB,
        "--now",
        "--case",
        "fake/steady",
        "--effort",
        "smoke",
        "--upload",
        f"http://127.0.0.1:{port}",
    )
    words += ("--token-file", str(secret), "--patience", "1s", "--machine", "node-7")
    flopwatch(environment, *words, check=5)
    assert "cannot be reached" in the_log(environment)
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--log-level", "warning"],
        env=board,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        deadline = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        longer = [
            word if word != "1s" or words[place - 1] != "--patience" else "60s"
            for place, word in enumerate(words)
        ]
        flopwatch(environment, *longer, check=0)
    finally:
        server.terminate()
        server.wait(60)
    assert "2 sent" in the_log(environment)
    assert json.loads(flopwatch(board, "db", "info", "--json", check=0).stdout)["runs"] == 2
    (sign,) = (tmp_path / "board" / "heartbeats").iterdir()
    told = json.loads(sign.read_bytes())
    assert (told["name"], told["outcome"], told["every_s"]) == ("node-7", "measured", 86_400)
    assert told["due"] > told["at"]


STEADY = (*JOB, "--case", "fake/steady")


def held(environment) -> int:
    """How many runs the ledger holds, by the program's own count."""
    return int(json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)["runs"])


def test_a_second_bell_and_a_shutdown_lose_nothing(environment):
    """Rung for again in mid-run, nothing happens; told to end, it keeps what it has, and the next bell completes it."""
    process = start(environment, *STEADY)
    file = wait_for_lines(environment, "measurement", 2)
    second = flopwatch(environment, *STEADY, check=0)
    assert "another job is at work: nothing done" in second.stderr
    process.send_signal(signal.SIGTERM)  # what a machine that is shut down sends first
    process.communicate(timeout=600)
    assert process.returncode == 4
    assert read(file).interrupted
    flopwatch(environment, *STEADY, check=0)
    assert run_files(environment) == [file]
    assert not read(file).interrupted
    assert held(environment) == 1
    log = the_log(environment)
    assert log.index("another job is at work") < log.index("interrupted: ") < log.index(f"completing {file}")


@pytest.fixture
def disk(tmp_path):
    """A real disk of 256 KiB, and a file on it that fills it up to so many bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def leave(disk, room_bytes):
    """Fill the disk up to so many bytes."""
    free = os.statvfs(disk)
    (disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize - room_bytes))


def test_a_disk_that_fills_up_in_mid_run_delays_a_job(environment, disk, tmp_path):
    """Status 5 and the place of what was kept; with room again, the next bell completes that very run."""
    full = environment | {"FLOPWATCH_HOME": str(disk)}
    leave(disk, 40 << 10)
    done = flopwatch(full, *STEADY, check=5)
    assert "disk is full" in done.stderr
    (kept,) = tmp_path.glob("*.run.jsonl")
    measured = read(kept)
    assert measured.interrupted
    assert len(measured.lines) >= 1
    (disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    flopwatch(full, *STEADY, check=0)
    assert f"completing {kept}" in the_log(full)
    assert read(kept).content.startswith(measured.content)
    assert not read(kept).interrupted
    assert held(full) == 1


def test_a_ledger_without_room_gets_the_run_later(environment, disk):
    """The run is whole, only its place in the ledger is missing: the next bell stores it and measures nothing."""
    full = environment | {"FLOPWATCH_LEDGER": str(disk)}
    leave(disk, 0)
    done = flopwatch(full, *STEADY, check=5)
    assert "disk is full" in done.stderr
    (file,) = run_files(full)
    content = file.read_bytes()
    assert not read(file).interrupted
    (disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    flopwatch(full, *STEADY, check=0)
    assert f"{file} is whole, storing it" in the_log(full)
    assert [path.read_bytes() for path in run_files(full)] == [content]
    assert held(full) == 1
    assert flopwatch(full, *STEADY, check=0).stderr == ""


def clocks(change: datetime, hours: int) -> str:
    """A rule of POSIX for a zone whose clocks change at a moment by so many hours: an hour before UTC until then."""
    at = change - timedelta(hours=1)  # its own time
    end = (at.timetuple().tm_yday + 90) % 365
    return f"AAA1BBB{1 - hours},{at.timetuple().tm_yday - 1}/{at.hour}:{at.minute:02},{end}/0"


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_change_between_two_bells_change_no_count(environment, hours):
    """Set back over the hour of the job, one job is done; set forward over it, one as well."""
    now = datetime.now(UTC)
    before = environment | {"TZ": clocks(now + timedelta(hours=6), hours)}
    after = environment | {"TZ": clocks(now - timedelta(minutes=1), hours)}
    wall = now - timedelta(hours=1)
    due = wall + timedelta(minutes=-1 if hours < 0 else 30)
    words = (*STEADY, "--effort", "smoke", "--at", f"{due:%H:%M}")
    state = Path(environment["FLOPWATCH_HOME"], "jobs", "job.json")
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"name": "job", "done": f"{now - timedelta(hours=20):%Y-%m-%dT%H:%M:%SZ}"}))
    flopwatch(before, *words, check=0)
    assert len(run_files(environment)) == (1 if hours < 0 else 0)
    flopwatch(after, *words, check=0)
    flopwatch(after, *words, check=0)
    assert len(run_files(environment)) == 1
