"""Whether a result came out again: what differs between two runs, how close they are, and the verdict.

The new value is held against the prediction interval of the original: where the median of P₂ further processes is to
be expected, given P₁ processes whose logarithms have the standard deviation s, is ± t·√(π/2)·s·√(1/P₁ + 1/P₂) (2.46 s
for many processes), t being the 97.5 % point of Student's distribution with P₁ - 1 degrees of freedom.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median, stdev
from typing import Any

from data.compare import compare_runs, timed
from data.estimate import Comparison, process_log_time
from data.records import Run
from data.rundocument import RunDocument
from data.summary import Key, Measured, merge, summarise
from data.words import Comparability, Reproduced, Status, Verdict

__all__ = [
    "Difference",
    "Reproduction",
    "Result",
    "badge",
    "binomial_interval",
    "differences",
    "judge_reproduction",
    "prediction",
]


@dataclass(frozen=True)
class Difference:
    """One thing in which two runs differ; ``decides`` says that their times cannot be held against each other."""

    what: str
    before: str
    now: str
    decides: bool

    def __str__(self) -> str:
        """Say it for people."""
        return f"{self.what}: {self.before} → {self.now}"


@dataclass(frozen=True)
class Result:
    """One measurement and its repetition.  ``predicted`` is the share by which the new median may lie off."""

    key: Key
    verdict: Reproduced
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    predicted: float | None = None
    inside: bool | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as the run file keeps it."""
        names = ("case", "variant", "condition", "backend", "device", "threads")
        figures = ("ratio", "low", "high", "predicted", "inside", "reason")
        return dict(zip(names, self.key, strict=True)) | {
            "verdict": self.verdict.value,
            **{name: getattr(self, name) for name in figures},
        }


@dataclass(frozen=True)
class Reproduction:
    """What became of the attempt to measure a run again."""

    original: Run
    new: Run
    comparability: Comparability
    differences: list[Difference]
    results: list[Result]

    def count(self, verdict: Reproduced) -> int:
        """Return how many measurements have a verdict."""
        return sum(result.verdict == verdict for result in self.results)


#: A prediction that allows more than this share would be met by almost anything.
_WIDEST = 0.5

# -- what differs ----------------------------------------------------------------------------------------------

_MACHINE = ("cpu_model", "cores", "threads", "devices")
#: What of a machine can change without its becoming another one.
_STATE = (
    "kernel",
    "distribution",
    "c_library",
    "governor",
    "hypervisor",
    "container",
    "transparent_huge_pages",
)
_STATE_OF_CPU = ("microcode",)
_SURROUNDINGS = ("aslr", "clocksource", "container_image", "interpreter")


def differences(old: Run, new: Run) -> list[Difference]:
    """Return everything that differs between the machine, environment and protocol of two runs, the gravest first."""
    found: list[Difference] = []

    def hold(what: str, before: Any, now: Any, *, decides: bool) -> None:
        if before != now:
            found.append(Difference(what, _words(before), _words(now), decides))

    _hold_machines(old, new, hold)
    _hold_environments(old, new, hold)
    hold("seed of the inputs", old.seed, new.seed, decides=True)
    for name in ("looks", "precision", "window_ns", "minimum_rounds", "turns", "warm_up_ns"):
        hold(f"protocol: {name}", old.protocol.get(name), new.protocol.get(name), decides=False)
    hold("kernels", _kernels(old), _kernels(new), decides=True)
    for name in ("version", "sources"):
        hold(f"flopwatch's {name}", old.flopwatch.get(name), new.flopwatch.get(name), decides=False)
    return sorted(found, key=lambda one: not one.decides)


Hold = Callable[..., None]


def _hold_machines(old: Run, new: Run, hold: Hold) -> None:
    for name in _MACHINE:
        hold(f"machine: {name}", getattr(old.machine, name), getattr(new.machine, name), decides=True)
    memory = [round(run.machine.memory_bytes / 2**30) for run in (old, new)]
    hold("machine: memory in GiB", *memory, decides=True)
    for name in _STATE:
        hold(name, old.machine.attributes.get(name), new.machine.attributes.get(name), decides=False)
    for name in _STATE_OF_CPU:
        values = [run.machine.attributes.get("cpu", {}).get(name) for run in (old, new)]
        hold(name, *values, decides=False)


