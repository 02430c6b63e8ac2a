"""What kernels that normalise each row of an array have in common: the case, and the rows that are compared."""

from typing import Any

import numpy as np

from runners.kernels._checking import compare
from runners.workload import Case, Check, Work

__all__ = ["case_of_rows", "compare_rows", "some_rows"]

_ROWS_COMPARED = 512


def case_of_rows(
    kernel: str, shape: tuple[int, ...], profiles: frozenset[str], bytes_per_element: int
) -> Case:
    """Return the case of a float32 array of this shape; a run needs ``bytes_per_element`` of memory, and 64 MiB."""
    elements = int(np.prod(shape))
    return Case(
        id=f"{kernel}/" + "x".join(map(str, shape)),
        kernel=kernel,
        shape={"shape": list(shape), "dtype": "float32"},
        work=Work(elements=float(elements), bytes=8.0 * elements),
        unit="GElement/s",
        bound="bytes",
        footprint_bytes=8 * elements,
        memory_bytes=bytes_per_element * elements + 2**26,
        profiles=profiles,
    )


def some_rows(x: Any, seed: int) -> tuple[Any, Any]:
    """Return the numbers of the rows to be compared, the first and the last among them, and these rows in float64."""
    rows = x.reshape(-1, x.shape[-1])
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:_ROWS_COMPARED])
    chosen[0], chosen[-1] = 0, len(rows) - 1
    return chosen, rows[chosen].astype(np.float64)


def compare_rows(result: Any, chosen: Any, exact: Any, tolerance: float, scale: Any) -> Check:
    """Compare the chosen rows with float64; every other element must have been written."""
    result = np.asarray(result)
    check = compare(result.reshape(-1, result.shape[-1])[chosen], exact, tolerance, scale)
    if check.ok and np.isnan(result.max()):
        return Check(False, np.inf, np.inf, tolerance, "an element outside the compared rows is NaN")
    return check
