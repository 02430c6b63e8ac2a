"""Real clients and a real server in processes of their own, and between them a network that does its worst."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from data.index import Index
from data.ledger import open_ledger
from tests.app.board_server import BoardServer
from tests.app.hostile import HOSTILE, with_text
from tests.app.nasty_proxy import NastyProxy
from tests.app.test_browser import ARGUMENTS, CHROMIUM, WAIT_MS, needed
from tests.data.run_files import MACHINE, run_bytes, write_run
from tests.runners.conftest import FAKE_KERNELS

ROOT = Path(__file__).resolve().parents[2]
SOAK = pytest.mark.soak
#: What of a page came out of its text: links to scripts, pictures from elsewhere.
BREAKOUTS = """
Array.from(document.querySelectorAll("a[href^=javascript], img[src='x'], img[src^='http://x']"))
     .map(element => element.parentElement.outerHTML.slice(0, 500))
"""


def upload(home: Path, url: str, token: str, *arguments: object) -> subprocess.Popen[str]:
    """Start ``flopwatch upload`` with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    return subprocess.Popen(
        [sys.executable, "-m", "runners", "upload", *map(str, arguments), "--to", url],
        env=kept | {"FLOPWATCH_HOME": str(home), "FLOPWATCH_TOKEN": token},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def board(tmp_path: Path) -> Iterator[BoardServer]:
    """A running server with an empty home."""
    with BoardServer(tmp_path / "board") as server:
        yield server


@pytest.mark.parametrize(("clients", "files", "kills"), [(2, 5, 1), pytest.param(6, 25, 5, marks=SOAK)])
def test_every_run_arrives_exactly_once(
    board: BoardServer, tmp_path: Path, clients: int, files: int, kills: int
) -> None:
    """Delays, drops, stalls, cuts in both directions, and a server that is killed and started again."""
    proxy = NastyProxy(board.port, seed=int.from_bytes(os.urandom(4), "big"))
    sent: dict[str, int] = {}
    processes = []
    for client in range(clients):
        home = tmp_path / f"client {client}"
        for number in range(files):
            path = write_run(home / "runs" / f"{number}.run.jsonl", seed=client * files + number)
            sent[json.loads(path.read_bytes().split(b"\n")[0])["id"]] = client
        token = board.token(f"client {client}")
        processes.append(upload(home, f"http://127.0.0.1:{proxy.port}", token, "--patience", "5m"))
    for _ in range(kills):
        time.sleep(2.0)
        board.kill()
        board.start()
    for process in processes:
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, out + err
        assert "Traceback" not in err
    proxy.close()
    assert sum(proxy.fates.values()) > clients * files, proxy.fates
    board.__exit__()
    entries, _ = open_ledger(board.home / "ledger").follow()
    assert len(entries) == len(sent)
    with Index.open(board.home / "flopwatch.duckdb") as index:
        assert {row["run_id"] for row in index.query("SELECT run_id FROM runs")} == set(sent)
        assert index.query("SELECT count(*) AS n FROM entry") == [{"n": len(sent)}]
    for client in range(clients):
        outbox = tmp_path / f"client {client}" / "outbox"
        assert len(list(outbox.rglob("*.receipt.json"))) == files
        assert not list(outbox.rglob("*.gz"))


def test_a_killed_client_sends_the_rest_later(board: BoardServer, tmp_path: Path) -> None:
    """kill -9 of the client at some moment, as a reboot does: the next upload sends what has no receipt."""
    home, token = tmp_path / "client", board.token("client")
    for number in range(6):
        write_run(home / "runs" / f"{number}.run.jsonl", seed=number)
    first = upload(home, board.url, token)
    assert first.stdout is not None
    first.stdout.readline()  # the first receipt
    first.kill()
    first.communicate()
    second = upload(home, board.url, token, "--json")
    out, err = second.communicate(timeout=200)
    assert second.returncode == 0, err
    assert 1 <= len(json.loads(out)["sent"]) <= 5
    assert len(open_ledger(board.home / "ledger").follow()[0]) == 6
    assert len(list(home.rglob("*.receipt.json"))) == 6
    again = upload(home, board.url, token, "--json")
    assert json.loads(again.communicate(timeout=200)[0])["sent"] == []


def test_a_run_is_measured_and_sent(board: BoardServer, tmp_path: Path) -> None:
    """``run --upload``: with a wrong token the run waits in the outbox, and the next upload sends it."""
    home, token = tmp_path / "client", board.token("client")
    words = ["run", "--case", "fake/steady", "--backend", "numpy", "--threads", "1", "--upload", board.url]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    kept |= {"FLOPWATCH_HOME": str(home), "FLOPWATCH_KERNELS": str(FAKE_KERNELS), "PYTHONPATH": str(ROOT)}

    def run(shown: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "runners", *words],
            env=kept | {"FLOPWATCH_TOKEN": shown},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    nobody = run("")
    assert nobody.returncode == 2
    assert not list(home.rglob("*.run.jsonl"))  # said before measuring
    refused = run(token[:-1])
    assert refused.returncode == 5, refused.stderr
    assert "401" in refused.stderr
    assert "flopwatch upload --to" in refused.stderr
    done = run(token)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(": stored") == 2
    assert len(open_ledger(board.home / "ledger").follow()[0]) == 2


def _raw(port: int, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(text)
    return connection


def test_slow_loris_keeps_nobody_out(board: BoardServer, tmp_path: Path) -> None:
    """Hundreds of connections that never finish their header or body: an upload is answered all the same."""
    token, other = board.token("slow"), board.token("fast")
    head = f"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(_raw(board.port, head))
        held = [
            stack.enter_context(_raw(board.port, head + b"Content-Length: 9\r\n\r\nx")) for _ in range(40)
        ]
        deadline, answered = time.monotonic() + 30, []
        while len(answered) < len(held) - 16 and time.monotonic() < deadline:
            answered, _, _ = select.select(held, [], [], 1.0)
        assert len(answered) == len(held) - 16  # a token has so many places, whoever comes first
        assert all(b"503" in connection.recv(100) for connection in answered)
        client = upload(
            tmp_path / "c", board.url, other, write_run(tmp_path / "a.run.jsonl"), "--patience", "30s"
        )
        out, err = client.communicate(timeout=120)
        assert client.returncode == 0, out + err


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"X-%d: a\r\n" % n for n in range(20_000))
        + b"\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
        b"\x16\x03\x01\x02\x00 this is TLS",
    ],
    ids=["long", "many", "two-lengths", "negative-length", "null", "tls"],
)
def test_abuse_of_headers_is_refused(shared_board: BoardServer, request_bytes: bytes) -> None:
    """The server refuses the request and goes on."""
    with _raw(shared_board.port, b"") as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request_bytes)
        answer = b""
        with contextlib.suppress(OSError):
            answer = connection.recv(1000)
    assert not answer or b" 400 " in answer.split(b"\r\n")[0] or b" 431 " in answer.split(b"\r\n")[0]
    with urllib.request.urlopen(f"{shared_board.url}/api/v1/health", timeout=30) as health:
        assert health.status == 200


