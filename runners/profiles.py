"""Which profiles hold a case: each profile holds all cases of the smaller ones."""

__all__ = ["FULL", "QUICK", "SMOKE", "STANDARD"]

FULL = frozenset({"full"})
STANDARD = FULL | {"standard"}
QUICK = STANDARD | {"quick"}
SMOKE = QUICK | {"smoke"}
