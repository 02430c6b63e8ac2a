"""Realistic histories for benchmarks of the store: run files with noisy samples, and indexes full of summaries."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from data.ledger import RUN, Ledger, digest
from data.records import End, Environment, Error, Machine, Measurement, Process, Run, Samples, Work, uuid7
from data.runfile import RunFileWriter
from data.store import Store
from data.words import Status

__all__ = ["PER_RUN", "fill_ledger", "fill_summaries", "run_file"]

#: Each measurement has so many processes with so many samples, each run so many measurements.
PROCESSES, SAMPLES, PER_RUN = 8, 25, 100
#: So many runs have samples of their own; later ones repeat them.
TEMPLATES = 100
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def _noisy(rng: np.random.Generator, time_ns: float) -> list[int]:
    times: list[int] = (time_ns * rng.lognormal(0.0, 0.02, SAMPLES)).astype(np.int64).tolist()
    return times


def _measurement(rng: np.random.Generator, number: int, process: int) -> Measurement:
    times = _noisy(rng, 50_000.0 * (number + 1))
    return Measurement(
        case=f"matmul/{number // 4}",
        kernel="matmul",
        variant=("naive", "naive-parallel", "blocked", "blas")[number % 4],
        condition="given",
        backend="numpy",
        device="cpu",
        threads=2,
        status=Status.OK,
        process=process,
        work=Work(flop=2e6 * (number + 1)),
        unit="GFLOP/s",
        bound="flop",
        footprint_bytes=12 << 20,
        first_call_ns=2 * times[0],
        samples=Samples(
            times,
            1,
            list(range(SAMPLES)),
            (rng.random(SAMPLES) > 0.1).tolist(),
            [time - 900 for time in times],
            rng.poisson(0.1, SAMPLES).tolist(),
            _noisy(rng, 1.5e6),
        ),
        error=Error(1e-5 * rng.random(), 1e-6 * rng.random(), 1e-3),
        attributes={"load": {"steal": 0.0, "pressure": round(rng.random(), 3)}, "position": number},
    )


def _run(seed: int) -> Run:
    return Run(
        id=uuid7(),
        started=(_BEGIN + timedelta(hours=seed)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        flopwatch={"version": "0.1.0", "commit": f"{seed:07x}"},
        machine=Machine(f"{seed % 50:012x}", f"machine-{seed % 50}", "Model 7", 8, 16, 64 << 30),
        environment=Environment(f"{seed // 100:012x}", "CPython 3.11.7", {"numpy": f"2.4.{seed // 100}"}),
        profile="standard",
        effort="standard",
        seed=seed,
    )


def run_file(path: Path, seed: int) -> Path:
    """Write a run of ``PER_RUN`` measurements and return its path."""
    rng = np.random.default_rng(seed)
    run = _run(seed)
    with RunFileWriter(path) as writer:
        writer.write(run)
        for process in range(PROCESSES):
            writer.write(
                Process(index=process, block=process, started=run.started, backends=["numpy"], threads=2)
            )
            for number in range(PER_RUN):
                writer.write(_measurement(rng, number, process))
        writer.end()
    return path


def _again(content: bytes, seed: int) -> bytes:
    """Return a run file with the samples of another: a long history is made in minutes."""
    lines = content.split(b"\n")
    before = b"\n".join([msgspec.json.encode(_run(seed)), *lines[1:-2]]) + b"\n"
    end = End(ended="2026-01-01T00:00:00Z", lines=len(lines) - 2, sha256=digest(before))
    return before + msgspec.json.encode(end) + b"\n"


def fill_ledger(ledger: Ledger, measurements: int, scratch: Path) -> Iterator[bytes]:
    """Append runs until the ledger has so many measurements; yield the content of each."""
    templates = []
    for seed in range(measurements // PER_RUN):
        if seed < TEMPLATES:
            path = run_file(scratch / "next.run.jsonl", seed)
            content = path.read_bytes()
            path.unlink()
            templates.append(content)
        else:
            content = _again(templates[seed % TEMPLATES], seed)
        ledger.append(RUN, content)
        yield content


_SUMMARIES = """
INSERT INTO machine SELECT format('{:012x}', m), 'machine-' || m, NULL, NULL, 'Model 7', 8, 16, 68719476736, [],
    '{}', now() FROM range($machines) t(m);
