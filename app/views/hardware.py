"""Hardware: which machine is fastest at what, absolutely and for what it could reach?"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app import charts, filters, fleet, machines, parts, questions, reading, rows, tables, texts
from app.rows import Row

__all__ = ["render"]

PAGE = "views/hardware.py"

ABSOLUTE, SHARE = "absolute", "of ceiling"

_KERNELS = "SELECT DISTINCT kernel FROM latest WHERE status = 'ok'"
_BOARD = f"SELECT {questions.RESULT} FROM latest WHERE kernel = ? AND status = 'ok'"  # noqa: S608 - a constant
_CEILINGS = """
    SELECT machine_id, case_id, threads, condition, variant, backend, rate, unit, started
    FROM latest_ceilings WHERE status = 'ok'
"""
#: So many machines fit beside each other before the bars are threads.
_SIDE_BY_SIDE = 12


def render() -> None:
    """Draw the page."""
    parts.title("Hardware", "Which machine is fastest at what, and how much of what it could reach?")
    described = fleet.machines()
    if not described:
        parts.empty()
        return
    names = reading.machines()
    held = sorted({str(row["kernel"]) for row in reading.ask(_KERNELS)}, key=rows.kernel_order)
    if not held:
        st.info("No machine has a result that is ok yet.")
        _descriptions(described, names, set(names))
        return
    filters.enter(PAGE, {"kernel": held[0]})
    with st.sidebar:
        chosen = set(filters.many("Machines", "machine", list(names), names.__getitem__))
        kernel = filters.one("Kernel", "kernel", held)
        share = filters.view([ABSOLUTE, SHARE]) == SHARE
        logarithmic = filters.scale()
        board = [row for row in reading.ask(_BOARD, kernel) if row.get("machine_id") in chosen]
        board = filters.recent(
            filters.narrow(board, [name for name in filters.COLUMNS if name != "kernel"]), filters.since()
        )
    if kernel is None:
        st.info("The link names a kernel that nobody has measured. Choose one in the side bar.")
    else:
        _fastest(str(kernel), board, names, described, share, logarithmic)
    _ceilings(names, chosen)
    _descriptions(described, names, chosen)


def _fastest(
    kernel: str,
    board: Sequence[Row],
    names: Mapping[str, str],
    described: Sequence[Row],
    share: bool,
    logarithmic: bool,
) -> None:
    """Draw the fastest of each case on each machine."""
    st.subheader(f"{texts.escape(kernel)}: the fastest of each machine", anchor=False)
    by_id = {str(row["machine_id"]): row for row in described}
    results: dict[str, list[Row]] = {machine: [] for machine in names}
    for row in board:
        results[str(row["machine_id"])].append(row)
    best: list[Row] = [
        {**row, "machine": names[machine], "rate_per_watt": _per_watt(row, by_id.get(machine, {}))}
        for machine, mine in results.items()
        for row in rows.fastest(mine)
    ]
    if not best:
        st.info("No result fits these filters. Take one of them away in the side bar.")
        return
    shown = list(dict.fromkeys(row["machine"] for row in best))[:_SIDE_BY_SIDE]
    if len(shown) < len({row["machine"] for row in best}):
        st.caption(f"The chart shows the {_SIDE_BY_SIDE} machines that measured last; the table has all.")
    drawn = [row for row in best if row["machine"] in shown]
    figure = charts.hardware(drawn, parts.theme(), share=share, logarithmic=logarithmic)
    if figure is None:
        st.info("None of these results has a measured ceiling beside it. Choose “absolute”.")
    else:
        parts.chart(figure, key=f"hardware-{kernel}", alt=charts.describe_hardware(kernel, drawn))
    ordered = sorted(best, key=lambda row: (rows.case_order(str(row["case_id"])), float(row["time_ns"])))
    parts.table(
        ordered, tables.HARDWARE, key="fastest", alt=f"The fastest {kernel} of each case on each machine"
    )


def _per_watt(row: Row, machine: Row) -> float | None:
    limit, rate = machines.watts(machine, str(row.get("device"))), texts.finite(row.get("rate"))
    return None if limit is None or rate is None else rate / limit


def _ceilings(names: Mapping[str, str], chosen: set[str]) -> None:
    """Show the measured limits of the machines side by side."""
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(reading.ask(_CEILINGS), key=_ceiling_order):
        machine = str(row.get("machine_id"))
        if machine not in chosen or machine not in names:
            continue
        threads = int(texts.finite(row.get("threads")) or 0)
        what = str(row.get("case_id")).removeprefix("ceiling/")
        key = f"{what}, {threads} thread{'' if threads == 1 else 's'}"
        line = found.setdefault(key, {"ceiling": key, "unit": row.get("unit")})
        rate = texts.finite(row.get("rate")) or 0.0
        line[machine] = max(rate, line.get(machine, 0.0))  # regular and streaming stores: the faster limits
    st.subheader("Measured ceilings", anchor=False)
    if not found:
        st.info(
            "No ceiling has been measured on these machines: flopwatch run measures them with every profile."
        )
        return
    columns = [
        tables.Column("Ceiling", lambda row: row["ceiling"]),
        *(
            tables.Column(names[machine], _rate_of(machine), _text_of(machine))
            for machine in names
            if machine in chosen
        ),
    ]
    parts.table(list(found.values()), columns, key="ceilings", alt="Measured ceilings of the machines")


def _ceiling_order(row: Row) -> tuple[Any, ...]:
    return rows.case_order(str(row.get("case_id"))), -(texts.finite(row.get("threads")) or 0.0)


def _rate_of(machine: str) -> Any:
    return lambda row: texts.finite(row.get(machine))


def _text_of(machine: str) -> Any:
    return lambda row: texts.rate(row.get(machine), row.get("unit"))


def _descriptions(described: Sequence[Row], names: Mapping[str, str], chosen: set[str]) -> None:
    """Show what the machines are, side by side."""
    st.subheader("What they are", anchor=False)
    parts.table(
        [row for row in described if str(row["machine_id"]) in chosen],
        tables.MACHINES,
        key="machines",
        alt="Machines that have measured, the newest run first",
    )
    held = {
        str(row["machine_id"]): machines.facts(row) for row in described if str(row["machine_id"]) in chosen
    }
    facts = list(dict.fromkeys(name for found in held.values() for name in found))
    board = [{"fact": fact, **{key: found.get(fact) for key, found in held.items()}} for fact in facts]
    columns = [
        tables.Column("Fact", lambda row: row["fact"]),
        *(tables.Column(names[key], _plain(key)) for key in held if key in names),
    ]
    with st.expander("Every fact, side by side"):
        parts.table(board, columns, key="facts", alt="Every fact about the machines, side by side")


def _plain(key: str) -> Any:
    return lambda row: row.get(key)


if __name__ == "__main__":
    render()
