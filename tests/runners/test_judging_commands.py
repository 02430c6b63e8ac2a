"""The commands that judge, as people start them: what they print, what they remember, every exit status."""

import json
import shutil

import pytest

from data import queries
from data.regressions import History, Member, State, find_events
from runners.confirm import confirm, outcome_of
from runners.environments import Built, Refused
from runners.machine import describe_machine
from runners.process import Place
from tests.data.boards import BEGIN, fill
from tests.runners.conftest import FAKE_KERNELS
from tests.runners.test_command_line import environment, flopwatch  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A board on which the code changed at run 12 of 20, and everything takes 10 % longer since."""
    home = tmp_path_factory.mktemp("board") / "home"
    fill(home, 20, 12, sources="bbbbbbbbbbbb").close()
    return home


@pytest.fixture
def slower(environment, board, tmp_path):  # noqa: F811
    """A copy of that board for each test."""
    shutil.copytree(board, tmp_path / "home")
    return environment


def test_the_gate_fires_until_the_change_is_accepted(slower):
    """A certain regression ends with 1; accepted with a reason it is gone from the list and the gate."""
    done = flopwatch(slower, "regressions", "--json", "--fail-on", "regression", check=1)
    rows = json.loads(done.stdout)
    assert {row["attribution"] for row in rows} == {"genuine"}
    assert {row["state"] for row in rows} == {"new"}
    assert all(1.05 < row["low"] < row["ratio"] < row["high"] < 1.15 for row in rows)
    text = flopwatch(slower, "regressions", "--markdown", check=0).stdout
    assert text.startswith("### Performance: 1 regression")
    assert "matmul/0 · blas · numpy · 1 thread" in text
    assert "ALARM" in flopwatch(slower, "regressions", check=0).stdout
    flopwatch(slower, "accept", rows[0]["event"], "--reason", "wanted", check=0)
    assert json.loads(flopwatch(slower, "regressions", "--json", "--fail-on", "change", check=0).stdout) == []
    every = json.loads(flopwatch(slower, "regressions", "--json", "--all", check=0).stdout)
    assert {row["state"] for row in every} == {"accepted"}


def test_one_series_can_be_decided_alone(slower):
    """One series of an event can be called noise; the other stays."""
    rows = json.loads(flopwatch(slower, "regressions", "--json", check=0).stdout)
    flopwatch(slower, "accept", rows[0]["series"], "--as", "noise", "--reason", "a test", check=0)
    (left,) = json.loads(flopwatch(slower, "regressions", "--json", check=0).stdout)
    assert left["series"] == rows[1]["series"]
    assert json.loads(flopwatch(slower, "regressions", "--json", "--size", "20%", check=0).stdout) == []
    assert (
        json.loads(flopwatch(slower, "regressions", "--json", "--since", "2026-02-01", check=0).stdout) == []
    )


def test_remarks_and_withdrawals(slower):
    """A remark is kept, a withdrawn run leaves every list, and undoing brings it back."""
    done = flopwatch(
        slower, "annotate", "new fan", "--machine", "testbox", "--since", "2026-01-10", "--json", check=0
    )
    assert json.loads(done.stdout)["annotation"]
    done = flopwatch(slower, "withdraw", "latest", "--reason", "a backup was running", "--json", check=0)
    name = json.loads(done.stdout)["id"]
    assert json.loads(flopwatch(slower, "db", "info", "--json", check=0).stdout)["runs"] in (19, 20)
    flopwatch(slower, "withdraw", "--undo", name, "--reason", "it was right", check=0)
    assert (
        "no withdrawal" in flopwatch(slower, "withdraw", "--undo", name, "--reason", "again", check=2).stderr
    )


def test_census_and_claims_of_a_board(slower):
    """The census names what is old, and every claim has a verdict for the machine."""
    found = json.loads(flopwatch(slower, "census", "--json", check=0).stdout)
    assert found["stale"][0]["kind"] == "machine"
    assert "days ago" in found["stale"][0]["text"]
    assert {gap["why"].split(":")[0] for gap in found["gaps"]} >= {"unavailable", "wrong"}
    claims = json.loads(flopwatch(slower, "claims", "--json", check=0).stdout)
    names = {"id", "machine", "backend", "verdict", "estimate", "low", "high", "expected", "source"}
    assert all(names <= set(claim) for claim in claims)
    assert len({claim["id"] for claim in claims}) == 35


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("accept", "nothing"), "no event or changed series"),
        (("regressions", "--machine", "mars"), "no machine is called 'mars'"),
        (("regressions", "--since", "soon"), "'soon' is no date"),
        (("regressions", "--size", "200%"), "is no share"),
        (("annotate", " "), "the remark is empty"),
        (("annotate", "x", "--series", "y"), "no series is called"),
        (("withdraw", "--reason", "x"), "name the run"),
        (("withdraw", "latest", "--reason", " "), "the reason is empty"),
        (("claims", "--id", "moon-*"), "no claim matches"),
        (("claims", "--file", "nowhere.toml"), "nowhere.toml"),
        (("census", "--days", "0"), "--days 0"),
    ],
)
def test_wrong_use_is_one_line_and_status_two(slower, words, message):
    """Whatever is wrong is said in one line, with the value and what to do."""
    assert message in flopwatch(slower, *words, check=2).stderr


def test_confirming_measures_again_and_decides(environment, tmp_path):  # noqa: F811
    """A change that a re-run repeats is confirmed and fires the gate, one that it does not is noise."""
    here = describe_machine()
    names = (("fake/steady", "two-ms"), ("fake/steady", "one-ms"))
    fill(tmp_path / "home", 20, 12, ratio=2.0, machine=here, names=names).close()
    before = json.loads(
        flopwatch(environment, "regressions", "--json", "--fail-on", "regression", check=0).stdout
    )
    assert {(row["variant"], row["state"]) for row in before} == {("two-ms", "new"), ("one-ms", "new")}
    done = flopwatch(
        environment, "regressions", "--confirm", "--json", "--all", "--fail-on", "regression", check=1
    )
    states = {row["variant"]: row["state"] for row in json.loads(done.stdout)}
    assert states == {"two-ms": "confirmed", "one-ms": "noise"}
    assert FAKE_KERNELS.exists()


@pytest.mark.parametrize(("before", "after", "state"), [(3, 6, "confirmed"), (2, 2, "noise")])
def test_a_change_of_environment_is_measured_beside_the_one_before(
    fake_kernels, home, monkeypatch, before, after, state
):
    """What counts is the ratio of the two environments now, whatever the machine does to both of them meanwhile."""
    built = []

    def build(recipe, backends, lock):
        built.append((recipe.requirements, backends, lock))
        told = (("FAKE_MS", str(after if "numpy==2.5.0" in recipe.requirements else before)),)
        return Built(Place(variables=told), "numpy==2.5.0 --hash=sha256:00\n", home)

    monkeypatch.setattr("runners.confirm.build", build)
    names = (("fake/told", "as-told"), ("fake/told", "unknown"))
    changed = {"packages": {"numpy": "2.5.0"}}
    with fill(home, 20, 12, ratio=2.0, machine=describe_machine(), names=names, **changed) as index:
        runs = _runs(index)
        assert confirm(index, _events(index), quiet=True) == 1
        held = {one.history.cell["variant"]: one.state for one in _events(index)[0].members}
        assert held == {"as-told": State(state), "unknown": State.NEW}
        assert built == [((f"numpy=={version}",), {"numpy"}, "") for version in ("2.4.6", "2.5.0")]
        # What was measured again is on the board, and no point of a history.
        assert {row["purpose"] for row in queries.runs(index, 2)} == {"confirmation"}
        assert _runs(index) == runs


def test_where_the_environment_before_is_gone_the_present_one_is_measured(fake_kernels, home, monkeypatch):
    """A wheel that no index has any more is no reason to decide nothing."""

    def build(recipe, backends, lock):
        raise Refused("there is no version of numpy==2.4.6")

    monkeypatch.setattr("runners.confirm.build", build)
    names = (("fake/steady", "two-ms"), ("fake/steady", "one-ms"))
    changed = {"packages": {"numpy": "2.5.0"}}
    with fill(home, 20, 12, ratio=2.0, machine=describe_machine(), names=names, **changed) as index:
        assert confirm(index, _events(index), quiet=True) == 2
        held = {one.history.cell["variant"]: one.state for one in _events(index)[0].members}
        assert held == {"two-ms": State.CONFIRMED, "one-ms": State.NOISE}
        assert queries.runs(index, 1)[0]["purpose"] == "confirmation"


def _runs(index):
    return {run for history in queries.histories(index) for run in history.runs}


def _events(index):
    return find_events(
        queries.histories(index), lambda run: queries.first_line(index, run), queries.decided(index)
    )


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (1.08, 1.12, State.CONFIRMED),
        (0.99, 1.02, State.NOISE),
        (1.01, 1.12, State.NEW),
        (None, None, State.NEW),
    ],
)
def test_what_a_re_measurement_says(low, high, state):
    """Beyond half the step is confirmed, on the old side noise, across both still new."""
    cell = {"case": "c", "variant": "v", "condition": "given", "backend": "b", "device": "cpu", "threads": 1}
    history = History("s", "m", "box", cell, ["a", "b"], [BEGIN, BEGIN], [1e6, 1.1e6], [None] * 2, [None] * 2)
    member = Member(history, 1, 1.1, 1.08, 1.12, 0.99, 1e6, 1.1e6)
    assert outcome_of(member, {"ratio": 1.05, "low": low, "high": high}) is state
    assert outcome_of(member, {}) is State.NEW
