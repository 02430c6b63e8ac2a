"""The table of targets says what was met, what was not, and what nobody measured."""

from typing import Any

from tests.benchmarks.product import PARTS
from tests.benchmarks.targets import TARGETS, Target, table


def _kept(**figures: float) -> dict[str, dict[str, Any]]:
    facts = {"date": "2026-01-02 03:04", "seconds": 5, "machine": "a machine", "beside": "nothing"}
    return {"store": {"figures": figures, **facts}}


def test_a_figure_is_held_against_its_target() -> None:
    """At most and at least are told apart, and the ratio of what is better is above one in both."""
    most, least = Target("store", "a", "a", "s", 2.0), Target("store", "b", "b", "/s", 30.0, floor=True)
    assert (most.ratio(_kept(a=1.0)), most.met(_kept(a=1.0))) == (2.0, True)
    assert (least.ratio(_kept(b=15.0)), least.met(_kept(b=15.0))) == (0.5, False)
    assert (most.ratio({}), most.met({})) == (None, None)
    assert Target("store", "a", "lost", "", 0).met(_kept(a=1.0)) is False


def test_the_table_names_what_falls_short() -> None:
    """What is short of its target stands in the table and in the list below; what is missing is no success."""
    short = {"ingest.share": 0.2, "ingest.one_more_s": 0.1}
    text = table(_kept(**short))
    assert "| 0.2 | ≥ 0.333 | 0.60 | **short** |" in text
    assert "| 0.1 s | ≤ 1 s | 10.00 | met |" in text
    below = text.partition("## What falls short")[2]
    assert "parsing and hashing: 0.2" in below
    assert "one more run" not in below
    assert "- not measured yet: `flopwatch --help`" in below
    assert "2026-01-02 03:04" in text


def test_every_target_belongs_to_a_part() -> None:
    """No target waits for a figure that no part gives."""
    assert {target.part for target in TARGETS} == set(PARTS)
