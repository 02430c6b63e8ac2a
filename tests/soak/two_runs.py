"""Do two runs of the same things, an hour apart, say the same of ratios?  ``python -m tests.soak.two_runs FILE FILE``.

For each variant the interval of its ratio to the first of its case, paired by process, in one run and in the other:
how many of these pairs of intervals overlap.
"""

import json
import math
import sys
from pathlib import Path

from data.compare import paired_logs
from data.estimate import minimum_processes, sign_interval
from data.records import Measurement
from data.rundocument import read
from data.summary import Key

Interval = tuple[float, float]


def intervals(file: Path) -> dict[Key, Interval]:
    """Return the interval of the ratio of each variant to the first of its case and thread count."""
    document = read(file)
    blocks = {process.index: process.block for process in document.processes}
    timed: dict[Key, list[Measurement]] = {}
    for line in document.lines:
        if isinstance(line, Measurement) and line.samples and line.samples.time_ns:
            timed.setdefault(line.key, []).append(line)
    cases: dict[tuple[str, int], list[Key]] = {}
    for key in sorted(timed):
        cases.setdefault((key[0], key[5]), []).append(key)
    found = {}
    for first, *others in cases.values():
        for key in others:
            logs = paired_logs(timed[key], timed[first], blocks)[1]
            if len(logs) >= minimum_processes(0.95):
                low, high = sign_interval(logs)
                found[key] = (math.exp(low), math.exp(high))
    return found


def main() -> int:
    """Compare, print."""
    one, other = (intervals(Path(name)) for name in sys.argv[1:3])
    both = sorted(one.keys() & other.keys())
    apart = [key for key in both if one[key][0] > other[key][1] or other[key][0] > one[key][1]]
    report = {
        "ratios": len(both),
        "overlapping": len(both) - len(apart),
        "apart": [{"key": list(key), "one": one[key], "other": other[key]} for key in apart],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
