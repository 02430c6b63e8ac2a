"""Files of other tools: what is in them arrives, what they lack is said, what is wrong is refused with its place."""

import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data.errors import BadInput
from data.importers import IMPORTERS, ImportedFileError, Source, detect, find, to_run_file
from data.records import Measurement
from data.rundocument import RunDocument, read
from data.summary import summarise
from data.words import Status

FILES = Path(__file__).with_name("files")
WHEN = datetime(2026, 11, 24, 12, tzinfo=UTC)

Times = dict[str, list[list[float]]]


def load(name: str) -> Any:
    return json.loads((FILES / name).read_text("utf-8"))


# What each file says, read here in another way than by the importer: name → samples of each process in ns of a call.


def criterion() -> Times:
    found: Times = {}
    for path in (FILES / "criterion").rglob("new/sample.json"):
        sample = json.loads(path.read_text())
        name = json.loads((path.parent / "benchmark.json").read_text())["full_id"]
        found[name] = [[time / calls for time, calls in zip(sample["times"], sample["iters"], strict=True)]]
    return found


def cargo_criterion() -> Times:
    lines = [json.loads(line) for line in (FILES / "cargo-criterion.jsonl").read_text().splitlines()]
    return {
        one["id"]: [[v / n for v, n in zip(one["measured_values"], one["iteration_count"], strict=True)]]
        for one in lines
        if one["reason"] == "benchmark-complete"
    }


def pytest_benchmark() -> Times:
    rows = load("pytest-benchmark.json")["benchmarks"]
    return {row["fullname"]: [[value * 1e9 for value in row["stats"]["data"]]] for row in rows}


def pyperf() -> Times:
    return {
        one["metadata"]["name"]: [
            [value * 1e9 for value in run["values"]] for run in one["runs"] if "values" in run
        ]
        for one in load("pyperf.json")["benchmarks"]
    }


def google_benchmark() -> Times:
    found: Times = {}
    for row in load("google-benchmark.json")["benchmarks"]:
        if row["run_type"] == "iteration" and not row.get("error_occurred"):
            assert row["time_unit"] == "ns"
            found.setdefault(row["run_name"], [[]])[0].append(row["real_time"])
    return found


def asv() -> Times:
    (path,) = (FILES / "asv" / "bench").glob("3ae*.json")
    held = json.loads(path.read_text())
    found: Times = {}
    for name, values in held["results"].items():
        row = dict(zip(held["result_columns"], values, strict=False))
        if ".time_" not in name:
            continue
        first, *others = row["params"] or [[""]]
        chosen = [f"({a}, {b})" for a in first for b in others[0]] if others else [""]
        for suffix, samples in zip(chosen, row["samples"], strict=True):
            found[name + suffix] = [[sample * 1e9 for sample in samples]]
    return found


def nvbench() -> Times:
    samples = struct.unpack("<25f", (FILES / "nvbench.json-bin" / "0.bin").read_bytes())
    name = "copy[Elements=2^20]"
    return {name: [[sample * 1e9 for sample in samples]], f"{name} hot": [[1.8e4]]}


def hyperfine() -> Times:
    found: Times = {}
    for one in load("hyperfine.json")["results"]:
        name = one["command"]
        parameters = one.get("parameters", {})
        if parameters and parameters["n"] not in name:
            name += f" n={parameters['n']}"
        found[name] = [[time * 1e9] for time in one["times"]]
    return found


def jmh() -> Times:
    average, throughput, sampled = load("jmh.json")
    histogram = sampled["primaryMetric"]["rawDataHistogram"]
    return {
        "org.example.Sums.sum[n=1000]": [
            [v * 1e3 for v in fork] for fork in average["primaryMetric"]["rawData"]
        ],
        "org.example.Sums.sum thrpt": [
            [1e6 / v for v in fork] for fork in throughput["primaryMetric"]["rawData"]
        ],
        "org.example.Sums.sampled sample": [
            [v for pairs in histogram[0] for v, count in pairs for _ in range(count)]
        ],
    }


def go_bench() -> Times:
    found: Times = {}
    for name, time_ns in re.findall(
        r"^(Benchmark\S+)\s+\d+\s+(\S+) ns/op", (FILES / "go-bench.txt").read_text(), re.M
    ):
        found.setdefault(name, [[]])[0].append(float(time_ns))
    return found


def bencher() -> Times:
    return {"parse/small": [[88.0]], "parse/large": [[1e9 / 250]]}


