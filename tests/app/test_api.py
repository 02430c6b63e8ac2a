"""The HTTP interface: JSON in every case, and what the health says is true."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import reading
from data.index import Index


@pytest.fixture(scope="module")
def server() -> Any:
    """The application; Streamlit allows one in a process."""
    from app.main import app

    return app


@pytest.fixture
def client(home: Path) -> TestClient:
    """A client of the routes alone, on an empty home; the lifespan is the browser test's business."""
    from starlette.applications import Starlette

    from app import api

    assert home.name == "home"
    return TestClient(Starlette(routes=list(api.routes())))


def test_health_tells_the_state_of_the_index(client: TestClient) -> None:
    """Health is 200 with the version, who owns the index, and its generation."""
    answer = client.get("/api/v1/health")
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "ok"
    assert told["index"] == "owner"
    assert told["generation"] == reading.generation()
    assert told["version"]


def test_health_knows_that_another_process_owns(client: TestClient) -> None:
    """While another process owns the index, health says that this one reads."""
    with Index.open():
        assert client.get("/api/v1/health").json()["index"] == "reader"


def test_health_is_not_ready_without_an_index(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no index can be had, health is 503, says why, and when to ask again."""
    home.write_text("a file where the folder should be")
    monkeypatch.setattr(reading, "WAIT_S", 0.2)
    answer = client.get("/api/v1/health")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert str(home) in answer.json()["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v1/helth", "/api/v2/runs", "/api/%2e%2e/x"]
)
def test_what_is_not_there_is_a_json_404(client: TestClient, method: str, path: str) -> None:
    """Any other path under /api answers every method with 404 and an error in JSON, never with a page."""
    answer = client.request(method, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()["error"]) == {"code", "message", "line", "field"}
    assert answer.json()["error"]["code"] == "not-found"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_is_405(client: TestClient, method: str) -> None:
    """A path that is there answers a method that it has not with 405 and those that it has."""
    answer = client.request(method, "/api/v1/health")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json()["error"]["code"] == "method-not-allowed"


def test_head_is_get_without_a_body(client: TestClient) -> None:
    """HEAD answers as GET does."""
    assert client.head("/api/v1/health").status_code == 200


def test_the_server_holds_the_index_while_it_runs(home: Path, server: Any) -> None:
    """The application's lifespan opens the index as its owner, and lets go of it in the end."""
    with TestClient(server) as client:
        assert client.get("/api/v1/health").json()["index"] == "owner"
        assert client.get("/api/nothing").status_code == 404
        assert client.get("/throughput").headers["content-type"].startswith("text/html")
    with Index.open() as index:
        assert index.owned
    assert (home / "flopwatch.duckdb").is_file()
