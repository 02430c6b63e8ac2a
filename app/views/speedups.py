"""Speedups: how much faster is one way than another, and is it sure?"""

import streamlit as st

from app import charts, filters, parts, questions, reading, rows, speedups, tables, texts

__all__ = ["render"]

PAGE = "views/speedups.py"


def render() -> None:
    """Draw the page."""
    parts.title("Speedups", "How much faster is one way than another, and is it sure?")
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    newest = next(iter(machines))
    held = {str(row["kernel"]) for row in questions.newest(newest) if rows.is_speed(row)}
    first = min(held, key=rows.kernel_order, default="matmul")
    filters.enter(PAGE, {"machine": machines[newest], "kernel": first})
    with st.sidebar:
        machine = filters.one("Machine", "machine", list(machines), machines.__getitem__)
        found = [] if machine is None else [row for row in filters.in_versions(machine) if rows.is_speed(row)]
        kernels = sorted({str(row["kernel"]) for row in found}, key=rows.kernel_order)
        kernel = filters.one("Kernel", "kernel", kernels) if kernels else None
        board = [row for row in found if row["kernel"] == kernel]
        series = {name: key for key, (name, _) in rows.series(board).items()}
        baseline = filters.listed("Baseline", "baseline", {name: name for name in series}) if series else ""
        left = filters.recent(
            filters.narrow(board, [name for name in filters.COLUMNS if name != "kernel"]), filters.since()
        )
    if not series:
        st.info(
            "The link names a machine or a kernel that has no result that is ok. Choose one in the side bar."
        )
        return
    # The baseline stays, whatever the filters leave.
    shown = [row for row in board if row in left or rows.key(row) == series[baseline]]
    against = speedups.against(shown, series[baseline], speedups.pairs_of_run(reading.ask))
    st.subheader(f"{texts.escape(kernel)}, against {texts.escape(baseline)}", anchor=False)
    figure = charts.speedups(against, parts.theme())
    if figure is None:
        st.info("No other result has a case in common with this baseline. Choose another in the side bar.")
        return
    parts.chart(figure, key="speedups", alt=charts.describe_speedups(against, baseline))
    st.markdown(
        ":gray[Above 1 is faster than the baseline. ≈ is the same within 2%, ? is not sure: the interval allows "
        "faster and slower, or there are too few processes for one.]"
    )
    parts.table(against, tables.SPEEDUPS, key="factors", alt=f"Speedups over {baseline}")


if __name__ == "__main__":
    render()