#: format → file, what it says, how many results have no time
KNOWN: dict[str, tuple[str, Callable[[], Times], int]] = {
    "criterion": ("criterion", criterion, 0),
    "cargo-criterion": ("cargo-criterion.jsonl", cargo_criterion, 0),
    "pytest-benchmark": ("pytest-benchmark.json", pytest_benchmark, 0),
    "pyperf": ("pyperf.json", pyperf, 0),
    "google-benchmark": ("google-benchmark.json", google_benchmark, 1),
    "asv": ("asv", asv, 4),
    "nvbench": ("nvbench.json", nvbench, 1),
    "hyperfine": ("hyperfine.json", hyperfine, 0),
    "jmh": ("jmh.json", jmh, 0),
    "go": ("go-bench.txt", go_bench, 0),
    "bencher": ("bencher.json", bencher, 1),
}


def converted(path: Path) -> RunDocument:
    source = Source(path)
    (imported,) = detect(source).read(source)
    return read(to_run_file(imported, source.content, WHEN))


def held(document: RunDocument) -> Times:
    """Return name → samples of each process in ns of a call, as the run file has them."""
    found: Times = {}
    for line in document.lines:
        name = line.case.partition(":")[2]
        if line.condition not in ("given", "cold", "avgt"):
            name += f" {line.condition}"
        if line.samples:
            found.setdefault(name, []).append([time / line.samples.batch for time in line.samples.time_ns])
    return found


def test_every_importer_is_tested() -> None:
    assert set(KNOWN) == {importer.name for importer in IMPORTERS}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_in_a_file_arrives(name: str) -> None:
    """The format is told by the content, and every sample arrives in its process to six digits."""
    file, expected, untimed = KNOWN[name]
    assert detect(Source(FILES / file)).name == name
    document = converted(FILES / file)
    found, wanted = held(document), expected()
    assert wanted
    assert found.keys() == wanted.keys()
    for key, processes in wanted.items():
        assert len(found[key]) == len(processes), key
        for mine, theirs in zip(found[key], processes, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-6), key
    without = [line for line in document.lines if not line.samples]
    assert len(without) == untimed
    assert all(line.reason and line.status is not Status.OK for line in without)


@pytest.mark.parametrize("name", KNOWN)
def test_the_same_file_gives_the_same_run(name: str) -> None:
    """Importing twice changes nothing: the bytes are the same, and with them run, entry and ledger."""
    source = Source(FILES / KNOWN[name][0])
    first, again = (to_run_file(find(name).read(source)[0], source.content, WHEN) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("name", KNOWN)
def test_what_the_source_lacks_is_said(name: str) -> None:
    """An interval needs processes: there is one where the tool ran several, and a flag where it ran one."""
    for row in summarise(converted(FILES / KNOWN[name][0])):
        assert {"imported", "unchecked"} <= set(row.flags)
        if row.status is Status.OK:
            assert ("single-process" in row.flags) == (row.processes == 1)
            assert (row.low_ns is not None) == (row.processes >= 6)
    several = {"pyperf", "hyperfine", "jmh"}
    widest = max(row.processes for row in summarise(converted(FILES / KNOWN[name][0])))
    assert (widest > 1) == (name in several)


def test_machine_and_environment_come_along_where_they_are_told() -> None:
    run = converted(FILES / "pytest-benchmark.json").run
    assert (run.machine.cpu_model, run.machine.threads) == ("AMD EPYC", 2)
    assert run.environment.interpreter == "CPython 3.11.7"
    assert converted(FILES / "go-bench.txt").run.machine.cpu_model == "AMD EPYC"
    unknown = converted(FILES / "bencher.json")
    assert unknown.run.machine.cpu_model == "unknown"
    flags = {flag for line in unknown.lines for flag in line.flags}
    assert {"no-machine", "no-environment", "no-samples", "mean-only"} <= flags


def test_throughput_of_the_tool_becomes_a_rate() -> None:
    rows = {row.case: row for row in summarise(converted(FILES / "google-benchmark.json"))}
    row = rows["google-benchmark:BM_Sum/1024/repeats:5"]
    told = load("google-benchmark.json")["benchmarks"][0]
    assert (row.unit, row.threads) == ("GB/s", 1)
    assert row.rate == pytest.approx(told["bytes_per_second"] / 1e9, rel=0.2)
    assert rows["google-benchmark:BM_Sum/2048/real_time/threads:2"].threads == 2
    assert rows["google-benchmark:BM_Fails"].reason == "no device"


def test_the_tools_own_interval_is_kept_apart() -> None:
    """What Criterion says of its one process is no interval over processes."""
    line = next(
        line for line in converted(FILES / "criterion").lines if line.case == "criterion:matmul/naive/512"
    )
    assert isinstance(line, Measurement)
    bounds = json.loads((FILES / "criterion/matmul/naive/512/new/estimates.json").read_text())["median"]
    interval = bounds["confidence_interval"]
    assert line.attributes["interval"]["low_ns"] == interval["lower_bound"]
    assert line.attributes["interval"]["high_ns"] == interval["upper_bound"]


JSON_FILES = [file for file, _, _ in KNOWN.values() if file.endswith(".json")]


@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_file_is_refused_with_its_line(file: str, share: float, tmp_path: Path) -> None:
    content = (FILES / file).read_bytes().rstrip()
    cut = tmp_path / file
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImportedFileError, match=rf"^{re.escape(file)}, line \d+: is no JSON: it ends early"):
        detect(Source(cut))


