"""The client of a board: what it tries again and how, what ends at once, and what is never shown."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import tenacity
import trustme
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput, NotStored
from runners.board import Board, Refused, Unusable, board_address

SHA = "ab" * 32
RECEIPT = {"run": "r", "sha256": SHA, "measurements": 1, "received": "now", "notes": []}


class Script:
    """A server that gives prepared answers in turn: (status, headers, body); the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                script.requests.append((dict(self.headers), body))
                status, headers, answer = script.answers[0]
                if len(script.answers) > 1:
                    script.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self.answers = list(answers)


@pytest.fixture
def script() -> Iterator[Script]:
    """A scripted server."""
    opened = Script()
    yield opened
    opened.server.shutdown()


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without making them."""
    pauses: list[float] = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", pauses.append)
    return pauses


def send(url: str, patience_s: float = 600.0, **options: Any) -> tuple[dict[str, Any], bool]:
    with Board(url, "fw_token", patience_s=patience_s, **options) as board:
        return board.send(gzip.compress(b"hello"), SHA)


OK = (201, {}, json.dumps(RECEIPT).encode())


def test_a_receipt_is_returned(script: Script) -> None:
    """The packed file goes as it is, with the token in its header."""
    script.says(OK)
    assert send(script.url) == (RECEIPT, True)
    ((headers, body),) = script.requests
    assert headers["Authorization"] == "Bearer fw_token"
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == b"hello"
    script.says((200, {}, OK[2]))
    assert send(script.url) == (RECEIPT, False)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_what_may_pass_is_tried_again(script: Script, slept: list[float], status: int) -> None:
    """Until there is a receipt; each pause at most twice as long as the longest possible one before."""
    script.says(*[(status, {}, b"<html>busy</html>")] * 4, OK)
    told: list[str] = []
    assert send(script.url, remark=told.append)[1]
    assert len(script.requests) == 5
    assert len(slept) == 4 == len(told)
    assert all(0 <= pause <= 2**number for number, pause in enumerate(slept))
    assert all(str(status) in text and "trying again" in text for text in told)


def test_what_the_board_asks_for_goes_before(script: Script, slept: list[float]) -> None:
    """Retry-After is waited for, and a little more at random; a date or nonsense is as if nothing was said."""
    script.says((503, {"Retry-After": "40"}, b""), (429, {"Retry-After": "soon"}, b""), OK)
    send(script.url)
    assert 40 <= slept[0] <= 45
    assert slept[1] <= 2


def test_pauses_differ(script: Script, slept: list[float]) -> None:
    """Many machines do not come back in the same moment."""
    script.says(*[(503, {}, b"")] * 12, OK)
    send(script.url)
    assert len({round(pause, 6) for pause in slept}) == len(slept) == 12
    assert max(slept) <= 60


def test_patience_ends(script: Script, slept: list[float]) -> None:
    """When the next pause would go beyond it."""
    script.says((503, {"Retry-After": "3600"}, b'{"error": {"message": "out for lunch"}}'))
    with pytest.raises(NotStored, match="out for lunch"):
        send(script.url, patience_s=600.0)
    assert len(script.requests) == 1
    assert slept == []


@pytest.mark.parametrize("status", [400, 409, 413, 415])
def test_a_file_that_is_not_wanted_is_not_sent_again(script: Script, status: int) -> None:
    script.says((status, {}, b'{"error": {"code": "x", "message": "line 3: no", "line": 3, "field": null}}'))
    with pytest.raises(Refused, match="line 3: no"):
        send(script.url)
    assert len(script.requests) == 1


def test_a_run_of_another_machine_is_the_files_fault_and_a_scope_is_not(script: Script) -> None:
    script.says((403, {}, b'{"error": {"message": "other machine", "field": "machine.id"}}'))
    with pytest.raises(Refused, match="other machine"):
        send(script.url)
    script.says((403, {}, b'{"error": {"message": "scope", "field": null}}'))
    with pytest.raises(Unusable, match="scope"):
        send(script.url)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, {}, b'{"error": {"message": "the token is revoked"}}'), "revoked"),
        ((404, {}, b"<html>nothing here</html>"), "404"),
        ((405, {}, b""), "405"),
        ((301, {"Location": "https://elsewhere.example/"}, b""), "redirects to https://elsewhere.example/"),
        ((200, {}, b"<html>Welcome to this hotel's network</html>"), "without a receipt"),
        ((201, {}, json.dumps(RECEIPT | {"sha256": "cd" * 32}).encode()), "without a receipt"),
        ((200, {}, b"[1]"), "without a receipt"),
    ],
)
def test_what_waiting_cannot_mend_ends_at_once(script: Script, answer: Any, message: str) -> None:
    """A wrong token, an address that is no board, a redirection, a page of a hotel; never with the token in it."""
    script.says(answer)
    with pytest.raises(Unusable, match=message) as caught:
        send(script.url)
    assert len(script.requests) == 1
    assert "fw_token" not in str(caught.value)


def test_nobody_there_is_tried_again(slept: list[float]) -> None:
    with pytest.raises(NotStored, match="cannot be reached"):
        send("http://127.0.0.1:1", patience_s=1.5)
    assert len(slept) >= 1


def test_a_certificate_of_nobody_ends_at_once(script: Script, slept: list[float]) -> None:
    """TLS is verified, and the message says what to do."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    script.server.socket = context.wrap_socket(script.server.socket, server_side=True)
    with pytest.raises(Unusable, match="SSL_CERT_FILE"):
        send(script.url.replace("http:", "https:"))
    assert slept == []


def test_a_proxy_of_the_environment_is_used(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request for another host arrives at the proxy."""
    monkeypatch.setenv("HTTP_PROXY", script.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    script.says(OK)
    assert send("http://bench.invalid") == (RECEIPT, True)
    assert script.requests[0][0]["Host"] == "bench.invalid"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://bench.example.org", "https://bench.example.org"),
        (" https://bench.example.org/ ", "https://bench.example.org"),
        ("https://bench.example.org:8443/bench/api/v1/runs", "https://bench.example.org:8443/bench"),
        ("http://localhost:8501/", "http://localhost:8501"),
        ("http://[::1]:8501", "http://[::1]:8501"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert board_address(text) == address
    assert board_address(address) == address


@pytest.mark.parametrize(
    "text",
    ["", "bench.example.org", "ftp://x", "https://", "https://u:p@x", "https://x?y", "https://x:99999", "http://x",
     "https://x#y", "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(BadInput):
        board_address(text)


def test_plain_is_allowed_where_it_is_wanted() -> None:
    assert board_address("http://lab:8501", plain=True) == "http://lab:8501"


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = board_address(text)
    except BadInput:
        return
    assert address.startswith(("http://", "https://"))


@pytest.mark.parametrize("token", ["", "with space", "ümlaut", "new\nline"])
def test_what_cannot_be_a_token_is_said_without_showing_it(token: str) -> None:
    with pytest.raises(BadInput) as caught:
        Board("https://x", token, patience_s=1.0)
    assert not token or token not in str(caught.value)
