"""Run: what was measured here, with what, and can it be trusted?"""

import shlex
from collections.abc import Mapping, Sequence

import streamlit as st

from app import charts, filters, machines, parts, questions, reading, rows, tables, texts
from app.rows import Row
from data import queries
from data.errors import NotFound

__all__ = ["render"]

PAGE = "views/run.py"

_RUNS = "SELECT run_id, started, machine, profile FROM runs ORDER BY started DESC LIMIT 200"


def render() -> None:
    """Draw the page."""
    parts.title("Run", "What was measured here, with what, and can it be trusted?")
    newest = reading.ask(_RUNS)
    if not newest:
        parts.empty()
        return
    names = {str(row["run_id"]): _name(row) for row in newest}
    wanted = st.query_params.get("run")
    if wanted and wanted not in names:
        try:
            names[wanted] = _name(reading.ask(queries.run, wanted))
        except NotFound:
            st.info(f"No run is called {texts.escape(wanted)}. Choose one below.")
    chosen = filters.listed("Run", "run", names)
    run = reading.ask(queries.run, chosen)
    _provenance(run)
    measured = reading.ask(queries.measurements, chosen)
    _samples(measured)
    _measurements(measured)
    _environment(run, {key: name for key, name in names.items() if key != chosen})


def _name(row: Row) -> str:
    started = parts.moment(row.get("started"))
    when = started.strftime("%Y-%m-%d %H:%M") if started else texts.ABSENT
    return f"{when} · {row.get('machine')} · {row.get('profile')} · {str(row.get('run_id'))[-12:]}"


def _provenance(run: Row) -> None:
    """Say where the run is from, and which command made it."""
    with st.container(horizontal=True):
        st.metric("Machine", texts.escape(run.get("machine")), border=True, width=165)
        st.metric("Results ok", f"{run.get('ok')} of {run.get('measurements')}", border=True, width=165)
        st.metric("Effort", texts.escape(run.get("effort")), border=True, width=165)
        st.metric("State", str(run.get("status")), border=True, width=165)
    st.markdown(
        f":gray[{texts.escape(run.get('run_id'))}, started {parts.ago(run.get('started'))}, flopwatch "
        f"{texts.escape(texts.program(run.get('flopwatch_version'), run.get('flopwatch_commit')))}]"
    )
    st.markdown("To measure it again, in the environment that it had:")
    st.code(f"flopwatch reproduce {run.get('run_id')}", language="bash")
    st.markdown("The command that made it:")
    st.code(shlex.join(str(word) for word in run.get("command") or []), language="bash")
    for note in reading.ask(queries.notes, run["run_id"]):
        st.markdown(f"- **{texts.escape(note.get('topic'))}**: {texts.escape(note.get('text'))}")


def _samples(measured: Sequence[Row]) -> None:
    """Draw every sample of one measurement."""
    timed = {
        str(row["measurement_id"]): f"{row['case_id']} · {row['backend']} · {row['variant']} · "
        f"{row['condition']} · {row['threads']} thread{'' if row['threads'] == 1 else 's'}"
        for row in sorted(
            measured, key=lambda row: (row.get("is_ceiling") is True, rows.case_order(row["case_id"]))
        )
        if rows.is_speed(row)
    }
    st.subheader("Samples", anchor=False)
    if not timed:
        st.info("No measurement of this run has a time.")
        return
    chosen = filters.listed("Measurement", "measurement", timed)
    measurement = next(row for row in measured if row["measurement_id"] == chosen)
    processes = reading.ask(queries.samples, chosen)
    figure = charts.samples(processes, measurement, parts.theme(), logarithmic=filters.scale())
    if figure is None:
        st.info("The raw samples of this measurement are not held here.")
        return
    parts.chart(figure, key="samples", alt=charts.describe_samples(processes, measurement))
    share = texts.share(measurement.get("clean_share"))
    st.markdown(
        f":gray[{share} of the samples are clean: no cause of disturbance was seen while they were taken. "
        "The estimate is the median over processes; its interval is the band.]"
    )


def _measurements(measured: Sequence[Row]) -> None:
    """Show all results of the run, and what is no speed."""
    st.subheader("Results", anchor=False)
    ordered = sorted(
        measured, key=lambda row: (row.get("is_ceiling") is True, rows.case_order(str(row["case_id"])))
    )
    speeds = [row for row in ordered if rows.is_speed(row)]
    if speeds:
        parts.table(speeds, tables.MEASUREMENT, key="measurements", alt="All results of the run")
    parts.problem_list([row for row in ordered if str(row.get("status")) in parts.PROBLEMS])


def _facts(run: Row) -> dict[str, str]:
    """Return all that is known about where a run ran: machine, environment and program."""
    environment = dict(reading.ask(queries.environment, run["environment_id"]))
    environment["flopwatch"] = f"{run.get('flopwatch_version')} {run.get('flopwatch_commit')}"
    found = reading.ask(questions.MACHINE, run.get("machine_id"))
    machine = machines.facts(found[0]) if found else {}
    return machines.flat(environment) | {f"machine.{name}": fact for name, fact in machine.items()}


def _environment(run: Row, others: Mapping[str, str]) -> None:
    """Show where the run ran, or how that differs from where another did."""
    st.subheader("Environment", anchor=False)
    here = _facts(run)
    other = _other(others)
    there = None
    if other:
        try:
            there = _facts(reading.ask(queries.run, other))
        except NotFound:
            st.info(f"No run is called {texts.escape(other)}. Choose one of the list, or paste a whole id.")
    if there is None:
        shown: list[Row] = [{"fact": name, "here": here[name]} for name in sorted(here)]
        parts.table(shown, tables.FACTS, key="environment", alt="The environment of the run")
        return
    differing = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if not differing:
        st.success("Both runs had the same machine, environment and program.")
        return
    st.markdown(f":gray[{len(differing)} of {len({*here, *there})} facts differ.]")
    shown = [{"fact": name, "here": here.get(name), "there": there.get(name)} for name in differing]
    parts.table(shown, tables.DIFFERENCES, key="difference", alt="Facts in which the two environments differ")


def _other(others: Mapping[str, str]) -> str | None:
    """Ask for another run, from the list or by its id; the URL keeps it."""
    given = st.query_params.get("other")
    options = [*others, *([given] if given and given not in others else [])]
    chosen: str | None = st.selectbox(
        "Compare with another run (choose it, or paste its id)",
        options,
        index=options.index(given) if given else None,
        format_func=lambda run: others.get(run, run),
        placeholder="no other run",
        accept_new_options=True,
    )
    if chosen and chosen != given:
        st.query_params["other"] = chosen
    elif not chosen and given:
        del st.query_params["other"]
    return chosen


if __name__ == "__main__":
    render()
