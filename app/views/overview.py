"""Overview: what is new, what is wrong, what is fastest, and which machines measured?"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from app import (
    charts,
    events,
    filters,
    fleet,
    jobs,
    parts,
    published,
    questions,
    reading,
    rows,
    starter,
    tables,
    texts,
)
from app.rows import Row
from data import queries

__all__ = ["render"]

PAGE = "views/overview.py"

#: A machine that has not measured for this long is named as stale.
STALE = timedelta(days=7)

_RUNS = "SELECT * FROM runs ORDER BY started DESC LIMIT 10"
_REPEATED = "SELECT run_id FROM runs WHERE reproduces IS NOT NULL LIMIT 1"
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
        AND p.purpose = 'series'
    WHERE n.run_id = ? AND n.status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY n.series_id ORDER BY p.started DESC) = 1
"""


def render() -> None:
    """Draw the page."""
    parts.title("Overview", "What is new, what is wrong, what is fastest, and which machines measured?")
    machines = fleet.machines()
    if not machines:
        parts.empty()
        starter.offer([])
        return
    names = reading.machines()
    if len(names) > 1:
        filters.enter(PAGE, {"machine": next(iter(names.values()))})
    problems, runs = reading.ask(_PROBLEMS), reading.ask(_RUNS)
    machine = _machine(names)
    changed = _undecided(machine)
    _figures(machines, runs, problems, changed)
    _claims(machine)
    starter.offer(_kernels(machine))
    _changed(changed, names.get(machine or ""))
    if problems:
        st.subheader("Wrong or failed", anchor=False)
        st.markdown(":gray[What is not right has no speed: no time of these is shown anywhere.]")
        parts.problem_list(problems)
    if runs:
        _moved(runs[0])
    _fastest(names, machine)
    st.subheader("Machines", anchor=False)
    _stale(machines)
    fleet.render(machines)
    again = _measured_again()
    parts.table(
        [{**again.get(row["machine_id"], {}), **row} for row in machines],
        (*tables.MACHINES, tables.REPRODUCED) if again else tables.MACHINES,
        key="machines",
        alt="Machines that have measured, the newest run first",
    )
    jobs.render()
    st.subheader("Newest runs", anchor=False)
    parts.table(runs, tables.RUNS, key="runs", alt="The ten newest runs")
    _absent()


def _machine(names: Mapping[str, str]) -> str | None:
    """Ask for the machine that the page is about, where there is more than one."""
    if len(names) == 1:
        return next(iter(names))
    chosen: str | None = filters.one("Machine", "machine", list(names), names.__getitem__)
    if chosen is None:
        st.info("The link names a machine that is not here. Choose one above.")
    return chosen


def _kernels(machine: str | None) -> list[str]:
    held = {str(row["kernel"]) for row in questions.newest(machine)} if machine else set()
    return sorted(held, key=rows.kernel_order)


def _undecided(machine: str | None) -> list[Row]:
    """Return what changed on the machine and is not settled: confirmed first, then alarms, then the newest."""
    return [] if machine is None else events.together(reading.ask_of_machine(events.of_machine, machine).rows)


def _claims(machine: str | None) -> None:
    """Say in one line what the published claims come to on the machine."""
    line = published.in_one_line(published.findings(machine)) if machine else ""
    if line:
        st.markdown(f"Published claims on this machine: {texts.escape(line)}")


def _changed(changed: Sequence[Row], machine: str | None) -> None:
    """Name what changed, the most important first."""
    if not changed or machine is None:
        return
    st.subheader("Changed", anchor=False)
    chosen = parts.table(
        changed, tables.EVENTS_TOGETHER, key="changed", alt="Changes that nobody has settled yet", choose=True
    )
    st.markdown(
        ":gray[Choose a row to see its series, and to confirm or accept the change, or call it noise.]"
    )
    if chosen is not None:
        wanted = {"machine": machine, "series": str(chosen["series_id"]), "view": "both"}
        st.switch_page("views/regressions.py", query_params=wanted)


def _figures(
    machines: Sequence[Row], runs: Sequence[Row], problems: Sequence[Row], changed: Sequence[Row]
) -> None:
    """Show the numbers that say at a glance whether anything needs a look."""
    newest = runs[0] if runs else {}
    with st.container(horizontal=True):
        st.metric("Last run", parts.ago(newest.get("started")), border=True, width=205)
        st.metric("On", texts.escape(newest.get("machine") or texts.ABSENT), border=True, width=165)
        st.metric("Machines", len(machines), border=True, width=165)
        st.metric("Wrong or failed", len(problems), border=True, width=165)
        st.metric("Changes to settle", len(changed), border=True, width=165)


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


def _fastest(names: Mapping[str, str], machine: str | None) -> None:
    """Draw the fastest result of each case on one machine, as a share of its ceiling."""
    if machine is None:
        return
    st.subheader("Fastest of each case", anchor=False)
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


def _measured_again() -> dict[str | None, Row]:
    """Say how many results were measured again and came out again; return the same by machine, empty for none."""
    # Counting looks at every result there is, so that comes second.
    found = reading.ask(queries.reproduced) if reading.ask(_REPEATED) else []
    by_machine = {row["machine_id"]: row for row in found}
    overall = by_machine.get(None, {})
    if not overall.get("measured_again"):
        st.markdown(":gray[No result has been measured again yet: flopwatch reproduce RUN does that.]")
        return {}
    share = texts.share(overall["measured_again"] / overall["results"])
    st.markdown(
        f"{overall['measured_again']:,} of {overall['results']:,} results ({share}) were measured again, and "
        f"{overall['reproduced']:,} of these came out again "
        f"({texts.share(overall['reproduced'] / overall['measured_again'])})."
    )
    return by_machine


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
