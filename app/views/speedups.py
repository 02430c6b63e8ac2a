"""Speedups: how much faster is one way than another, and is it sure?"""

import streamlit as st

from app import charts, filters, parts, reading, rows, speedups, tables, texts

__all__ = ["render"]

_KERNELS = "SELECT DISTINCT kernel FROM latest WHERE machine_id = ? AND status = 'ok'"
_BOARD = """
    SELECT run_id, case_id, variant, condition, backend, device, threads, status, time_ns, low_ns, high_ns, rate, unit
    FROM latest WHERE machine_id = ? AND kernel = ? AND status = 'ok'
"""


def render() -> None:
    """Draw the page."""
    parts.title("Speedups", "How much faster is one way than another, and is it sure?")
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    ids = {name: key for key, name in machines.items()}
    with st.sidebar:
        machine = ids[filters.listed("Machine", "machine", {name: name for name in ids})]
        held = {str(row["kernel"]) for row in reading.ask(_KERNELS, machine)}
        if not held:
            st.info("This machine has no result that is ok yet.")
            return
        kernels = {kernel: kernel for kernel in sorted(held, key=rows.kernel_order)}
        kernel = filters.listed("Kernel", "operation", kernels)
        board = reading.ask(_BOARD, machine, kernel)
        series = {name: key for key, (name, _) in rows.series(board).items()}
        baseline = filters.listed("Baseline", "baseline", {name: name for name in series})
    found = speedups.against(board, series[baseline], speedups.pairs_of_run(reading.ask))
    st.subheader(f"{texts.escape(kernel)}, against {texts.escape(baseline)}", anchor=False)
    figure = charts.speedups(found, parts.theme())
    if figure is None:
        st.info("No other result has a case in common with this baseline. Choose another in the side bar.")
        return
    parts.chart(figure, key="speedups", alt=charts.describe_speedups(found, baseline))
    st.markdown(
        ":gray[Above 1 is faster than the baseline. ≈ is the same within 2%, ? is not sure: the interval allows "
        "faster and slower, or there are too few processes for one.]"
    )
    parts.table(found, tables.SPEEDUPS, key="factors", alt=f"Speedups over {baseline}")


if __name__ == "__main__":
    render()