def _hold_environments(old: Run, new: Run, hold: Hold) -> None:
    before, now = old.environment, new.environment
    minors = [".".join(one.interpreter.split(".")[:2]) for one in (before, now)]
    hold("interpreter", before.interpreter, now.interpreter, decides=minors[0] != minors[1])
    wheels = [one.attributes.get("wheels", {}) for one in (before, now)]
    for name in sorted({*before.packages, *now.packages}):
        versions = (before.packages.get(name), now.packages.get(name))
        hold(name, *versions, decides=None not in versions or name in before.packages)
        if versions[0] == versions[1] and name in wheels[0] and name in wheels[1]:
            hold(f"{name}: digest of the wheel", wheels[0][name], wheels[1][name], decides=True)
    hold("BLAS", _libraries(before.blas), _libraries(now.blas), decides=True)
    variables = [one.attributes.get("variables", {}) for one in (before, now)]
    for name in sorted({*variables[0], *variables[1]}):
        hold(f"variable {name}", variables[0].get(name), variables[1].get(name), decides=False)
    for name in _SURROUNDINGS:
        values = [_surrounding(one.attributes.get(name)) for one in (before, now)]
        hold(name, *values, decides=False)


def _surrounding(value: Any) -> Any:
    return value.get("build") if isinstance(value, dict) else value


def _libraries(blas: Iterable[dict[str, Any]]) -> list[str]:
    facts = ("library", "version", "architecture")
    names = [" ".join(str(one.get(name, "")) for name in facts) for one in blas]
    return sorted(re.sub(r"-[0-9a-f]{6,}(\.\w+)", r"\1", name) for name in names)


def _kernels(run: Run) -> Any:
    recipe = run.protocol.get("recipe")
    return recipe.get("kernels", {}).get("commit") if isinstance(recipe, dict) else None


def _words(value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _comparability(found: Sequence[Difference]) -> Comparability:
    if any(one.decides for one in found):
        return Comparability.NO
    return Comparability.CAVEATS if found else Comparability.SAME


# -- how close -------------------------------------------------------------------------------------------------


def prediction(log_times: Sequence[float], further: int) -> float | None:
    """Return how far (as a logarithm) the median of ``further`` new processes may lie from that of these ones.

    None with fewer than three processes, which tell too little of how processes differ.
    """
    if len(log_times) < 3 or further < 1:
        return None
    width = _student(len(log_times) - 1) * math.sqrt(math.pi / 2) * stdev(log_times)
    return width * math.sqrt(1 / len(log_times) + 1 / further)


def _student(degrees: int) -> float:
    """Return the 97.5 % point of Student's distribution (Abramowitz and Stegun 26.7.5; exact for 1 and 2)."""
    if degrees <= 2:
        return (12.7062, 4.3027)[degrees - 1]
    z = NormalDist().inv_cdf(0.975)
    terms: tuple[float, ...] = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(degrees) ** power for power, term in enumerate(terms))


def judge_reproduction(old: RunDocument, new: RunDocument, keys: Iterable[Key] | None = None) -> Reproduction:
    """Return the verdict on each measurement of ``old`` that was ok (or of ``keys``), given that ``new`` repeats it."""
    found = differences(old.run, new.run)
    wanted = [row.key for row in summarise(old) if row.status == Status.OK and not row.is_ceiling]
    if keys is not None:
        chosen = set(keys)
        wanted = [key for key in wanted if key in chosen]
    befores, afters = merge(old.lines), merge(new.lines)
    absent = {line.key: line.reason for line in new.skipped}
    ratios = compare_runs(old, new)
    decides = [one for one in found if one.decides]
    results = [
        _result(key, befores[key], afters, ratios.get(key), decides, absent.get(key, "")) for key in wanted
    ]
    other = {one.key[-1] for one in results if one.reason.startswith("threads")}
    if other and not decides:
        now = sorted({line.threads for line in new.lines})
        found.insert(0, Difference("threads", _words(sorted(other)), _words(now), True))
    return Reproduction(old.run, new.run, _comparability(found), found, results)


