"""How many processes a run takes, when it looks, and when a case is done."""

from dataclasses import dataclass, field, replace

from data.words import Effort
from runners.rounds import Protocol

__all__ = ["EFFORTS", "UNTIL_DECIDED", "Replication"]

#: The level of intervals that end a comparison as soon as they tell it from the margin.  A ratio at the margin ends
#: just when its interval misses it, so that 97 % at each look would hold 89 % over all of them; 98.5 % hold 94 %.
UNTIL_DECIDED = 0.985


@dataclass(frozen=True)
class Replication:
    """The plan of replication of one effort.

    ``looks`` are the process counts at which precision is judged; the last is the most.  A case stops at a look where
    its interval (at level ``confidence``) is no wider than ``precision`` either way, or where it has had ``budget_s``
    seconds; where environments are compared, each ratio must also be told from ``margin``.  Looking several times costs
    coverage, so sequential efforts use 97 % intervals, which hold 95 % over all looks.  With ``second_sitting`` the
    processes from that one on start ``apart_s`` seconds later, and nothing stops before: another hour has other pages,
    neighbours and heat.
    """

    looks: tuple[int, ...]
    confidence: float
    precision: float | None = None
    budget_s: float | None = None
    margin: float | None = None
    second_sitting: int | None = None
    apart_s: float = 0.0
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def most(self) -> int:
        """The largest number of processes."""
        return self.looks[-1]


#: Short windows buy more processes for the same time, which is where the precision is (Kalibera and Jones).
_SHORT = Protocol(window_ns=100_000_000, warm_up_ns=50_000_000, warm_up_limit_ns=300_000_000, steady_window=6)

#: Three processes have no interval, so a smoke test spends nothing on one: few rounds, and a single process where a
#: case took long.  Only then can everything be measured within an hour or two.
_BRIEF = replace(_SHORT, minimum_rounds=6, minimum_clean=5, long_call_ns=200_000_000)

EFFORTS: dict[Effort, Replication] = {
    Effort.SMOKE: Replication((1, 3), 0.95, budget_s=15.0, protocol=_BRIEF),
    Effort.QUICK: Replication((6,), 0.95, protocol=_SHORT),
    Effort.STANDARD: Replication((8, 12, 18, 27, 40), 0.97, precision=0.02, budget_s=120.0),
    Effort.RIGOROUS: Replication(
        (8, 12, 18, 27, 40, 60), 0.97, precision=0.01, second_sitting=8, apart_s=3600.0
    ),
}
