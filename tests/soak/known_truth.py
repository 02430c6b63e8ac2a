"""Measures kernels with a known truth through the real runner, and counts how often the verdicts are right.

``python -m tests.soak.known_truth --processes 240 --out FILE`` is what ``just soak`` runs.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import msgspec

from data.records import Measurement
from runners.lines import Observer

KERNELS = Path(__file__).with_name("injected_kernels.py")


def measure(
    processes: int,
    folder: Path,
    cases: tuple[str, ...] = ("injected/*",),
    variants: tuple[str, ...] = (),
    observer: Observer | None = None,
) -> list:
    """Return the lines of a run of known-truth cases in that many processes."""
    os.environ["FLOPWATCH_KERNELS"] = str(KERNELS)
    from data.words import Profile
    from runners import workload
    from runners.lines import Lines
    from runners.orchestrate import Orchestrator
    from runners.plan import make_plan
    from runners.protocol import EFFORTS, Replication

    workload.kernels.cache_clear()
    written: list = []
    plan = make_plan(Profile.FULL, cases, variants, ("numpy",), (1,))
    orchestrator = Orchestrator(
        plan,
        Lines(written.append),
        Replication((processes,), 0.95, protocol=EFFORTS["quick"].protocol),
        seed=1,
        scratch=folder,
        numba_cache=folder / "numba",
        observer=observer or Observer(),
    )
    orchestrator.run()
    bad = [line for line in written if isinstance(line, Measurement) and line.status != "ok"]
    assert not bad, bad[0]
    return [line for line in written if isinstance(line, Measurement)]


def log_ratios(lines: list, new: str, old: str, *, filtered: bool = True) -> dict[str, list[float]]:
    """Return per case the paired log ratio of each process."""
    from data.estimate import paired_log_ratio

    held = {(line.case, line.variant, line.process): line.samples for line in lines}
    found = defaultdict(list)
    for (case, variant, process), samples in held.items():
        if variant == new:
            found[case].append(paired_log_ratio(samples, held[case, old, process], filtered=filtered))
    return found


def intervals(values: list[float], count: int) -> list[tuple[float, float]]:
    """Return the interval of each comparison of ``count`` successive processes; none shares a process with another."""
    from data.estimate import sign_interval

    return [
        sign_interval(values[start : start + count]) for start in range(0, len(values) - count + 1, count)
    ]


def covered(lines: list, count: int, *, filtered: bool = True) -> tuple[int, int]:
    """Return how many A/A intervals hold 1, of how many."""
    found = [
        low <= 0 <= high
        for values in log_ratios(lines, "again", "plain", filtered=filtered).values()
        for low, high in intervals(values, count)
    ]
    return sum(found), len(found)


def detected(lines: list, variant: str, count: int = 12) -> tuple[int, int]:
    """Return how many comparisons with added work are found to be slower, of how many."""
    found = [
        low > 0
        for values in log_ratios(lines, variant, "plain").values()
        for low, _ in intervals(values, count)
    ]
    return sum(found), len(found)


def covers_its_median(lines: list, variant: str, count: int = 6) -> tuple[int, int]:
    """Return how many intervals of a ratio hold its median over all processes, the best guess at the truth."""
    found = [
        low <= median(values) <= high
        for values in log_ratios(lines, variant, "plain").values()
        for low, high in intervals(values, count)
    ]
    return sum(found), len(found)


def moved_by_the_filter(lines: list, variant: str) -> dict[str, float]:
    """Return per case by how much the filter moves the typical ratio, as a share: it may not lean to a side."""
    clean, all_ = (log_ratios(lines, variant, "plain", filtered=filtered) for filtered in (True, False))
    return {case: math.expm1(median(clean[case]) - median(all_[case])) for case in clean}


def single_process_coverage(lines: list) -> tuple[int, int]:
    """The control that must fail: intervals over the samples of one process, not over processes."""
    from data.estimate import sign_interval

    held = {(line.case, line.variant, line.process): line.samples for line in lines}
    hits = total = 0
    for (case, variant, process), samples in held.items():
        if variant == "again":
            old = held[case, "plain", process]
            low, high = sign_interval([math.log(t / samples.batch) for t in samples.time_ns])
            old_low, old_high = sign_interval([math.log(t / old.batch) for t in old.time_ns])
            hits += low <= old_high and old_low <= high
            total += 1
    return hits, total


def pooled_coverage(lines: list, count: int) -> tuple[int, int]:
    """The control that must fail: the rounds of several processes pooled as if they were independent."""
    from data.estimate import sign_interval

    held = {(line.case, line.variant, line.process): line.samples for line in lines}
    pooled = defaultdict(list)
    for (case, variant, process), samples in held.items():
        if variant == "again":
            old = held[case, "plain", process]
            pooled[case].append([math.log(a / b) for a, b in zip(samples.time_ns, old.time_ns, strict=False)])
    hits = total = 0
    for groups in pooled.values():
        for start in range(0, len(groups) - count + 1, count):
            low, high = sign_interval([value for group in groups[start : start + count] for value in group])
            hits += low <= 0 <= high
            total += 1
    return hits, total


def unpaired_coverage(lines: list, count: int) -> tuple[int, int, float]:
    """The control: absolute times of different processes side by side; also returns the median half-width."""
    from data.estimate import process_log_time, sign_interval

    held = defaultdict(list)
    for line in lines:
        held[line.case, line.variant].append(process_log_time(line.samples))
    hits = total = 0
    widths = []
    for (case, variant), news in held.items():
        if variant == "again":
            olds = held[case, "plain"]
            # The two sides come from different processes: neighbours, so that only the pairing is taken away.
            differences = [a - b for a, b in zip(news, olds[1:] + olds[:1], strict=True)]
            for start in range(0, len(differences) - count + 1, count):
                low, high = sign_interval(differences[start : start + count])
                hits += low <= 0 <= high
                total += 1
                widths.append((high - low) / 2)
    return hits, total, median(widths)


def report(lines: list) -> dict:
    """Return all figures."""
    from data.estimate import process_log_time

    paired = log_ratios(lines, "again", "plain")
    half_widths = [(high - low) / 2 for values in paired.values() for low, high in intervals(values, 6)]
    clean = [mark for line in lines for mark in line.samples.clean]
    unpaired_hits, unpaired_total, unpaired_width = unpaired_coverage(lines, 6)
    spread = {
        case: median(abs(value - median(values)) for value in values) * 1.4826
        for case, values in paired.items()
    }
    absolute = defaultdict(list)
    for line in lines:
        if line.variant == "plain":
            absolute[line.case].append(process_log_time(line.samples))
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "processes": len({line.process for line in lines}),
        "clean_share": sum(clean) / len(clean),
        "aa_covered_6": covered(lines, 6),
        "aa_covered_12": covered(lines, 12),
        "aa_covered_6_unfiltered": covered(lines, 6, filtered=False),
        "aa_half_width_6_median": median(half_widths),
        "plus_5_found_12": detected(lines, "plus-5"),
        "plus_2_found_12": detected(lines, "plus-2"),
        "plus_5_median_covered_6": covers_its_median(lines, "plus-5"),
        "plus_2_median_covered_6": covers_its_median(lines, "plus-2"),
        "moved_by_the_filter": {
            name: moved_by_the_filter(lines, name) for name in ("again", "plus-2", "plus-5")
        },
        "aa_ratio": {case: math.exp(median(values)) for case, values in paired.items()},
        "injected_ratio": {
            name: {
                case: math.exp(median(values)) for case, values in log_ratios(lines, name, "plain").items()
            }
            for name in ("plus-2", "plus-5")
        },
        "control_single_process": single_process_coverage(lines),
        "control_pooled_6": pooled_coverage(lines, 6),
        "control_unpaired_6": (unpaired_hits, unpaired_total),
        "control_unpaired_half_width_6_median": unpaired_width,
        "paired_spread": spread,
        "absolute_spread": {
            case: median(abs(value - median(values)) for value in values) * 1.4826
            for case, values in absolute.items()
        },
    }


def main() -> int:
    """Measure and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=240)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--lines", type=Path, help="keep every sample here, to ask other questions later")
    parser.add_argument(
        "--read", type=Path, help="ask lines that an earlier call has kept, without measuring"
    )
    options = parser.parse_args()
    if options.read:
        lines = [
            msgspec.json.decode(line, type=Measurement) for line in options.read.read_bytes().splitlines()
        ]
    else:
        with tempfile.TemporaryDirectory() as folder:
            lines = measure(options.processes, Path(folder))
    if options.lines:
        options.lines.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    text = json.dumps(report(lines), indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
