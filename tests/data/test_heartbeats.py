"""Signs of life that come from elsewhere."""

import msgspec
import pytest

from data.errors import BadInput
from data.heartbeats import Heartbeat

TOLD = {"machine": "0" * 12, "name": "m", "job": "job", "at": "2026-11-24T00:00:00Z", "outcome": "measured"}


def test_what_is_told_is_read():
    """All that a job says arrives."""
    assert Heartbeat.parse(msgspec.json.encode(TOLD)).at == "2026-11-24T00:00:00Z"


@pytest.mark.parametrize("moment", ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("field", ["at", "done", "due"])
def test_a_moment_that_does_not_exist_is_refused(field, moment):
    """What is kept must be readable: a board that cannot tell its machines helps nobody."""
    with pytest.raises(BadInput, match="no moment"):
        Heartbeat.parse(msgspec.json.encode(TOLD | {field: moment}))