def test_a_request_in_a_request_is_one_request(shared_board: BoardServer) -> None:
    """Length and chunks together (request smuggling): what follows is not taken as another request."""
    smuggled = b"GET /api/v1/machines HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % (5 + len(smuggled))
    with _raw(
        shared_board.port, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    ) as connection:
        connection.settimeout(3)
        answer = b""
        with contextlib.suppress(OSError):
            while piece := connection.recv(4000):
                answer += piece
    assert b"200 OK" not in answer


@pytest.fixture(scope="module")
def shared_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardServer]:
    """One server for tests that leave nothing behind."""
    with BoardServer(tmp_path_factory.mktemp("shared")) as server:
        yield server


def test_a_refused_body_does_not_hide_the_answer(shared_board: BoardServer, tmp_path: Path) -> None:
    """Whoever sends megabytes with a wrong token learns that the token is wrong."""
    path = tmp_path / "large.run.jsonl"
    path.write_bytes(run_bytes(tmp_path, samples=20_000, processes=7, cells=20))
    assert path.stat().st_size > 20 << 20
    shared_board.token("another")
    client = upload(tmp_path / "c", shared_board.url, "fw_000000000000_" + "x" * 43, path)
    out, err = client.communicate(timeout=300)
    assert client.returncode == 5, out + err
    assert "401" in err
    assert "outbox" in err


def test_no_token_is_in_a_log_or_a_file(shared_board: BoardServer, tmp_path: Path) -> None:
    """Neither a right one nor a wrong one, nor its digest in what a client keeps."""
    token, wrong = shared_board.token("secret"), "fw_000000000000_" + "secretsecret" * 3 + "1234567"
    for text, status in ((token, 0), (wrong, 5)):
        client = upload(tmp_path / "c", shared_board.url, text, write_run(tmp_path / f"{status}.run.jsonl"))
        out, err = client.communicate(timeout=200)
        assert client.returncode == status, out + err
        assert text.rpartition("_")[2] not in out + err
    secrets = [text.rpartition("_")[2].encode() for text in (token, wrong)]
    for folder in (shared_board.home, tmp_path / "c"):
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not any(secret in content for secret in secrets), path


def test_a_fresh_server_listens_on_this_machine_only(shared_board: BoardServer) -> None:
    """Every other address of this machine refuses."""
    import psutil

    listening = {
        connection.laddr.ip
        for connection in psutil.Process(shared_board.process.pid).net_connections()  # type: ignore[union-attr]
        if connection.status == "LISTEN" and connection.laddr.port == shared_board.port
    }
    assert listening
    assert listening <= {"127.0.0.1", "::1"}


@pytest.mark.browser
def test_hostile_text_stays_text_in_a_browser(board: BoardServer, tmp_path: Path) -> None:
    """Every page of a board that was sent hostile text: no dialog, no request elsewhere, no link to a script."""
    needed(CHROMIUM, "no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    token = board.token("hostile")
    for number, text in enumerate(HOSTILE):
        machine = replace(MACHINE, id=f"{number:012x}")
        path = tmp_path / f"{number}.run.jsonl"
        path.write_bytes(with_text(run_bytes(tmp_path, seed=number, machine=machine), text))
        client = upload(tmp_path / "c", board.url, token, path)
        assert client.wait(timeout=200) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        dialogs, elsewhere = list[str](), list[str]()
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: elsewhere.append(request.url) if board.url[5:] not in request.url else None,
        )
        for name in ("", "throughput", "speedups", "run"):
            page.goto(f"{board.url}/{name}")
            page.locator("h1").first.wait_for()
            page.wait_for_timeout(2500)
            assert page.get_by_text("Traceback").count() == 0
            found = page.evaluate(BREAKOUTS)
            assert found == [], found
        browser.close()
    assert dialogs == []
    assert [url for url in elsewhere if not url.startswith(("data:", "blob:"))] == []
