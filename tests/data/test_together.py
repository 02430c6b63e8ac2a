"""Many processes on one home at the same time: appending, reading, rebuilding.  Nothing is lost or torn."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data import maintenance, places
from data.index import Index

pytestmark = pytest.mark.usefixtures("home")

_HEAD = """
import json, sys, time
from pathlib import Path
from data import maintenance, queries
from data.errors import IndexOwned
from data.index import Index, record
from tests.data.run_files import write_run
folder, seed, seconds = Path(sys.argv[1]), int(sys.argv[2]) * 10**6, float(sys.argv[3])
done, waits = [], []
deadline = time.monotonic() + seconds
while time.monotonic() < deadline or not done:
    started = time.monotonic()
"""
_TAIL = """
    waits.append(time.monotonic() - started)
print(json.dumps({"done": done, "longest_s": max(waits), "count": len(waits)}))
"""

APPEND = """
    seed += 1
    path = write_run(folder / f"{seed}.run.jsonl", seed=seed, cells=2, samples=4)
    started = time.monotonic()
    done.append(record(path).sha256)
"""

#: A reader checks that every run that it sees is whole, in one state of the index; a bounded wait may be in vain.
#: In two minutes there are more runs than the index holds the samples of.
READ = """
    try:
        with Index.open() as index:
            rows = index.query(
                "SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM board) AS rows, "
                "(SELECT count(*) FROM latest) AS latest, (SELECT count(*) FROM samples) AS samples, "
                "(SELECT count(*) FROM run WHERE samples_indexed) AS sampled"
            )
        assert (rows[0]["rows"], rows[0]["samples"]) == (4 * rows[0]["runs"], 21 * rows[0]["sampled"]), rows
        assert rows[0]["latest"] in (0, 4), rows
        done.append(rows[0]["runs"])
    except IndexOwned:
        pass
"""

REBUILD = """
    try:
        done.append(maintenance.rebuild()["entries"])
    except IndexOwned:
        pass
"""


def _start(code: str, folder: Path, number: int, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _HEAD + code + _TAIL, folder, str(number), str(seconds)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize(
    ("appenders", "readers", "seconds"), [(2, 1, 4.0), pytest.param(8, 4, 120.0, marks=pytest.mark.soak)]
)
def test_everybody_at_once_loses_nothing(
    tmp_path: Path,
    ledger_address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    appenders: int,
    readers: int,
    seconds: float,
) -> None:
    """All that was acknowledged is in ledger and index, readers see whole runs only, and each wait is bounded."""
    monkeypatch.setenv("FLOPWATCH_LEDGER", ledger_address)
    codes = [APPEND] * appenders + [READ] * readers + [REBUILD]
    processes = [_start(code, tmp_path, number, seconds) for number, code in enumerate(codes)]
    reports = []
    for process in processes:
        said, _ = process.communicate()
        assert process.returncode == 0
        reports.append(json.loads(said))
    acknowledged = {sha256 for report in reports[:appenders] for sha256 in report["done"]}
    with Index.open() as index:
        assert {row["sha256"] for row in index.query("FROM runs")} == acknowledged
    assert maintenance.check()["findings"] == []
    assert not list(places.scratch().glob("*"))
    with capsys.disabled():
        for what, part in (
            ("append", reports[:appenders]),
            ("read", reports[appenders:-1]),
            ("rebuild", reports[-1:]),
        ):
            longest = max(report["longest_s"] for report in part)
            count = sum(report["count"] for report in part)
            print(f"\n{what}: {count} times, longest {longest:.2f} s", end="")  # noqa: T201 - asked for
