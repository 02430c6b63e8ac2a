"""What a reader of a report must know before any number."""

from unittest.mock import Mock

from data.report import Selection
from data.report.context import Context
from data.report.summary import highlights


def test_wide_intervals_are_counted_among_all_intervals() -> None:
    """What was not measured has no interval that could be narrow."""
    ends = [("ok", 1.0, 1.1), ("ok", 1.0, 1.6), ("unavailable", None, None)]
    rows = [
        {"status": status, "low_ns": low, "high_ns": high, "flags": ["imported"]}
        for status, low, high in ends
    ]
    lines = highlights(Context(Mock(), Selection(), {"machine": "atlas"}, rows, [], [], lambda *_: None))
    assert len(lines) == 1
    assert "1 of 2 intervals" in lines[0]