INSERT INTO environment SELECT format('{:012x}', e), 'CPython 3.11.7', '{"numpy":"2.4.6"}', '[]', '{}', now()
FROM range(20) t(e);
INSERT INTO series SELECT m * 240 + s, format('{:016x}', hash(m * 240 + s)), format('{:012x}', m),
    ['matmul', 'relu', 'layernorm', 'attention', 'softmax', 'save'][1 + s % 6],
    ['matmul', 'relu', 'layernorm', 'attention', 'softmax', 'save'][1 + s % 6] || '/' || s % 60,
    ['naive', 'naive-parallel', 'blocked', 'blas'][1 + s // 60], 'given', 'numpy', 'cpu', 2
FROM range($machines) t(m), range(240) u(s);
INSERT INTO run SELECT r, gen_random_uuid()::VARCHAR, format('{:064x}', hash(r)),
    TIMESTAMPTZ '2024-01-01' + INTERVAL (r // $machines) HOUR,
    TIMESTAMPTZ '2024-01-01' + INTERVAL (r // $machines + 1) HOUR,
    false, format('{:012x}', r % $machines), format('{:012x}', r % 20), 'standard', 'standard', 0, [], '{}', '{}', '{}',
    '0.1.0', format('{:07x}', r % 400), 240, 240, 0, r % 1000 = 999, false
FROM range($runs) t(r);
INSERT INTO entry SELECT sha256, 'run', started, 2500000, 'applied', run_id, NULL FROM run;
INSERT INTO statement SELECT gen_random_uuid()::VARCHAR, 'annotation', format('{:064x}', hash(-n)),
    TIMESTAMPTZ '2024-06-01' + INTERVAL (n) HOUR, 'someone', NULL,
    '{"text":"new cooler","series":"' || format('{:016x}', hash(n)) || '"}'
FROM range(1000) t(n);
INSERT INTO statement SELECT gen_random_uuid()::VARCHAR, 'decision', format('{:064x}', hash(-1000 - n)),
    TIMESTAMPTZ '2024-06-01' + INTERVAL (n) HOUR, 'someone', format('{:016x}', hash(n)), '{"decision":"confirmed"}'
FROM range(1000) t(n);
INSERT INTO statement SELECT gen_random_uuid()::VARCHAR, 'withdrawal', format('{:064x}', hash(-9000000 - run)),
    started, 'someone', run_id, '{"reason":"throttled"}' FROM run WHERE withdrawn;
"""
_MEASUREMENTS = """
INSERT INTO measurement BY NAME SELECT r.run, s.series, format('{:016x}', hash(r.run, s.series)) AS measurement_id,
    s.series % 240 >= 236 AS is_ceiling, r.withdrawn,
    CASE s.series % 240 WHEN 7 THEN 'wrong' WHEN 8 THEN 'unavailable' ELSE 'ok' END AS status, '' AS reason,
    '' AS install, CASE WHEN r.run % 50 = 0 THEN 0.004 + 0.002 * random() END AS noise_floor,
    CASE WHEN status = 'ok' THEN s.time_ns END AS time_ns, time_ns * 0.99 AS low_ns,
    time_ns * 1.012 AS high_ns, time_ns * 0.95 AS best_ns,
    time_ns * 0.97 AS p10_ns, time_ns * 1.05 AS p90_ns, 8 AS processes, 200 AS samples,
    round(random(), 3) AS clean_share, 1e7 / time_ns AS rate, 9.9e6 / time_ns AS rate_low,
    1.01e7 / time_ns AS rate_high, 'GFLOP/s' AS unit, random() AS share_of_ceiling, 'ceiling/fma' AS ceiling_case,
    100 * random() AS ceiling_rate, 'GFLOP/s' AS ceiling_unit, 1e-5 * random() AS max_absolute_error,
    1e-6 * random() AS max_relative_error, 1e-3 AS tolerance, (2 * time_ns)::BIGINT AS first_call_ns,
    []::VARCHAR[] AS flags, 1e7 AS flop, 12582912 AS footprint_bytes, 'flop' AS bound,
    '{"load":{"steal":0.0,"pressure":0.' || (1000 * random())::INTEGER || '},"position":1}' AS attributes
FROM (SELECT run, machine_id, withdrawn FROM run WHERE run >= $first AND run < $last) AS r
JOIN (
    SELECT *, 1e5 * (1 + series % 97) * exp(0.02 * (random() + random() + random() - 1.5)) AS time_ns FROM series
) AS s USING (machine_id)
ORDER BY r.run, s.series
"""
_NEWEST = """
INSERT INTO newest SELECT m.* FROM measurement AS m WHERE m.run >= (SELECT max(run) FROM run) - $machines + 1
AND NOT m.withdrawn
"""


def fill_summaries(store: Store, measurements: int, machines: int = 50) -> None:
    """Fill the tables of an empty store as so many measurements would, raw samples left in the ledger."""
    runs = measurements // 240
    with store.transaction() as cursor:
        for statement in _SUMMARIES.strip().removesuffix(";").split(";\n"):
            wanted = {"machines": machines, "runs": runs}
            cursor.execute(
                statement, {name: wanted[name] for name in wanted if f"${name}" in statement}
            ).fetchall()
    for first in range(0, runs, 2000):
        with store.transaction() as cursor:
            cursor.execute(_MEASUREMENTS, {"first": first, "last": min(first + 2000, runs)}).fetchall()
    with store.transaction() as cursor:
        cursor.execute(_NEWEST, {"machines": machines}).fetchall()
    store.checkpoint()