@pytest.mark.parametrize("file", JSON_FILES)
def test_a_byte_that_is_wrong_is_found(file: str, tmp_path: Path) -> None:
    content = (FILES / file).read_bytes()
    middle = content.index(b":", len(content) // 2)
    broken = tmp_path / file
    broken.write_bytes(content[:middle] + b"?" + content[middle + 1 :])
    with pytest.raises(ImportedFileError) as caught:
        detect(Source(broken))
    assert caught.value.line == content[:middle].count(b"\n") + 1


#: format → how its file is spoiled, and what the message must name
SPOILED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("pytest-benchmark.json", lambda f: f["benchmarks"][1]["stats"].pop("median"), "benchmarks[1].stats"),
    ("pytest-benchmark.json", lambda f: f.update(version="6.0.0"), "written by pytest-benchmark 6.0.0"),
    (
        "pyperf.json",
        lambda f: f["benchmarks"][0]["runs"][1].update(values="x"),
        "benchmarks[0].runs[1].values",
    ),
    ("pyperf.json", lambda f: f.update(version="2.0"), "written in format 2.0"),
    (
        "pyperf.json",
        lambda f: [run.pop("values", 0) for run in f["benchmarks"][0]["runs"]],
        "benchmarks[0].runs",
    ),
    ("google-benchmark.json", lambda f: f["benchmarks"][0].update(time_unit="h"), "benchmarks[0].time_unit"),
    ("google-benchmark.json", lambda f: f["benchmarks"][0].update(real_time=[]), "benchmarks[0].real_time"),
    ("google-benchmark.json", lambda f: f["context"].update(json_schema_version=2), "written in format 2"),
    ("nvbench.json", lambda f: f["meta"]["version"]["json"].update(major=2), "meta.version.json"),
    ("nvbench.json", lambda f: f["benchmarks"][0]["states"][0].pop("name"), "benchmarks[0].states[0]"),
    ("hyperfine.json", lambda f: f["results"][0].update(times={"a": 1}), "results[0].times"),
    ("jmh.json", lambda f: f[0]["primaryMetric"].update(rawData=[[0.0]]), "[0].primaryMetric"),
    ("jmh.json", lambda f: f[0].pop("mode"), "missing required field `mode`"),
    ("bencher.json", lambda f: f["parse/small"]["latency"].update(value=0), "parse/small.latency.value"),
    ("bencher.json", lambda f: f["parse/small"]["latency"].update(value="fast"), "value"),
]


@pytest.mark.parametrize(("file", "spoil", "named"), SPOILED)
def test_what_is_wrong_is_named(file: str, spoil: Callable[[Any], Any], named: str, tmp_path: Path) -> None:
    content = load(file)
    spoil(content)
    path = tmp_path / file
    path.write_text(json.dumps(content))
    source = Source(path)
    with pytest.raises(ImportedFileError) as caught:
        detect(source).read(source)
    assert str(caught.value).startswith(file)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spoiled_criterion_tree_names_the_benchmark(tmp_path: Path) -> None:
    tree = shutil.copytree(FILES / "criterion", tmp_path / "criterion")
    sample = tree / "matmul/naive/512/new/sample.json"
    content = json.loads(sample.read_text())
    content["iters"].pop()
    sample.write_text(json.dumps(content))
    with pytest.raises(
        ImportedFileError, match=r"sample\.json, times: matmul/naive/512: 20 times for 19 counts"
    ):
        find("criterion").read(Source(tree))
    sample.write_text("{")
    with pytest.raises(ImportedFileError, match=r"sample\.json, line 1: is no JSON"):
        find("criterion").read(Source(tree))
    sample.unlink()
    (result,) = [
        one for one in find("criterion").read(Source(tree))[0].results if one.name == "matmul/naive/512"
    ]
    assert result.summary == "median"


