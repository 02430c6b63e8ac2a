"""Real runs of the program that are killed at random moments, and resumed until they are complete."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

from data.index import Index
from data.ledgers.directory import DirectoryLedger
from data.runfile import read
from data.summary import summarise
from data.words import Status

__all__ = ["KilledRuns"]

_ROOT = Path(__file__).parents[2]
#: While others measure beside it, no moment is quiet: a tenth of this is spent on waiting for one, no more.
_BUDGET = ("--budget", "20s")
#: So many lines more are waited for, and so long afterwards, before a process is killed.
_LINES, _LONGEST_S = 8, 0.3
_WORKERS_END_S = 60.0


class KilledRuns:
    """A home with one run after the other.  Whatever is left of it is checked after each kill."""

    def __init__(self, home: Path, compiled: Path, wishes: tuple[str, ...], seed: int) -> None:
        """Measure ``wishes`` in a new home, with compiled loops that are shared with other homes."""
        self._home, self._wishes, self._rng = home, wishes, random.Random(seed)
        home.mkdir()
        compiled.mkdir(exist_ok=True)
        (home / "numba").symlink_to(compiled)
        self._begun: Path | None = None
        self.kills = 0

    def flopwatch(self, *arguments: str | Path) -> str:
        """Let the program do something to its end, and return what it printed."""
        process = self._start(*arguments)
        said, errors = process.communicate()
        assert process.returncode == 0, said + errors
        return said

    def _start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "runners", *arguments],
            env=os.environ | {"FLOPWATCH_HOME": str(self._home)}, cwd=_ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def _arguments(self) -> tuple[str | Path, ...]:
        return ("run", *(("--resume", self._begun) if self._begun else self._wishes), *_BUDGET)

    def kill(self, kills: int) -> None:
        """Kill so many processes that measure, then complete the last run and compare the index with all files."""
        while self.kills < kills:
            self._measure_and_kill()
            if self.kills % 4 == 3:
                self._require_whole_runs()
        self.flopwatch(*self._arguments())
        self._look()
        assert self._begun is None
        assert not list((self._home / "scratch").iterdir())  # what the killed ones left is gone
        for file in self._files():
            odd = [
                (row.key, row.status, row.reason) for row in summarise(read(file)) if row.status != Status.OK
            ]
            assert not odd, odd
        written = {read(file).sha256: file for file in self._files()}
        if missing := written.keys() - self._require_whole_runs():
            # killed between the end of the file and the ledger, before it had said that it is stored
            self.flopwatch("import", *[written[sha256] for sha256 in missing])
        assert self._require_whole_runs() == written.keys()
        assert json.loads(self.flopwatch("db", "check", "--json"))["findings"] == []

    def _measure_and_kill(self) -> None:
        held = self._begun.read_bytes() if self._begun else b""
        process = self._start(*self._arguments())
        self._wait(process, held.count(b"\n") + self._rng.randrange(_LINES))
        killed = process.poll() is None
        if killed:
            self._kill(process)
            self.kills += 1
        said, errors = process.communicate()
        assert killed or process.returncode == 0, said + errors
        self._look(held)

    def _wait(self, process: subprocess.Popen[str], lines: int) -> None:
        """Wait until the run has so many lines, and a little longer."""
        before = set(self._files())
        while process.poll() is None:
            written = self._begun or next((file for file in self._files() if file not in before), None)
            if not lines or (written and written.read_bytes().count(b"\n") >= lines):
                break
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._rng.uniform(0, _LONGEST_S))

    def _kill(self, process: subprocess.Popen[str]) -> None:
        """Kill the program and its workers in any order, or it alone: then its workers end by themselves."""
        workers = psutil.Process(process.pid).children(recursive=True)
        victims = [psutil.Process(process.pid), *(workers if self._rng.random() < 0.5 else [])]
        for victim in self._rng.sample(victims, len(victims)):
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        deadline = time.monotonic() + _WORKERS_END_S
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
                    assert time.monotonic() < deadline, f"{worker} outlives its program"
                    time.sleep(0.01)

    def _files(self) -> list[Path]:
        return sorted((self._home / "runs").glob("*.run.jsonl"))

    def _look(self, held: bytes = b"") -> None:
        """Every file is readable up to its last whole line; find the one to go on with, which lost nothing."""
        whole_before = held[: held.rfind(b"\n") + 1]
        if self._begun:
            assert self._begun.read_bytes().startswith(whole_before)
        self._begun = None
        for file in self._files():
            content = file.read_bytes()
            if b"\n" not in content:  # killed before the first line: there is nothing to resume
                file.unlink()
                continue
            document = read(file)
            assert document.content == content[: content.rfind(b"\n") + 1]
            if document.interrupted:
                assert self._begun is None
                self._begun = file

    def _require_whole_runs(self) -> set[str]:
        """The index holds complete runs only, each with every measurement and sample; return their files' digests."""
        files = {read(file).run.id: read(file) for file in self._files()}
        with Index.open(self._home / "flopwatch.duckdb", DirectoryLedger(self._home / "ledger")) as index:
            assert not index.problem
            rows = index.query(
                "SELECT run_id, sha256, status, (SELECT count(*) FROM measurement AS m JOIN run USING (run) "
                "WHERE run.run_id = r.run_id) AS measured, (SELECT count(*) FROM samples AS s "
                "WHERE s.run_id = r.run_id) AS sampled FROM runs AS r"
            )
        for row in rows:
            file = files[row["run_id"]]
            assert (row["status"], row["sha256"]) == ("complete", file.sha256)
            assert row["measured"] == len(summarise(file))
            assert row["sampled"] == len(file.lines)
        return {row["sha256"] for row in rows}
