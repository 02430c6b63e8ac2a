"""Environments side by side: who takes turns with whom, what is written, what cannot be built."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from data.errors import NothingMeasured
from data.rundocument import read
from data.summary import summarise
from data.versions import every_pair
from data.words import Effort, Status, Verdict
from runners.environments import Built, Refused
from runners.lines import Observer
from runners.matrix import Arm, _alternate, measure_matrix, prepare
from runners.process import Place
from runners.protocol import EFFORTS, UNTIL_DECIDED
from runners.recipes import Recipe, parse
from runners.rounds import round_orders
from runners.wishes import Wishes, replication
from tests.runners.conftest import FAKE_KERNELS

WISHES = Wishes(
    profile="full",
    effort="smoke",
    cases=("fake/steady",),
    variants=("one-ms",),
    backends=("numpy",),
    threads=(1,),
    store=False,
)


def here(name, **more):
    """An arm in the environment of the tests, so that nothing has to be built."""
    return Arm(Recipe(name), Built(Place(**more), "numpy==2.4.6 --hash=sha256:00\n", Path()))


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_everybody_has_each_place_equally_often(members):
    """Over as many rounds as there are orders, each member comes at each place equally often, until all are done."""
    places = Counter()
    count = 2 * members

    def member(index):
        for _ in range(count):
            places[index, sum(places.values()) % members] += 1
            yield

    _alternate([member(index) for index in range(members)], round_orders(members, random.Random(1)))
    assert set(places.values()) == {2}
    assert len(places) == members**2


def test_a_member_that_ends_early_leaves_the_others_their_turns():
    """What one process drops out of, the others go on with."""
    seen = []

    def member(name, turns):
        for _ in range(turns):
            seen.append(name)
            yield

    _alternate([member("a", 1), member("b", 3), member("c", 0)], [[0, 1, 2], [2, 1, 0]])
    assert Counter(seen) == {"a": 1, "b": 3}


def test_two_environments_are_measured_side_by_side(fake_kernels, home):
    """One run file each, complete, with the recipe, the lock and the same blocks; the processes pair round by round."""
    wishes = replace(WISHES, effort="quick")
    matrix = measure_matrix([here("old"), here("new")], wishes, Observer(), ["flopwatch", "matrix"])
    assert matrix.stopped == "complete"
    documents = dict(matrix.documents())
    for name, document in documents.items():
        assert not document.interrupted
        assert [process.block for process in document.processes] == list(range(6))
        protocol = document.run.protocol
        assert protocol["matrix"] == {"id": matrix.id, "environment": name, "of": ["old", "new"]}
        assert (protocol["purpose"], protocol["turns"], protocol["recipe"]) == ("matrix", 12, {"name": name})
        assert protocol["lock"] == ["numpy==2.4.6 --hash=sha256:00"]
        assert {number // 1000 for number in document.lines[0].samples.round} == set(range(12))
        assert document.run.labels == {"environment": name}
    rounds = [
        {line.process: line.samples.round for line in document.lines} for document in documents.values()
    ]
    assert rounds[0] == rounds[1]
    (meeting,) = every_pair(list(documents.items()))
    assert meeting.comparison.verdict == Verdict.SAME
    assert (meeting.old, meeting.new, meeting.comparison.processes) == ("old", "new", 6)


def test_processes_of_the_environments_alternate_within_seconds(fake_kernels, home):
    """In each block the processes of all environments begin before any of the next block does."""
    matrix = measure_matrix([here("a"), here("b"), here("c")], WISHES, Observer(), [])
    started = sorted(
        (process.started, process.block)
        for _, document in matrix.documents()
        for process in document.processes
    )
    assert [block for _, block in started] == [block for block in range(3) for _ in range(3)]


def test_an_environment_that_cannot_be_built_is_a_result(fake_kernels, home, monkeypatch):
    """Its run file has every cell as unavailable with the resolver's message, and the others are measured."""

    def build(recipe, names):
        if recipe.name == "numpy==9.9":
            raise Refused("there is no version of numpy==9.9")
        return here("").built

    monkeypatch.setattr("runners.matrix.build", build)
    arms = prepare([parse("numpy==2.4.6"), parse("numpy==9.9")], WISHES, Observer())
    matrix = measure_matrix(arms, WISHES, Observer(), [])
    assert matrix.refused == {"numpy==9.9": "there is no version of numpy==9.9"}
    (row,) = summarise(read(matrix.files["numpy==9.9"]))
    assert row.status == Status.UNAVAILABLE
    assert row.reason == "the environment cannot be built: there is no version of numpy==9.9"
    assert [row.status for row in summarise(read(matrix.files["numpy==2.4.6"]))] == [Status.OK]
    with pytest.raises(NothingMeasured, match=r"no environment can be built: numpy==9\.9"):
        prepare([parse("numpy==9.9")], WISHES, Observer())


