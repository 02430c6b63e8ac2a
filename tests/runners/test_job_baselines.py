"""Baselines of jobs: the environment of the job before is rebuilt where it differs, or the log says why not."""

import json
import signal
from pathlib import Path

import pytest

from data.rundocument import read
from runners.backends.distributions import version
from runners.unattended.baseline import setting_of_previous
from tests.runners.test_command_line import FAKE, environment, flopwatch, run_files, start, wait_for_lines

__all__ = ["environment"]

JOB = (
    "job",
    "--every",
    "24h",
    "--now",
    *FAKE,
    "--case",
    "fake/steady",
    "--quiet-limit",
    "1s",
    "--even-if-unfit",
)
OLD = "2.2.6"


def pretend(path: Path, **environment: str) -> None:
    """Let a run file say that it was measured with other packages, or another interpreter."""
    first, *rest = path.read_bytes().splitlines(keepends=True)[:-1]
    run = json.loads(first)
    run["environment"]["interpreter"] = environment.pop("interpreter", run["environment"]["interpreter"])
    run["environment"]["packages"] |= environment
    path.write_bytes(json.dumps(run).encode() + b"\n" + b"".join(rest))


def last_log(environment, word: str) -> str:
    log = Path(environment["FLOPWATCH_HOME"], "jobs", "job.log").read_text()
    return next(line for line in reversed(log.splitlines()) if word in line)


def test_a_baseline_is_measured_in_the_environment_of_the_job_before(environment):
    """NumPy was updated since: the old one is built again, also when the baseline is cut; then the new one counts."""
    flopwatch(environment, *JOB, "--baseline-every", "0", "--effort", "smoke", check=0)
    (first,) = run_files(environment)
    pretend(first, numpy=OLD)
    baseline = (*JOB, "--baseline-every", "1")
    process = start(environment, *baseline)
    newest = wait_for_lines(environment, "measurement", 2, but=first)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    flopwatch(environment, *baseline, check=0)
    assert run_files(environment) == [first, newest]
    repeated = read(newest)
    assert not repeated.interrupted
    assert repeated.run.environment.packages["numpy"] == OLD
    assert f"numpy=={OLD}" in repeated.run.protocol["recipe"]["requirements"]
    assert repeated.run.labels["baseline"] == "aa"
    assert all(line.twin for line in repeated.lines if line.samples)
    assert f"numpy {OLD} -> {version('numpy')}" in last_log(environment, "rebuilding")
    flopwatch(environment, *baseline, check=0)
    present = read(run_files(environment)[-1]).run
    assert present.environment.packages["numpy"] == version("numpy")
    assert "recipe" not in present.protocol
    assert "the environment changed" in last_log(environment, "→")


@pytest.fixture
def before(environment, monkeypatch):
    """The run of the job before, in the home of this process."""
    flopwatch(environment, *JOB, "--effort", "smoke", check=0)
    monkeypatch.setenv("FLOPWATCH_HOME", environment["FLOPWATCH_HOME"])
    (file,) = run_files(environment)
    return file


def test_what_cannot_be_rebuilt_is_said_with_its_reason(before, tmp_path):
    """The same environment needs nothing; of one that is gone the log has the reason, and the present one is taken."""
    told: list[str] = []
    run_id = before.name.partition(".")[0]
    assert setting_of_previous("", told.append) is None
    assert setting_of_previous(run_id, told.append) is None
    assert told == []
    for changed, reason in (
        ({"numpy": "9.9.9"}, "no version of numpy==9.9.9"),
        ({"interpreter": "CPython 2.7.18"}, "CPython 2.7.18 is not installed here any more"),
    ):
        content = before.read_bytes()
        pretend(before, **changed)
        assert setting_of_previous(run_id, told.append) is None
        assert "cannot be rebuilt" in told[-1]
        assert reason in told[-1]
        before.write_bytes(content)
    before.unlink()
    assert setting_of_previous(run_id, told.append) is None
    assert f"{before} is not there any more" in told[-1]
