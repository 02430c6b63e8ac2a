"""Which profiles hold a case: each profile holds all cases of the smaller ones."""

from runners.workload import Case

__all__ = ["FULL", "QUICK", "SMOKE", "STANDARD", "for_processors"]

FULL = frozenset({"full"})
STANDARD = FULL | {"standard"}
QUICK = STANDARD | {"quick"}
SMOKE = QUICK | {"smoke"}


def for_processors(case: Case) -> bool:
    """Leave out the one case that is for accelerators: a product of 4096 takes seconds on a processor."""
    return case.id != "matmul/4096"
