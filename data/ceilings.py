"""What a rate stands beside: the ceiling of its device, threads and kind of store, at the nearest footprint."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data.physics import IMPOSSIBLE_FACTOR
from data.words import Status

if TYPE_CHECKING:
    from data.summary import Summary

__all__ = ["hold_against_ceiling"]

#: bound of a case → (kernel of the ceilings it is held against, field of the work)
_BOUNDS: dict[str, tuple[str, str]] = {
    "flop": ("fma", "flop"),
    "flop-float16": ("tensor-float16", "flop"),
    "flop-bfloat16": ("tensor-bfloat16", "flop"),
    "bytes": ("copy", "bytes"),
    "write": ("write", "bytes"),
    "read": ("read", "bytes"),
}


def _nearest_ceiling(row: "Summary", ceilings: Sequence["Summary"]) -> "Summary | None":
    """Return the ceiling with the same threads and kind of store, at the nearest footprint.

    A variant that does not say how it stores is held against the faster kind.
    """
    if row.bound not in _BOUNDS:
        return None
    prefix = f"ceiling/{_BOUNDS[row.bound][0]}"
    fitting = [
        ceiling
        for ceiling in ceilings
        if ceiling.rate is not None
        and (ceiling.case == prefix or ceiling.case.startswith(f"{prefix}-"))
        and ceiling.threads == row.threads
        and ceiling.device == row.device
        and (row.store is None or ceiling.store is None or ceiling.store == row.store)
    ]
    # On a device the cache is part of the condition: what is cold stands beside what is cold.
    if row.device != "cpu":
        fitting = [ceiling for ceiling in fitting if ceiling.condition == row.condition] or fitting
    if not fitting:
        return None

    def distance(ceiling: "Summary") -> float:
        if not row.footprint_bytes or not ceiling.footprint_bytes:
            return 0.0
        return abs(math.log(row.footprint_bytes / ceiling.footprint_bytes))

    nearest = min(distance(ceiling) for ceiling in fitting)
    return max(
        (ceiling for ceiling in fitting if distance(ceiling) == nearest),
        key=lambda ceiling: ceiling.rate or 0.0,
    )


def _reached(ceiling: "Summary") -> float:
    """Return the highest rate that a ceiling is known to allow: its upper bound, or the fastest of its samples.

    A limit that was measured in a noisy minute is low; one sample at a rate proves that the machine can reach it.
    """
    assert ceiling.rate is not None
    assert ceiling.time_ns is not None
    fastest = ceiling.rate * ceiling.time_ns / ceiling.best_ns if ceiling.best_ns else 0.0
    return max(ceiling.rate_high or 0.0, ceiling.rate, fastest)


def hold_against_ceiling(row: "Summary", ceilings: Sequence["Summary"]) -> None:
    """Set the share of the ceiling, and hide a speed that the machine cannot have."""
    ceiling = _nearest_ceiling(row, ceilings)
    if ceiling is None or row.bound is None:
        return
    row.ceiling_case, row.ceiling_rate, row.ceiling_unit = ceiling.case, ceiling.rate, ceiling.unit
    amount: float | None = getattr(row, _BOUNDS[row.bound][1])
    if row.status != Status.OK or row.time_ns is None or amount is None or ceiling.rate is None:
        return
    row.share_of_ceiling = amount / row.time_ns / ceiling.rate
    # Where there are too few processes for an interval, the estimates themselves are compared.
    lower_rate = amount / (row.high_ns or row.time_ns)
    upper_ceiling = _reached(ceiling)
    if lower_rate > IMPOSSIBLE_FACTOR * upper_ceiling:
        row.hide_speed(
            Status.IMPOSSIBLE,
            f"at least {lower_rate:.4g} {ceiling.unit}, above {IMPOSSIBLE_FACTOR} x the {upper_ceiling:.4g} "
            f"{ceiling.unit} that {ceiling.case} reached with {ceiling.threads} threads",
        )
