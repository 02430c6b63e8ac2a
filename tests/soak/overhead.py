"""How much of a run is timed kernel time: ``python -m tests.soak.overhead FILE`` prints it for each kernel, as JSON."""

import json
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path


def shares(path: Path) -> dict:
    """Return timed share of the whole run, and of the measuring phase (warm-up, probes and covariates beside it)."""
    from data.rundocument import read

    document = read(path)
    timed_s: dict[str, float] = defaultdict(float)
    phase_s: dict[str, float] = defaultdict(float)
    prepare_s: dict[str, float] = defaultdict(float)
    seen = set()
    for line in document.lines:
        if line.samples is None:
            continue
        timed_s[line.kernel] += sum(line.samples.time_ns) / 1e9
        phase = (line.process, line.case)
        if phase not in seen:  # the variants of a case share the phase of their process
            seen.add(phase)
            phase_s[line.kernel] += line.attributes["load"]["elapsed_s"]
            prepare_s[line.kernel] += line.attributes["prepare_s"]
    end = document.end
    assert end is not None, "the run is not complete"
    whole_s = (_moment(end.ended) - _moment(document.run.started)).total_seconds()
    return {
        "run_s": round(whole_s, 1),
        "timed_s": round(sum(timed_s.values()), 1),
        "timed_share_of_run": round(sum(timed_s.values()) / whole_s, 3),
        "prepare_s": {kernel: round(seconds, 1) for kernel, seconds in prepare_s.items()},
        "measuring_s": {kernel: round(seconds, 1) for kernel, seconds in phase_s.items()},
        "timed_share_of_measuring": {
            kernel: round(timed_s[kernel] / phase_s[kernel], 3) for kernel in sorted(timed_s)
        },
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(shares(Path(sys.argv[1])), indent=1) + "\n")
