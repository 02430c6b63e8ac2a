"""Reading: one index, answers that belong to a state of it, trouble in words."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import reading
from data.entries import Withdrawal
from data.errors import FlopwatchError
from data.index import Index
from tests.app.builder import MACHINES, Plan, standard_cells
from tests.app.conftest import Fill

COUNT = "SELECT count(*) AS runs FROM runs"


def wait_for_change(before: str, seconds: float = 15.0) -> None:
    """Wait until the index has another generation."""
    until = time.monotonic() + seconds
    while reading.generation() == before and time.monotonic() < until:
        time.sleep(0.1)


def test_a_question_is_asked_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the store is the same, the same question costs one query."""
    asked: list[str] = []
    query = Index.query

    def counting(self: Index, sql: str, parameters: object = None) -> list[dict[str, object]]:
        asked.append(sql)
        return query(self, sql, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(Index, "query", counting)
    assert reading.ask(COUNT) is reading.ask(COUNT)
    assert reading.ask("SELECT ?::INTEGER AS n", 1) != reading.ask("SELECT ?::INTEGER AS n", 2)
    assert asked.count(COUNT) == 1
    assert home.is_dir()


def test_new_results_change_the_answer(fill: Fill) -> None:
    """When another process appends a run to the ledger, the same question has a new answer."""
    fill(Plan(standard_cells()))
    assert reading.ask(COUNT)[0]["runs"] == 1
    before = reading.generation()
    fill(Plan(standard_cells(), machine=MACHINES["cirrus"]))
    wait_for_change(before)
    assert reading.ask(COUNT)[0]["runs"] == 2


def test_what_is_about_one_machine_is_kept_while_others_upload(fill: Fill) -> None:
    """The answer stays until that machine measures, or somebody states something about results."""
    asked: list[str] = []

    def runs_of(index: Index, machine: str) -> int:
        asked.append(machine)
        return len(index.query("FROM runs WHERE machine_id = ?", [machine]))

    def answer() -> int:
        reading.store().sync()
        return int(reading.ask_of_machine(runs_of, MACHINES["atlas"].id))

    (first,) = fill(Plan([]))
    assert [answer(), answer()] == [1, 1]
    fill(Plan([], machine=MACHINES["cirrus"]))
    assert answer() == 1
    assert len(asked) == 1
    (second,) = fill(Plan([]))
    assert answer() == 2
    reading.store().state(Withdrawal(run=second, reason="throttled"))
    assert answer() == 1
    assert len(asked) == 3
    assert first != second


def test_a_question_of_many_sessions_is_asked_once(fill: Fill) -> None:
    """Sessions that ask at the same time get one answer; where it fails, the next one asks anew."""
    fill(Plan([]))
    asked: list[int] = []

    def slowly(index: Index, number: int) -> list[int]:
        asked.append(number)
        time.sleep(0.3)
        if number in asked[:-1]:
            return [number]
        raise FlopwatchError("too early")

    def told(_: int) -> str:
        try:
            return str(reading.ask(slowly, 7))
        except FlopwatchError as error:
            return str(error)

    with ThreadPoolExecutor(8) as sessions:
        assert set(sessions.map(told, range(8))) == {"too early"}
        assert set(sessions.map(told, range(8))) == {"[7]"}
    assert asked == [7, 7]


def test_pages_read_while_another_process_owns(fill: Fill) -> None:
    """Where the index is owned already, answers come from the newest copy."""
    fill(Plan(standard_cells()))
    with Index.open():
        assert not reading.store().owned
        assert reading.ask(COUNT)[0]["runs"] == 1


def test_functions_of_the_index_are_questions_too(fill: Fill) -> None:
    """A named question of data.queries is answered and kept like SQL."""
    from data import queries

    (run,) = fill(Plan(standard_cells()))
    assert reading.ask(queries.run, run)["run_id"] == run
    assert reading.ask(queries.run, run) is reading.ask(queries.run, run)


def test_machines_with_one_name_are_told_apart(fill: Fill) -> None:
    """Two machines of the same name show their ids; others show their name alone."""
    import msgspec

    twin = msgspec.structs.replace(MACHINES["cirrus"], name="atlas")
    fill(Plan([]), Plan([], machine=twin), Plan([], machine=MACHINES["borealis"]))
    assert set(reading.machines().values()) == {"atlas (a71a5a71a5a7)", "atlas (c1c1c1c1c1c1)", "borealis"}


def test_trouble_is_told_in_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the index cannot be opened, the error says what and why, and the next try is a new one."""
    home.write_text("a file where the folder should be")
    monkeypatch.setattr(reading, "WAIT_S", 0.2)
    with pytest.raises(FlopwatchError) as told:
        reading.ask(COUNT)
    assert str(home) in str(told.value)
    home.unlink()
    assert reading.ask(COUNT)[0]["runs"] == 0
