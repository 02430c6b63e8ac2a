"""The product itself, measured against its targets: ``just bench`` writes ``docs/bench.md``.

``python -m tests.benchmarks.product [--part NAME]… [--out FILE]``.  Each part runs by itself, its figures are kept in
``.cache/bench.json``, and the table holds what is there: a part that was measured at a quieter moment stays.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runners.machine import describe_machine
from tests.benchmarks.targets import TARGETS, table
from tests.programs import python

__all__ = ["PARTS", "main"]

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".cache" / "bench.json"
Figures = dict[str, float]


def _processor_s(*words: str) -> float:
    """Return the processor seconds of a program from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start() -> Figures:
    """Time what a person waits for before anything happens, beside a Python that does nothing."""
    bare = (sys.executable, "-c", "pass")
    programs = {
        "start.help": (sys.executable, "-m", "runners", "--help"),
        "start.list": (sys.executable, "-m", "runners", "list", "--json"),
        "start.data": (sys.executable, "-c", "import data.index, data.report"),
    }
    found = {}
    for name, words in programs.items():
        _processor_s(*words)
        found[name] = statistics.median(_processor_s(*words) / _processor_s(*bare) for _ in range(7))
    return found


def _benchmarks(file: str, **settings: str) -> list[dict[str, Any]]:
    """Run a file of benchmarks and return what pytest-benchmark wrote of each."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ("-q", "--benchmark-only", f"--benchmark-json={report}", f"tests/benchmarks/{file}")
        python("-m", "pytest", *words, cwd=ROOT, **settings)
        benchmarks: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["benchmarks"]
        return benchmarks


def store() -> Figures:
    """Take 20,000 measurements with samples in, and ask an index of a million summaries all that pages ask."""
    found: Figures = {}
    settings = {"FLOPWATCH_BENCH_MEASUREMENTS": "20000", "FLOPWATCH_BENCH_SUMMARIES": "1000000"}
    for one in _benchmarks("test_store_benchmarks.py", **settings):
        facts = one["extra_info"]
        if one["name"].startswith("test_index_against_parsing_and_hashing[newest"):
            found["ingest.share"] = facts["share_of_bare_speed"]
            found["ingest.microseconds"] = facts["microseconds_per_measurement"]
        elif one["name"] == "test_one_more_run":
            found["ingest.one_more_s"] = one["stats"]["median"]
        elif one["name"].startswith("test_question"):
            found["query.worst_p95_ms"] = max(found.get("query.worst_p95_ms", 0.0), facts["p95_ms"])
            found["query.worst_median_ms"] = max(found.get("query.worst_median_ms", 0.0), facts["median_ms"])
    return found


def pages() -> Figures:
    """Run the script of every page over a million measurements."""
    facts = [
        one["extra_info"] for one in _benchmarks("test_page_benchmarks.py", FLOPWATCH_BENCH_PAGES="1000000")
    ]
    return {
        "page.worst_warm_ms": max(one["warm_cpu_ms"] for one in facts),
        "page.median_warm_ms": statistics.median(one["warm_cpu_ms"] for one in facts),
        "page.worst_after_upload_ms": max(one["after_upload_cpu_ms"] for one in facts),
    }


def report() -> Figures:
    """Build the report of one machine of fifty, out of a million measurements."""
    facts = _benchmarks("test_report_benchmarks.py", FLOPWATCH_BENCH_SUMMARIES="1000000")
    return {"report.one_machine_s": min(one["extra_info"]["seconds"] for one in facts)}


def detection() -> Figures:
    """Search 1,000 series of 500 points for changes, and count alarms where nothing changed."""
    from tests.benchmarks.change_points import false_alarms, speed

    return {
        "detect.seconds": min(speed(None, 1000) for _ in range(3)),
        "detect.false_alarms": false_alarms(4),
    }


def overhead() -> Figures:
    """Measure three kernels of three kinds and say how much of that was timed kernel time."""
    from tests.soak.overhead import shares

    cases = ("matmul/512", "relu/10M", "layernorm/32x512x768")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overhead.run.jsonl"
        words = [word for case in cases for word in ("--case", case)]
        words += ["--backend", "numba", "--backend", "numpy", "--threads", "1", "--effort", "quick"]
        words += ["--budget", "90s", "--no-store", "--out", str(file)]
        python("-m", "runners", "run", *words, cwd=ROOT, FLOPWATCH_HOME=folder)
        found = shares(file)
    return {
        "overhead.matmul": found["timed_share_of_measuring"]["matmul"],
        "overhead.relu": found["timed_share_of_measuring"]["relu"],
        "overhead.run": found["timed_share_of_run"],
    }


def uploads() -> Figures:
    """Let fifty clients send real run files for twenty seconds."""
    from tests.data.run_files import write_run
    from tests.soak.upload_load import measure

    with tempfile.TemporaryDirectory() as folder:
        file = write_run(Path(folder) / "a.run.jsonl", cells=59, processes=6, samples=20)
        found = measure(file, 50, 20.0, 0, 0.0)
    return {
        "upload.per_s": found["uploads_per_s"],
        "upload.p99_ms": found["p99_ms"],
        "upload.lost": found["lost"] + found["duplicated"],
    }


PARTS: dict[str, Callable[[], Figures]] = {
    part.__name__: part for part in (start, store, pages, report, detection, overhead, uploads)
}


def _machine() -> str:
    machine = describe_machine()
    return (
        f"{machine.cpu_model}, {machine.threads} threads, {round(machine.memory_bytes / 2**30)} GiB, "
        f"{platform.system()}, {platform.python_implementation()} {platform.python_version()}"
    )


def main() -> int:
    """Measure the parts that are asked for, keep their figures, and write the table of all that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--part", action="append", choices=PARTS, default=[], help="only these (default: all)"
    )
    parser.add_argument("--beside", default="", metavar="TEXT", help="what else the machine did meanwhile")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "bench.md")
    options = parser.parse_args()
    kept: dict[str, dict[str, Any]] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    failed = 0
    for name in options.part or PARTS:
        began = time.monotonic()
        try:
            figures = PARTS[name]()
        except Exception as error:  # the other parts are worth having, and the exit status tells
            print(f"{name}: {error}", file=sys.stderr)  # noqa: T201
            failed = 1
            continue
        kept[name] = {
            "figures": figures,
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "seconds": round(time.monotonic() - began),
            "machine": _machine(),
            "beside": options.beside or f"load average {os.getloadavg()[0]:.1f} at the end",
        }
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(kept, indent=1), "utf-8")
        print(f"{name}: {kept[name]['seconds']} s, {figures}", file=sys.stderr)  # noqa: T201
    options.out.write_text(table(kept), "utf-8")
    missed = [target.what for target in TARGETS if target.met(kept) is False]
    print("short of its target: " + ("; ".join(missed) or "nothing"), file=sys.stderr)  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(main())
