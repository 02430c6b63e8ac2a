"""Regressions of boards with a known history: found once, attributed, decided, and silent where nothing changed."""

import json
import random

import pytest

from data import entries, queries
from data.attribution import Attribution, Difference, attribute
from data.regression_report import change_text, markdown, name_of
from data.regressions import State, Thresholds, find_events, is_alarm
from tests.data.boards import fill


def events_of(index, **limits):
    return find_events(
        queries.histories(index),
        lambda run_id: queries.first_line(index, run_id),
        queries.decided(index),
        Thresholds(**limits),
    )


def test_nothing_changed_is_silent(home):
    """A board on which nothing changed has no event."""
    with fill(home, 20) as index:
        assert events_of(index) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"sources": "bbbbbbbbbbbb"}, Attribution.GENUINE),
        ({"packages": {"numpy": "2.5.0"}}, Attribution.ENVIRONMENT),
        ({"packages": {"numpy": "2.5.0"}, "sources": "bbbbbbbbbbbb"}, Attribution.MIXED),
        ({"ceilings": 1.1}, Attribution.BASELINE),
        ({}, Attribution.NOISE),
    ],
)
def test_one_event_with_its_cause(home, changed, expected):
    """Series that move together are one event, dated at the right run and attributed to what changed there."""
    with fill(home, 20, 12, **changed) as index:
        (event,) = events_of(index)
        assert event.attribution is expected, event.sentence
        assert len(event.members) == 2
        assert (event.at.month, event.at.day) == (1, 13)
        for member in event.members:
            assert member.low < 1.1 < member.high
            assert member.sure
            assert is_alarm(event, member) == (expected not in (Attribution.BASELINE, Attribution.NOISE))
        if "packages" in changed:
            assert "numpy 2.4.6 → 2.5.0" in event.sentence


def test_an_improvement_is_no_alarm(home):
    """What became faster is told and fires nothing."""
    with fill(home, 20, 12, ratio=0.8, sources="bbbbbbbbbbbb") as index:
        (event,) = events_of(index)
        assert not any(is_alarm(event, member) for member in event.members)
        assert change_text(event.members[0]).startswith("25.")
        assert "Change" in markdown([event])


def test_size_and_noise_floor_bound_what_is_told(home):
    """A change below the wished size is none."""
    with fill(home, 20, 12, sources="bbbbbbbbbbbb") as index:
        assert events_of(index, size=0.15) == []
        assert len(events_of(index, size=0.05)) == 1


def test_states_come_from_the_ledger(home):
    """The newest decision about a change counts, an accepted one fires nothing, and a confirmed one always does."""
    with fill(home, 20, 12) as index:
        (event,) = events_of(index)
        one = event.members[0]
        at = f"{one.at:%Y-%m-%dT%H:%M:%S.%fZ}"
        states = []
        for record in (
            entries.Decision(
                series=one.history.series, decision="confirmed", change_at=at, at="2026-03-01T00:00:00Z"
            ),
            entries.Acceptance(series=one.history.series, change_at=at, at="2026-03-02T00:00:00Z"),
            entries.Decision(
                series=one.history.series, decision="muted", change_at=at, at="2026-03-03T00:00:00Z"
            ),
        ):
            index.state(record)
            (event,) = events_of(index)
            held = next(member for member in event.members if member.history.series == one.history.series)
            states.append((held.state, is_alarm(event, held)))
        assert states == [(State.CONFIRMED, True), (State.ACCEPTED, False), (State.ACCEPTED, False)]


def test_json_and_markdown_say_the_same(home):
    """The JSON has one object a series with the stable names; the Markdown is a table with the alarm first."""
    with fill(home, 20, 12, sources="bbbbbbbbbbbb") as index:
        events = events_of(index)
    rows = [row for event in events for row in event.to_json()]
    assert {"series", "at", "ratio", "low", "high", "confidence", "attribution", "state"} <= set(rows[0])
    json.dumps(rows)
    text = markdown(events)
    assert text.startswith("### Performance: 1 regression, no other changes")
    assert name_of(events[0].members[0]) in text
    assert "code under test changed" in text


def test_false_discoveries_are_controlled():
    """Of 400 unchanged series, at most one in a hundred is told; a changed one among them is."""
    from datetime import timedelta

    from data.regressions import History
    from tests.data.boards import BEGIN

    rng = random.Random(5)
    cell = {
        "kernel": "k",
        "case": "k/1",
        "variant": "v",
        "condition": "given",
        "backend": "b",
        "device": "cpu",
    }
    started = [BEGIN + timedelta(days=day) for day in range(40)]

    def history(name, step):
        times = [1e6 * rng.lognormvariate(0, 0.02) * (step if day >= 25 else 1.0) for day in range(40)]
        runs = [f"run-{day}" for day in range(40)]
        nothing = [None] * 40
        return History(name, "m", "box", cell | {"threads": 1}, runs, started, times, nothing, nothing)

    histories = [history(f"s{number}", 1.0) for number in range(400)] + [history("changed", 1.1)]
    found = [one for event in find_events(histories, lambda _: None) for one in event.members if one.sure]
    names = [one.history.series for one in found]
    assert "changed" in names
    assert len(names) <= 5


def test_attribution_weighs_the_yardstick():
    """A yardstick that moved by half of the step or more explains it; one that moved the other way does not."""
    code = Difference("code", "flopwatch sources", "a", "b")
    assert attribute([], 0.1, 0.06, 0.02)[0] is Attribution.BASELINE
    assert attribute([], 0.1, 0.04, 0.02)[0] is Attribution.NOISE
    assert attribute([], 0.1, -0.2, 0.02)[0] is Attribution.NOISE
    assert attribute([], 0.1, None, 0.02)[0] is Attribution.NOISE
    assert attribute([code], 0.1, 0.1, 0.02)[0] is Attribution.MIXED