def test_an_environment_whose_workers_do_not_start_costs_itself_only(fake_kernels, home, tmp_path):
    """A broken interpreter is a failed run beside a whole one."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    matrix = measure_matrix([here("whole"), here("broken", python=str(broken))], WISHES, Observer(), [])
    rows = {name: summarise(read(path))[0] for name, path in matrix.files.items()}
    assert (rows["whole"].status, rows["broken"].status) == (Status.OK, Status.FAILED)
    assert "ended with status 7" in rows["broken"].reason


def test_variables_reach_the_workers_and_the_record(fake_kernels, home):
    """A variable of a recipe is set in its workers alone."""
    arms = [here("plain"), here("bound", variables=(("OMP_PROC_BIND", "true"),))]
    matrix = measure_matrix(arms, WISHES, Observer(), [])
    found = {
        name: document.run.environment.attributes.get("variables", {}).get("OMP_PROC_BIND")
        for name, document in matrix.documents()
    }
    assert found == {"plain": None, "bound": ["true"]}


def test_kernels_without_the_case_say_so(fake_kernels, home, tmp_path):
    """A commit in which the case does not exist yet is a result with its reason."""
    empty = tmp_path / "empty_kernels.py"
    empty.write_text("KERNELS = ()\n")
    arms = [here("new"), here("older", variables=(("FLOPWATCH_KERNELS", str(empty)),))]
    matrix = measure_matrix(arms, WISHES, Observer(), [])
    rows = {name: summarise(document)[0] for name, document in matrix.documents()}
    assert rows["new"].status == Status.OK
    assert "these kernels have no case fake/steady" in rows["older"].reason


#: Every second process of the kernel takes 4 % longer.
TWO_FACED = """
from pathlib import Path

count = Path({count!r})
with count.open("a") as file:
    file.write("x")
LATER_NS = 40_000 * (count.stat().st_size % 2)
"""


@pytest.mark.parametrize(("two_faced", "processes"), [(False, 8), (True, 9)])
def test_a_case_goes_on_until_its_ratio_is_decided(
    fake_kernels, home, tmp_path, monkeypatch, two_faced, processes
):
    """What is equal ends at the first look; where an end of the margin lies within the interval, another follows."""
    looks = replace(EFFORTS[Effort.RIGOROUS], looks=(8, 9))
    monkeypatch.setitem(EFFORTS, Effort.RIGOROUS, looks)
    other = tmp_path / "other_kernels.py"
    text = FAKE_KERNELS.read_text()
    if two_faced:
        begin = TWO_FACED.format(count=str(tmp_path / "count"))
        text = text.replace("_taking(1_000_000)", "_taking(1_000_000 + LATER_NS)")
        text = text.replace("_PROFILES = ", f"{begin}_PROFILES = ")
    other.write_text(text)
    arms = [here("old"), here("new", variables=(("FLOPWATCH_KERNELS", str(other)),))]
    wishes = replace(WISHES, effort="quick", margin=0.02, until_decided=True)
    matrix = measure_matrix(arms, wishes, Observer(), [])
    (meeting,) = every_pair(matrix.documents())
    assert meeting.comparison.processes == processes
    assert (meeting.comparison.verdict == Verdict.SAME) is not two_faced
    protocols = [document.run.protocol for _, document in matrix.documents()]
    assert {(one["confidence"], one["margin"]) for one in protocols} == {(UNTIL_DECIDED, 0.02)}


def test_a_case_that_has_had_its_time_ends(fake_kernels, home, monkeypatch):
    """What stays undecided is given up at the first look after its time."""
    monkeypatch.setattr("runners.matrix.is_decided", lambda logs, replication: False)
    monkeypatch.setitem(EFFORTS, Effort.STANDARD, replace(EFFORTS[Effort.STANDARD], budget_s=0.001))
    wishes = replace(WISHES, effort="quick", margin=0.02, until_decided=True)
    matrix = measure_matrix([here("old"), here("new")], wishes, Observer(), [])
    assert {len(document.processes) for _, document in matrix.documents()} == {8}


def test_other_efforts_keep_their_processes():
    """Only the quick effort goes on instead of ending at six processes, and only where that is wished."""
    going_on = replace(WISHES, effort="quick", margin=0.02, until_decided=True)
    assert replication(going_on).looks == EFFORTS[Effort.RIGOROUS].looks
    assert replication(replace(going_on, until_decided=False)).looks == (6,)
    for name in ("smoke", "standard"):
        assert replication(replace(going_on, effort=name)).looks == EFFORTS[Effort(name)].looks
