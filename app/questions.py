"""The questions that several pages ask of the views, in SQL.  What a page alone asks is in the page."""

from collections.abc import Mapping
from typing import Any

from app import machines, reading
from app.rows import Row

__all__ = ["ENVIRONMENTS", "MACHINE", "NEWEST_CEILINGS", "RESULT", "environments", "newest"]

#: What a page needs of one result.
RESULT = """
    measurement_id, run_id, started, machine_id, machine, environment_id, series_id, kernel, case_id, variant,
    condition, backend, device, threads, status, reason, time_ns, low_ns, high_ns, rate, rate_low, rate_high, unit,
    share_of_ceiling, ceiling_case, max_relative_error, processes, flop, bytes, elements, footprint_bytes,
    flopwatch_commit
"""
_TRIED = "status NOT IN ('unsupported', 'unavailable', 'skipped')"

_NEWEST = f"SELECT {RESULT} FROM latest WHERE machine_id = ? AND {_TRIED}"  # noqa: S608 - a constant
#: The newest row of each series among the runs in some environments: an older version may have measured it last.
_NEWEST_IN = f"""
    SELECT {RESULT} FROM board
    WHERE machine_id = ? AND {_TRIED} AND environment_id IN (SELECT unnest(?::VARCHAR[]))
    QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY started DESC, run_id DESC) = 1
"""  # noqa: S608 - a constant
NEWEST_CEILINGS = """
    SELECT run_id, started, machine, case_id, kernel, variant, condition, backend, device, threads, status, time_ns,
           low_ns, high_ns, rate, rate_low, rate_high, unit, footprint_bytes, processes
    FROM latest_ceilings WHERE machine_id = ?
"""

MACHINE = "SELECT * FROM machines WHERE machine_id = ?"
#: All that is known of the environments in which a machine measured.
ENVIRONMENTS = """
    SELECT * FROM environments WHERE environment_id IN (SELECT environment_id FROM runs WHERE machine_id = ?)
"""
_BY_USE = """
    SELECT e.environment_id, e.interpreter, e.packages, max(r.started) AS last_used
    FROM environments AS e JOIN runs AS r USING (environment_id)
    WHERE r.machine_id = ? GROUP BY ALL ORDER BY last_used DESC
"""
#: The packages that decide how fast a kernel is, in the order in which people look for them.
_TELLING = (
    "numpy",
    "numba",
    "torch",
    "scipy-openblas32",
    "mkl",
    "blis",
    "safetensors",
    "orjson",
    "cupy-cuda13x",
    "mlx",
)


def newest(machine_id: str, environments: tuple[str, ...] = ()) -> list[Row]:
    """Return the newest result of each series of a machine, in these environments only where some are given."""
    found: list[Row] = (
        reading.ask(_NEWEST_IN, machine_id, environments)
        if environments
        else reading.ask(_NEWEST, machine_id)
    )
    return found


def environments(machine_id: str) -> dict[str, str]:
    """Return the environments in which a machine measured, the newest first, each under what tells it apart."""
    found = reading.ask(_BY_USE, machine_id)
    held = {str(row["environment_id"]): _packages(row) for row in found}
    same = {
        name for name in _TELLING if len({packages.get(name) for packages in held.values()}) == 1
    }  # what all have in common tells nothing
    names: dict[str, str] = {}
    for row in found:
        key = str(row["environment_id"])
        telling = [f"{name} {held[key][name]}" for name in _TELLING if name in held[key] and name not in same]
        text = " · ".join(telling[:3]) or " · ".join(
            f"{name} {held[key][name]}" for name in _TELLING[:2] if name in held[key]
        )
        names[key] = f"{text} ({key[:6]})" if text else f"{row['interpreter']} ({key[:6]})"
    return names


def _packages(row: Row) -> Mapping[str, Any]:
    found = machines.parsed(row.get("packages"))
    return found if isinstance(found, Mapping) else {}
