"""Signs of life over HTTP: kept, bounded, and only of the machine that the token is for."""

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import api, jobs
from app.api import access
from app.api.heartbeats import LIMIT_BYTES

GOOD = {
    "machine": "0123456789ab",
    "name": "attic",
    "job": "nightly",
    "at": "2026-11-24T03:00:00Z",
    "outcome": "measured",
    "every_s": 86400,
    "due": "2026-11-25T03:00:00Z",
}


@pytest.fixture
def client(home: Path) -> TestClient:
    assert home.name == "home"
    return TestClient(Starlette(routes=list(api.routes())))


def header(machine: str | None = None, scope: str = "upload") -> dict[str, str]:
    token, secret = access.tokens().create("fleet", (scope,), machine=machine)
    assert token.name == "fleet"
    return {"Authorization": f"Bearer {secret}"}


def test_the_newest_sign_of_a_job_is_kept(client: TestClient) -> None:
    """204; a second one takes the place of the first, one of another job does not."""
    known = header()
    for change in ({}, {"text": "second"}, {"job": "weekly"}):
        assert client.post("/api/v1/heartbeats", json=GOOD | change, headers=known).status_code == 204
    assert sorted((one.job, one.text) for one in jobs.heartbeats().all()) == [
        ("nightly", "second"),
        ("weekly", ""),
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"machine": "x"}, 400),
        ({"at": "yesterday"}, 400),
        ({"outcome": "great"}, 400),
        ({"every_s": -1}, 400),
        ({"every_s": "1e999"}, 400),
        ({"name": ""}, 400),
        ({"text": "x" * 501}, 400),
        ({"text": "x" * LIMIT_BYTES}, 413),
    ],
)
def test_what_is_no_sign_of_life_is_refused(client: TestClient, change: dict[str, Any], status: int) -> None:
    """Nothing of it is kept, and the answer is an error in JSON."""
    answer = client.post("/api/v1/heartbeats", json=GOOD | change, headers=header())
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert jobs.heartbeats().all() == []


def test_who_may_not_is_refused(client: TestClient) -> None:
    """Without a token, with one that only reads, with one of another machine."""
    assert client.post("/api/v1/heartbeats", json=GOOD).status_code == 401
    reading = header(scope="read")
    assert client.post("/api/v1/heartbeats", json=GOOD, headers=reading).status_code == 403


def test_a_token_of_one_machine_speaks_for_it_alone(client: TestClient) -> None:
    """403 names the field."""
    answer = client.post("/api/v1/heartbeats", json=GOOD, headers=header(machine="f" * 12))
    assert answer.status_code == 403
    assert answer.json()["error"]["field"] == "machine"
