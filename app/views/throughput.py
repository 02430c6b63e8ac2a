"""Throughput: how fast is each way to compute each case, and how far from the limit of the machine?"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app import charts, colours, filters, parts, reading, rows, tables, texts
from app.rows import Row

__all__ = ["render"]

PAGE = "views/throughput.py"

#: Units in the order in which they are offered.
UNITS = ("GFLOP/s", "GElement/s", "GB/s", "token/s", "s")

#: What narrows the view, and how its choices are sorted.
ORDERS: dict[str, Callable[[str], Any]] = {
    "kernel": rows.kernel_order,
    "case_id": rows.case_order,
    "backend": colours.backend_order,
    "variant": colours.variant_order,
}

_UNITS = "SELECT DISTINCT unit FROM latest WHERE machine_id = ? AND status = 'ok'"
_BOARD = """
    SELECT measurement_id, run_id, started, kernel, case_id, variant, condition, backend, device, threads, status,
           reason, time_ns, low_ns, high_ns, rate, rate_low, rate_high, unit, share_of_ceiling, ceiling_case,
           max_relative_error, processes
    FROM latest
    WHERE machine_id = ? AND unit = ? AND status NOT IN ('unsupported', 'unavailable', 'skipped')
"""


def render() -> None:
    """Draw the page."""
    parts.title(
        "Throughput", "How fast is each way to compute a case, and how far is it from this machine's limit?"
    )
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    with st.sidebar:
        board, logarithmic = _choose(machines)
    if board is None:
        st.info("The link names a machine or a unit that is not here. Choose one in the side bar.")
        return
    for kernel in sorted({str(row.get("kernel")) for row in board}, key=rows.kernel_order):
        _draw(kernel, [row for row in board if str(row.get("kernel")) == kernel], logarithmic)
    if not board:
        st.info("No result fits these filters. Take one of them away in the side bar.")


def _offered(machine: str) -> list[str]:
    held = {str(row["unit"]) for row in reading.ask(_UNITS, machine)}
    return [unit for unit in UNITS if unit in held] or [UNITS[0]]


def _choose(machines: dict[str, str]) -> tuple[list[Row] | None, bool]:
    """Ask for all that narrows the view; return the rows that are left, and whether the axis is logarithmic."""
    newest = next(iter(machines))
    filters.enter(PAGE, {"machine": machines[newest], "unit": _offered(newest)[0]})
    machine = filters.one("Machine", "machine", list(machines), machines.__getitem__)
    unit = filters.one("Unit", "unit", UNITS if machine is None else _offered(machine))
    logarithmic = filters.scale()
    if machine is None or unit is None:
        return None, logarithmic
    board = reading.ask(_BOARD, machine, unit)
    for column, order in ORDERS.items():
        name = column.removesuffix("_id")
        chosen = filters.many(
            name.capitalize(), name, sorted({str(row.get(column)) for row in board}, key=order)
        )
        board = [row for row in board if str(row.get(column)) in chosen]
    counts = sorted({str(row.get("threads")) for row in board}, key=lambda count: (len(count), count))
    chosen = filters.many("Threads", "threads", counts)
    return [row for row in board if str(row.get("threads")) in chosen], logarithmic


def _draw(kernel: str, board: Sequence[Row], logarithmic: bool) -> None:
    """Draw one kernel: its chart, the table under it, and what is no speed."""
    speeds = sorted((row for row in board if rows.is_speed(row)), key=_position)
    st.subheader(texts.escape(kernel), anchor=False)
    figure = charts.throughput(board, parts.theme(), logarithmic=logarithmic)
    if figure is not None:
        parts.chart(figure, key=f"chart-{kernel}", alt=charts.describe_throughput(kernel, speeds))
        parts.table(speeds, tables.MEASUREMENT, key=f"table-{kernel}", alt=f"Measurements of {kernel}")
    parts.problem_list([row for row in board if not rows.is_speed(row)])


def _position(row: Row) -> tuple[Any, float]:
    """Sort key of the table: cases in order, the fastest of each first."""
    return rows.case_order(str(row.get("case_id"))), texts.finite(row.get("time_ns")) or 0.0


if __name__ == "__main__":
    render()
