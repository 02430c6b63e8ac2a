"""The closed lists of words that records, store and pages share."""

from enum import StrEnum

__all__ = ["Comparability", "Effort", "Profile", "Reproduced", "Status", "Verdict"]


class Status(StrEnum):
    """How a measurement ended; only ``ok`` has a time that is shown."""

    OK = "ok"
    WRONG = "wrong"
    IMPOSSIBLE = "impossible"
    FAILED = "failed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class Verdict(StrEnum):
    """What a comparison says about the new time against the old one."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


class Comparability(StrEnum):
    """Whether two runs may be held against each other; what differs is named beside it."""

    SAME = "same"
    CAVEATS = "with caveats"
    NO = "no"


class Reproduced(StrEnum):
    """Whether a result came out again."""

    YES = "reproduced"
    NO = "not reproduced"
    NOT_COMPARABLE = "not comparable"


class Profile(StrEnum):
    """Which cases a run holds."""

    SMOKE = "smoke"
    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


class Effort(StrEnum):
    """How many processes replicate each case."""

    SMOKE = "smoke"
    QUICK = "quick"
    STANDARD = "standard"
    RIGOROUS = "rigorous"