def _result(
    key: Key,
    before: Sequence[Measured],
    afters: dict[Key, list[Measured]],
    comparison: Comparison | None,
    decides: Sequence[Difference],
    absent: str,
) -> Result:
    after = afters.get(key)
    if after is None:
        return Result(key, Reproduced.NOT_COMPARABLE, reason=_why_absent(key, afters, absent))
    if before[0].work != after[0].work:
        return Result(key, Reproduced.NOT_COMPARABLE, reason="the case does other work now")
    worst = next((line for line in after if line.status != Status.OK), None)
    if worst is not None:
        return Result(key, Reproduced.NO, reason=f"{worst.status}: {worst.reason}")
    olds, news = (_log_times(lines) for lines in (before, after))
    if comparison is None or not olds or not news:
        return Result(key, Reproduced.NOT_COMPARABLE, reason="too short to be timed reliably")
    ratio = math.exp(median(news) - median(olds))
    width = prediction(olds, len(news))
    if width is None:
        verdict, inside, reason = Reproduced.NOT_COMPARABLE, None, f"{len(olds)} processes predict nothing"
    else:
        inside, reason = abs(math.log(ratio)) <= width, "; ".join(map(str, decides))
        verdict = Reproduced.YES if inside or comparison.verdict == Verdict.SAME else Reproduced.NO
        verdict = Reproduced.NOT_COMPARABLE if decides else verdict
        if math.expm1(width) > _WIDEST and verdict == Reproduced.YES:
            verdict = Reproduced.NOT_COMPARABLE
            reason = (
                f"so noisy that ± {math.expm1(width):.0%} was to be expected, which would confirm anything"
            )
    predicted = None if width is None else math.expm1(width)
    return Result(key, verdict, ratio, comparison.low, comparison.high, predicted, inside, reason)


def _log_times(lines: Sequence[Measured]) -> list[float]:
    return [process_log_time(line.samples) for line in timed(lines) if line.samples is not None]


def _why_absent(key: Key, afters: Iterable[Key], absent: str) -> str:
    counts = sorted(other[-1] for other in afters if other[:-1] == key[:-1])
    if counts:
        return f"threads: {key[-1]} → {_words(counts)}"
    return absent or "was not measured again"


def badge(reproduction: Reproduction) -> str:
    """Return one line for a README or a paper: what came out again, where, with what."""
    run, judged = (
        reproduction.new,
        [one for one in reproduction.results if one.verdict != Reproduced.NOT_COMPARABLE],
    )
    where = f"{run.machine.cpu_model}, {run.environment.interpreter}"
    packages = ", ".join(f"{name} {version}" for name, version in run.environment.packages.items())
    origin = f"run {reproduction.original.id} of {reproduction.original.started[:10]}"
    if not judged:
        return f"flopwatch: {origin} is not comparable with {run.started[:10]} on {where}"
    off = (
        median(abs(math.log(one.ratio)) for one in judged if one.ratio)
        if any(one.ratio for one in judged)
        else 0.0
    )
    caveats = "" if reproduction.comparability == Comparability.SAME else " (with caveats)"
    return (
        f"flopwatch: {reproduction.count(Reproduced.YES)} of {len(judged)} results of {origin} reproduced{caveats} "
        f"on {run.started[:10]}, median difference {math.expm1(off):.1%}; {where}; {packages}"
    )


def binomial_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper and Pearson, Biometrika 26, 1934).

    Raises ValueError unless 0 <= successes <= trials and trials > 0.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials} is no share")
    tail = (1 - confidence) / 2

    def at_most(count: int, share: float) -> float:
        ways = (math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(count + 1))
        return float(sum(ways))

    low = 0.0 if not successes else _solve(lambda p: 1 - at_most(successes - 1, p) - tail)
    high = 1.0 if successes == trials else _solve(lambda p: tail - at_most(successes, p))
    return low, high


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