def test_a_spoiled_message_of_cargo_criterion_names_its_line(tmp_path: Path) -> None:
    lines = (FILES / "cargo-criterion.jsonl").read_text().splitlines()
    message = json.loads(lines[1])
    del message["unit"]
    path = tmp_path / "cargo-criterion.jsonl"
    path.write_text("\n".join([lines[0], json.dumps(message)]))
    with pytest.raises(ImportedFileError, match="line 2: object missing required field `unit`"):
        find("cargo-criterion").read(Source(path))
    path.write_text("\n".join([lines[0], lines[1][:200]]))
    with pytest.raises(ImportedFileError, match="line 2: is no JSON: it ends early"):
        find("cargo-criterion").read(Source(path))


def test_old_and_new_asv_results_are_refused(tmp_path: Path) -> None:
    tree = shutil.copytree(FILES / "asv", tmp_path / "asv")
    (path,) = (tree / "bench").glob("3ae*.json")
    content = json.loads(path.read_text())
    for version, advice in ((1, "asv update"), (3, "up to 2 is known")):
        path.write_text(json.dumps(content | {"version": version}))
        with pytest.raises(ImportedFileError, match=f"written in format {version}; .*{advice}"):
            find("asv").read(Source(tree))


def test_a_go_file_that_ends_early_names_the_line(tmp_path: Path) -> None:
    lines = (FILES / "go-bench.txt").read_text().splitlines()
    path = tmp_path / "go.txt"
    path.write_text("\n".join([*lines[:6], "BenchmarkSum/n=100         	      20"]))
    with pytest.raises(ImportedFileError, match="line 7: the line of a benchmark ends early"):
        find("go").read(Source(path))
    path.write_text("\n".join([*lines[:6], "BenchmarkSum/n=100  20  78.10 ns/op 12"]))
    with pytest.raises(ImportedFileError, match=r"line 7: .* is no list of values with units"):
        find("go").read(Source(path))


def test_go_names_its_threads_only_where_all_lines_do(tmp_path: Path) -> None:
    path = tmp_path / "go.txt"
    path.write_text("goos: linux\nBenchmarkA-8  10  5 ns/op\nBenchmarkB-8  10  6 ns/op\n")
    assert [(one.name, one.threads) for one in find("go").read(Source(path))[0].results] == [
        ("BenchmarkA", 8),
        ("BenchmarkB", 8),
    ]
    path.write_text("goos: linux\nBenchmarkA-8  10  5 ns/op\nBenchmarkB  10  6 ns/op\n")
    assert [(one.name, one.threads) for one in find("go").read(Source(path))[0].results] == [
        ("BenchmarkA-8", 1),
        ("BenchmarkB", 1),
    ]


def test_what_nobody_knows_is_refused_with_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text('{"hello": 1}')
    with pytest.raises(ImportedFileError, match=r"of no known format; say which with --format .*pyperf"):
        detect(Source(path))
    with pytest.raises(BadInput, match="there is no format"):
        find("nothing")


def test_files_that_the_installed_tools_write(tmp_path: Path) -> None:
    """The versions of pytest-benchmark and pyperf that are installed here write what is read."""
    test = tmp_path / "test_it.py"
    test.write_text(
        "def test_sum(benchmark):\n    benchmark.pedantic(sum, args=([1, 2],), rounds=5, iterations=3)\n"
    )
    script = tmp_path / "it.py"
    script.write_text(
        "import pyperf\nrunner = pyperf.Runner(processes=2, values=2, warmups=0, loops=8)\n"
        "runner.timeit('sum', stmt='sum([1, 2])')\n"
    )
    words = ["-m", "pytest", "-q", "-c", "/dev/null", "--rootdir=.", "--benchmark-json=pb.json", test.name]
    for arguments in (words, [script.name, "--quiet", "--output", "pp.json"]):
        subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=300
        )
    assert [len(one) for one in held(converted(tmp_path / "pb.json"))["test_it.py::test_sum"]] == [5]
    assert [len(one) for one in held(converted(tmp_path / "pp.json"))["sum"]] == [2, 2]
