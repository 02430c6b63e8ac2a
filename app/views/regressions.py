"""Regressions: what became slower, when, and what else changed then?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import charts, events, filters, parts, questions, reading, rows, tables, texts
from app.rows import Row
from data.changes import FEWEST
from data.entries import Acceptance, Decision
from data.errors import FlopwatchError

__all__ = ["render"]

PAGE = "views/regressions.py"

SLOWER, FASTER, BOTH = "slower", "faster", "both"

_POINTS = f"""
    SELECT {questions.RESULT} FROM board
    WHERE machine_id = ? AND series_id = ? AND status = 'ok' AND purpose = 'series' ORDER BY started
"""  # noqa: S608 - a constant
_FLOOR = "SELECT noise_floor FROM noise_floors WHERE series_id = ?"
_NOTES = """
    SELECT coalesce(since, "at") AS "at", author, text FROM annotations
    WHERE series_id = $series OR run_id IN (SELECT run_id FROM board WHERE series_id = $series)
        OR (machine_id = $machine AND series_id IS NULL)
    ORDER BY 1
"""


def _notes(index: Any, series: str, machine: str) -> list[Row]:
    found: list[Row] = index.query(_NOTES, {"series": series, "machine": machine})
    return found


def render() -> None:
    """Draw the page."""
    parts.title("Regressions", "What became slower, when, and what else changed then?")
    names = reading.machines()
    if not names:
        parts.empty()
        return
    filters.enter(PAGE, {"machine": next(iter(names.values()))})
    with st.sidebar:
        machine = filters.one("Machine", "machine", list(names), names.__getitem__)
        direction = filters.view([SLOWER, FASTER, BOTH])
        logarithmic = filters.scale()
        changes = (
            events.Changes([], []) if machine is None else reading.ask_of_machine(events.of_machine, machine)
        )
        start = filters.since()
        histories = filters.narrow(changes.series)
    if machine is None:
        st.info("The link names a machine that is not here. Choose one in the side bar.")
        return
    if not histories:
        st.info("No result fits these filters. Take one of them away in the side bar.")
        return
    left = {row["series_id"] for row in histories}
    found = [
        one
        for one in changes.rows
        if one["series_id"] in left
        and direction in (BOTH, one["verdict"])
        and (start is None or one["at"] >= start)
    ]
    series = _choose(histories, found)
    shown = [one for one in found if one["series_id"] == series]
    name = _name(next(row for row in histories if row["series_id"] == series))
    _series(series, name, machine, [one for one in changes.rows if one["series_id"] == series], logarithmic)
    for one in shown[:1]:
        _triage(one)
    _list(found, direction, max(row["points"] for row in histories))


def _name(row: Row) -> str:
    words = [str(row.get(name)) for name in ("case_id", "backend", "variant")]
    threads = int(texts.finite(row.get("threads")) or 0)
    return " · ".join([*words, f"{threads} thread{'' if threads == 1 else 's'}", str(row.get("condition"))])


def _choose(histories: Sequence[Row], found: Sequence[Row]) -> str:
    """Ask for a series: those that changed come first, then those that are long enough to tell a change."""
    changed = list(dict.fromkeys(str(one["series_id"]) for one in found))
    by_id = {str(row["series_id"]): row for row in histories}
    others = sorted(
        (key for key in by_id if key not in changed),
        key=lambda key: (by_id[key]["points"] < FEWEST, rows.case_order(str(by_id[key]["case_id"]))),
    )
    named = {key: _name(by_id[key]) for key in [*changed, *others]}
    return filters.listed("Series", "series", named)


def _series(series: str, name: str, machine: str, changed: Sequence[Row], logarithmic: bool) -> None:
    """Draw one series with all that was going on."""
    points = reading.ask_of_machine(_POINTS, machine, series)
    floors = reading.ask(_FLOOR, series)
    floor = texts.finite(floors[0]["noise_floor"]) if floors else None
    changes, band = events.surroundings(points, changed, floor)
    environments = {str(one["environment_id"]): one for one in reading.ask(questions.ENVIRONMENTS, machine)}
    context = charts.Context(
        changes,
        events.steps(points, environments),
        reading.ask(_notes, series, machine),
        band,
        changes[-1]["at"] if changes else None,
    )
    figure = charts.history(points, name, parts.theme(), context, logarithmic=logarithmic)
    if figure is None:
        st.info("This series has no result that is ok.")
        return
    parts.chart(figure, key="history", alt=charts.describe_history(points, name, context))
    few = f" Fewer than {FEWEST} points cannot tell a change." if len(points) < FEWEST else ""
    st.markdown(
        f":gray[A click on a point opens its run. {_about_noise(band, floor)} Dotted lines are new versions.{few}]"
    )
    with st.expander("The points"):
        parts.table(list(reversed(points)), tables.MEASUREMENT, key="points", alt=f"The points of {name}")


def _about_noise(band: tuple[float, float] | None, floor: float | None) -> str:
    """Say what the band of a chart is, or why it has none."""
    if band is None:
        return "How far noise alone moves it is not known yet: that takes three points since the last change."
    source = "its noise floor, measured against itself" if floor else "its spread since the last change"
    return f"The band is what noise alone explains: {source}."


def _triage(event: Row) -> None:
    """Let the owner of the server decide about the newest change of the series."""
    when = texts.moment(event["at"])
    badge = ":red-badge[alarm] " if event["alarm"] else ""
    between = texts.ratio_interval(event["ratio"], event["low"], event["high"])
    st.markdown(
        f"{badge}**{texts.escape(event['verdict'])}, {texts.escape(texts.ratio(event['ratio']))} the time** "
        f"({texts.escape(between)}) since {when}, confidence {event['confidence']:.0%}, state: "
        f"{texts.escape(event['state'])}. {texts.escape(event['cause'])}"
    )
    if not parts.is_local():
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = st.text_input("Reason", key=f"reason-{event['series_id']}", placeholder="why, for others")
        for word, label, meaning in (
            ("confirmed", "Confirm", "It is real and shall be looked into"),
            ("noise", "Noise", "It is no change of the program: noise, or the machine"),
            ("accepted", "Accept", "It is meant: the new level is the expected one"),
        ):
            if st.button(label, key=f"{word}-{event['series_id']}", help=meaning):
                _decide(event, word, reason)


def _decide(event: Row, word: str, reason: str) -> None:
    """Write the decision into the ledger."""
    series, at = str(event["series_id"]), event["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    record = (
        Acceptance(series=series, change_at=at, reason=reason)
        if word == "accepted"
        else Decision(series=series, decision=word, change_at=at, reason=reason)
    )
    try:
        reading.store().state(record)
    except FlopwatchError as error:
        st.error(texts.escape(error))
        return
    st.rerun()


def _list(found: Sequence[Row], direction: str, most_points: int) -> None:
    """List the changes, each with its recent points; ``most_points`` has the longest of the series."""
    st.subheader("Changes", anchor=False)
    if most_points < FEWEST:
        st.info(
            f"No series has {FEWEST} points yet, and fewer cannot tell a change. Each run adds a point to all "
            "that it measures."
        )
        return
    if not found:
        what = "changed" if direction == BOTH else f"became {direction}"
        st.success(f"Nothing {what} among these series.")
        return
    chosen = parts.table(
        found, tables.EVENTS, key="events", alt="Changes of the series, those to decide first", choose=True
    )
    if chosen is not None:
        st.query_params["series"] = str(chosen["series_id"])
        st.rerun()


if __name__ == "__main__":
    render()
