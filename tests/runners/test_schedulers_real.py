"""Real schedulers from Debian's packages, each running a real job here: cron, Slurm, and OpenSSH for a handful."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from data.rundocument import read
from tests.runners import slurm_cluster, ssh_server
from tests.runners.conftest import FAKE_KERNELS

ROOT = Path(__file__).resolve().parents[2]
FLOPWATCH = str(Path(sys.executable).with_name("flopwatch"))
#: Two variants of the fake kernel in three processes each: seconds.
JOB = [
    *("--every", "24h", "--case", "fake/steady", "--backend", "numpy", "--threads", "1"),
    *("--effort", "smoke", "--quiet-limit", "1s", "--even-if-unfit"),
]
LIMIT_S = 900


def require(reason: str) -> None:
    """Skip with a reason, or fail where everything must be there."""
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def short():
    """A folder with a short name, which sockets and other users need."""
    folder = Path(tempfile.mkdtemp(prefix="fw"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(short):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    return variables | {"FLOPWATCH_HOME": str(short / "home"), "FLOPWATCH_KERNELS": str(FAKE_KERNELS)}


def run(environment, *words, check=True):
    done = subprocess.run(
        [str(word) for word in words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def wait_until(condition, what: str):
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come within {LIMIT_S} s")


def complete(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.run.jsonl")) if not read(path).interrupted]


def in_ledger(environment) -> int:
    return int(json.loads(run(environment, FLOPWATCH, "db", "info", "--json").stdout)["runs"])


def test_slurm_runs_an_array_and_collects_it(short, environment):
    """Two exclusive jobs of an array run one after the other, and the collector brings both into the ledger."""
    require(slurm_cluster.missing())
    (short / "cluster").mkdir()
    shared = short / "shared"
    with slurm_cluster.running(short / "cluster") as variables:
        there = environment | variables | {"FLOPWATCH_NODE_HOME": str(short / "node")}
        printed = run(
            there,
            *(FLOPWATCH, "schedule", "print", "slurm", "--shared", shared),
            *("--node-type", "box:partition=cpu,constraint=loopback,count=2", *JOB),
        )
        shared.mkdir()
        script = shared / "flopwatch-job.sh"
        script.write_text(printed.stdout)
        script.chmod(0o755)
        assert "submitted" in run(there, script, "submit").stdout
        run(there, script, "follow")
        assert len(complete(shared / "collected")) == 2
        assert in_ledger(there) == 2
        assert run(there, script, "collect").stdout.startswith("nothing to collect")
        refused = run(there, "sbatch", "--constraint=no-such-node", "--wrap=true", check=False)
        assert refused.returncode != 0


@pytest.mark.parametrize("there_already", [True, False], ids=["there already", "installed by uv"])
def test_ssh_brings_the_same_run_back_after_a_cut(short, environment, there_already):
    """The connection and the script are killed in mid-run; called again, it brings back the run that went on.

    Where the program is not there yet, the light base is installed first, once.
    """
    require(ssh_server.missing())
    (short / "ssh").mkdir()
    script = ROOT / "docs" / "recipes" / "over-ssh.sh"
    with ssh_server.running(short / "ssh") as options:
        there = environment | {
            "FLOPWATCH": FLOPWATCH,
            "REMOTE_FOLDER": str(short / "remote"),
            "SSH_OPTIONS": options,
        }
        there |= {"REMOTE_FLOPWATCH": FLOPWATCH} if there_already else {}
        words = [str(script), "127.0.0.1", "--", *JOB, "--effort", "quick"]
        first = subprocess.Popen(words, env=there, start_new_session=True, stdout=subprocess.DEVNULL)
        runs = short / "remote" / "home" / "runs"
        begun = wait_until(lambda: list(runs.glob("*.run.jsonl")), "a run file")[0]
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        # sshd's process of that connection is cut as well, as when a cable is drawn
        second = run(there, *words)
        assert "waiting for it" in second.stdout or "not brought back yet" in second.stdout
        assert "127.0.0.1: done" in second.stdout
        assert [path.name for path in complete(runs)] == [begun.name]
        assert in_ledger(there) == 1
        assert not list((short / "remote" / "runs").iterdir())
        assert "installing the light base" not in second.stderr
        inside = short / "remote" / "environment" / "bin" / "python"
        assert inside.exists() != there_already
        # an installed program does not know the commit of a checkout
        assert ("commit" in read(begun).run.flopwatch) == there_already


def test_cron_runs_a_job(short, environment):
    """The line that is installed makes cron run a job, and removing it leaves the table as it was."""
    cron = shutil.which("cron", path=f"{os.environ['PATH']}:/usr/sbin")
    require("" if cron and shutil.which("crontab") else "not installed: cron")
    require("" if os.geteuid() == 0 else "cron is started by root")
    before = run(environment, "crontab", "-l", check=False).stdout
    minute = time.strftime("%H:%M", time.localtime(time.time() + 65))
    job = [*JOB, "--name", f"test-{os.getpid()}", "--at", minute]
    daemon = None
    try:
        run(environment, FLOPWATCH, "schedule", "install", "cron", *job)
        assert "so already" in run(environment, FLOPWATCH, "schedule", "install", "cron", *job).stdout
        if not _runs("cron"):
            daemon = subprocess.Popen([cron, "-f"])
        wait_until(lambda: complete(short / "home" / "runs"), "a run by cron")
        wait_until(
            lambda: "measured" in run(environment, FLOPWATCH, "schedule", "status", "cron").stdout, "a log"
        )
    finally:
        run(environment, FLOPWATCH, "schedule", "remove", "cron", *job)
        if daemon is not None:
            daemon.terminate()
            daemon.wait(30)
    assert run(environment, "crontab", "-l", check=False).stdout == before


def _runs(name: str) -> bool:
    import psutil

    return any(process.info["name"] == name for process in psutil.process_iter(["name"]))
