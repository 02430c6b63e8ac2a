"""Which profiles hold a case: each profile holds all cases of the smaller ones."""

from runners.workload import Case

__all__ = ["FULL", "QUICK", "SMOKE", "STANDARD", "for_processors"]

FULL = frozenset({"full"})
STANDARD = FULL | {"standard"}
QUICK = STANDARD | {"quick"}
SMOKE = QUICK | {"smoke"}


def for_processors(case: Case) -> bool:
    """Leave out products that are for accelerators: of 4096 and more, and of numbers of 16 bits."""
    shape = case.shape
    return case.kernel != "matmul" or (shape["n"] < 4096 and shape["dtype"] == "float32")
