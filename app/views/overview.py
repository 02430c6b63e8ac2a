"""Overview: what is new, what is wrong, what is fastest, and which machines measured?"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from app import charts, filters, fleet, parts, reading, rows, tables, texts
from app.rows import Row

__all__ = ["render"]

PAGE = "views/overview.py"

#: A machine that has not measured for this long is named as stale.
STALE = timedelta(days=7)

_RUNS = "SELECT * FROM runs ORDER BY started DESC LIMIT 10"
_PROBLEMS = """
    SELECT case_id, backend, variant, status, reason, list_sort(list(DISTINCT machine)) AS machines
    FROM problems GROUP BY case_id, backend, variant, status, reason
    ORDER BY max(started) DESC, case_id, backend, variant LIMIT 100
"""
_ABSENT = """
    SELECT backend, reason, install, list_sort(list(DISTINCT machine)) AS machines, count(DISTINCT case_id) AS cases
    FROM absent WHERE status = 'unavailable'
    GROUP BY backend, reason, install ORDER BY backend, reason
"""
_FASTEST = """
    SELECT measurement_id, run_id, started, kernel, case_id, variant, condition, backend, device, threads, status,
           time_ns, low_ns, high_ns, rate, rate_low, rate_high, unit, share_of_ceiling, ceiling_case,
           max_relative_error, processes
    FROM latest WHERE machine_id = ? AND status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY time_ns) <= 2
"""
_PAIRS = """
    SELECT n.*, p.time_ns AS old_time_ns, p.low_ns AS old_low_ns, p.high_ns AS old_high_ns, p.started AS old_started
    FROM latest AS n JOIN board AS p ON p.series_id = n.series_id AND p.started < n.started AND p.status = 'ok'
    WHERE n.run_id = ? AND n.status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY n.series_id ORDER BY p.started DESC) = 1
"""


def render() -> None:
    """Draw the page."""
    parts.title("Overview", "What is new, what is wrong, what is fastest, and which machines measured?")
    machines = fleet.machines()
    if not machines:
        parts.empty()
        return
    names = reading.machines()
    if len(names) > 1:
        filters.enter(PAGE, {"machine": next(iter(names.values()))})
    problems, runs = reading.ask(_PROBLEMS), reading.ask(_RUNS)
    _figures(machines, runs, problems)
    if problems:
        st.subheader("Wrong or failed", anchor=False)
        st.markdown(":gray[What is not right has no speed: no time of these is shown anywhere.]")
        parts.problem_list(problems)
    if runs:
        _moved(runs[0])
    _fastest(names)
    st.subheader("Machines", anchor=False)
    _stale(machines)
    fleet.render(machines)
    parts.table(
        machines, tables.MACHINES, key="machines", alt="Machines that have measured, the newest run first"
    )
    st.subheader("Newest runs", anchor=False)
    parts.table(runs, tables.RUNS, key="runs", alt="The ten newest runs")
    _absent()


def _figures(machines: Sequence[Row], runs: Sequence[Row], problems: Sequence[Row]) -> None:
    """Show the four numbers that say at a glance whether anything needs a look."""
    newest = runs[0] if runs else {}
    with st.container(horizontal=True):
        st.metric("Last run", parts.ago(newest.get("started")), border=True, width=165)
        st.metric("On", texts.escape(newest.get("machine") or texts.ABSENT), border=True, width=165)
        st.metric("Machines", len(machines), border=True, width=165)
        st.metric("Wrong or failed", len(problems), border=True, width=165)


def _moved(newest: Row) -> None:
    """Name what the newest run measured faster or slower than the run before it."""
    moved = rows.moved(reading.ask(_PAIRS, newest["run_id"]))
    if not moved:
        return
    st.subheader(f"Moved on {texts.escape(newest.get('machine'))} since the run before", anchor=False)
    st.markdown(
        ":gray[Intervals of two runs that lie more than 2% apart. What else the machine did can move them, too: "
        "run it again before you look for the cause.]"
    )
    parts.table(moved, tables.MOVED, key="moved", alt="Results that changed between the two newest runs")


def _fastest(names: Mapping[str, str]) -> None:
    """Draw the fastest result of each case on one machine, as a share of its ceiling."""
    st.subheader("Fastest of each case", anchor=False)
    machine: str | None = next(iter(names))
    if len(names) > 1:
        machine = filters.one("Machine", "machine", list(names), names.__getitem__)
    if machine is None:
        st.info("The link names a machine that is not here. Choose one above.")
        return
    best = rows.podium(reading.ask(_FASTEST, machine))
    figure = charts.ceiling_shares(best, parts.theme())
    if figure is not None:
        parts.chart(figure, key="shares", alt=charts.describe_shares(best))
    if best:
        parts.table(
            best, tables.FASTEST, key="fastest", alt="The fastest result of each case and the next one"
        )
        label = f"All backends and variants on {texts.escape(names[machine])}"
        st.page_link("views/throughput.py", label=label, query_params={"machine": names[machine]})
    else:
        st.info("This machine has no result that is ok yet.")


def _stale(machines: Sequence[Row]) -> None:
    limit = datetime.now(UTC) - STALE
    for row in machines:
        seen = parts.moment(row.get("last_seen"))
        if seen is not None and seen < limit:
            st.markdown(
                f":orange-badge[stale] **{texts.escape(row.get('machine'))}**: last run {parts.ago(seen)}"
            )


def _absent() -> None:
    """Name the backends that could not be had, and the line that gets them."""
    absent = reading.ask(_ABSENT)
    if not absent:
        return
    st.subheader("Not available", anchor=False)
    for row in absent:
        where = ", ".join(texts.escape(name) for name in row.get("machines") or [])
        remedy = str(row.get("install") or "")
        command = remedy.startswith("pip ")
        words = "" if command or not remedy else f" ({texts.escape(remedy)})"
        st.markdown(
            f"**{texts.escape(row.get('backend'))}** on {where}: {texts.escape(row.get('reason'))}{words}"
        )
        if command:
            st.code(remedy, language="bash")


if __name__ == "__main__":
    render()
