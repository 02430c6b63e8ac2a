"""Versions in environments: which there are, in which order, and how each did."""

import json

import pytest

from app import versions
from app.rows import Row
from tests.app.test_rows import row


def environment(name: str, numpy: str) -> Row:
    """Return an environment as the view has it."""
    return {
        "environment_id": name,
        "interpreter": "CPython 3.11.7",
        "packages": json.dumps({"numpy": numpy, "numba": "0.68.0", "rich": "14"}),
        "blas": json.dumps([{"library": "openblas", "version": "0.3.31"}]),
        "attributes": "{}",
    }


def test_versions_of_an_environment_are_those_that_matter() -> None:
    """Interpreter, numeric packages and BLAS; not what has no part in the speed."""
    assert versions.versions_of(environment("e", "2.4.6")) == {
        "Python": "3.11.7",
        "numpy": "2.4.6",
        "numba": "0.68.0",
        "BLAS openblas": "0.3.31",
    }
    assert versions.versions_of({"packages": "{broken"}) == {}


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9", "1.10"), ("2.0rc1", "2.0"), ("2.4.6", "2.5"), ("0.9", "1")]
)
def test_versions_sort_as_people_read_them(older: str, newer: str) -> None:
    """Numbers count as numbers, and a candidate comes before its release."""
    assert versions.order(older) < versions.order(newer)


def test_what_varies_is_offered_first() -> None:
    """The program that has more than one version comes first."""
    assert versions.offered([environment("e", "2.4.6"), environment("f", "2.5.0")])[0] == "numpy"


def test_a_series_is_compared_over_versions() -> None:
    """The newest result in each version counts, and the speedup is over the version that was chosen."""
    known = [environment("e", "2.4.6"), environment("f", "2.5.0")]
    board = [
        row(
            series_id="s",
            environment_id="f",
            started="2026-11-02",
            time_ns=500e3,
            low_ns=495e3,
            high_ns=505e3,
        ),
        row(
            series_id="s",
            environment_id="e",
            started="2026-11-01",
            time_ns=600e3,
            low_ns=594e3,
            high_ns=606e3,
        ),
        row(
            series_id="s",
            environment_id="e",
            started="2026-10-01",
            time_ns=900e3,
            low_ns=890e3,
            high_ns=910e3,
        ),
        row(series_id="s", environment_id="e", started="2026-12-01", status="wrong"),
    ]
    found = versions.by_version(board, known, "numpy")
    assert [(one["version"], one["time_ns"]) for one in found] == [("2.4.6", 600e3), ("2.5.0", 500e3)]
    (against,) = versions.against(found, "2.4.6")
    assert against["series"] == "2.5.0"
    assert against["speedup"] == pytest.approx(1.2)
    assert against["verdict"] == "faster"
    assert against["speedup_low"] < 1.2 < against["speedup_high"]
