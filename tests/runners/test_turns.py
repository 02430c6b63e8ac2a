"""Turns of processes that are compared: who chooses, and how the answers of several turns become one."""

from types import SimpleNamespace

from runners.rounds import Protocol
from runners.turns import Pace, joined, protocol_of_turn


def _cell(name):
    return SimpleNamespace(variant=SimpleNamespace(name=name, condition="given", backend="numpy"))


def _answer(times, batch=4, rounds=3, **more):
    samples = {
        "time_ns": times,
        "batch": batch,
        "round": list(range(len(times))),
        **{name: [1] * len(times) for name in ("clean", "cpu_ns", "switches", "probe_ns")},
    }
    return {
        "rounds": rounds,
        "variants": [{"index": 0, "status": "ok", "flags": [], "samples": samples} | more],
    }


def test_the_first_process_chooses_and_the_others_follow():
    """Rounds and calls in a sample are those of the first answer; a later one changes nothing."""
    pace, cells = Pace(4), [_cell("a")]
    assert pace.request(0, cells, None) == {"rounds": None, "batches": [None], "again": False}
    pace.learn(_answer([1, 2, 3]), cells)
    pace.learn(_answer([1, 2], batch=8, rounds=2), cells)
    assert pace.request(1, cells, 100) == {"rounds": 3, "batches": [4], "again": True}
    assert list(pace.turns()) == [0, 1, 2, 3]


def test_one_process_alone_is_asked_as_before():
    """Without others there is one turn, and what was learnt of earlier processes counts."""
    pace = Pace()
    assert list(pace.turns()) == [0]
    assert pace.request(0, [_cell("a")], 40)["rounds"] == 40
    assert Pace(4).request(0, [_cell("a")], 42)["rounds"] is None


def test_a_call_of_seconds_is_made_once():
    """A variant with a single sample cannot be cut into turns, so everybody has one."""
    pace, cells = Pace(4), [_cell("a")]
    pace.learn(_answer([3_000_000_000], rounds=0), cells)
    assert (pace.most, pace.rounds) == (1, None)


def test_turns_become_one_answer_with_rounds_that_pair():
    """Round 2 of turn 1 has the same number in every process, however many rounds the others took."""
    (answer,) = joined([_answer([10, 11, 12]), _answer([20, 21], flags=["contended"])])
    assert answer["samples"]["time_ns"] == [10, 11, 12, 20, 21]
    assert answer["samples"]["round"] == [0, 1, 2, 1000, 1001]
    assert answer["samples"]["batch"] == 4
    assert answer["flags"] == ["contended"]
    assert joined([_answer([10])]) == _answer([10])["variants"]


def test_a_turn_that_went_wrong_decides():
    """A wrong answer in a later turn hides the speed of all."""
    wrong = {"rounds": 1, "variants": [{"index": 0, "status": "wrong", "reason": "after timing"}]}
    assert joined([_answer([10]), wrong]) == wrong["variants"]


def test_turns_together_take_twice_as_long_as_a_process_alone():
    """Eight turns share twice the window and twice the least number of rounds."""
    of_turn = protocol_of_turn(Protocol(), 8)
    assert (of_turn.window_ns, of_turn.minimum_rounds, of_turn.minimum_clean) == (62_500_000, 3, 3)
