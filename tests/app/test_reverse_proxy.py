"""The documented configuration in a real nginx: TLS, path prefix, size of bodies, pages and their WebSocket."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.app.board_server import BoardServer, free_port
from tests.app.test_browser import ARGUMENTS, CHROMIUM, WAIT_MS, needed
from tests.data.run_files import write_run

ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


class Front:
    """nginx with the documented configuration in front of a board; ``authority`` is a file."""

    def __init__(self, folder: Path, board: BoardServer) -> None:
        self.folder, self.board, self.port = folder, board, free_port()
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        text = (ROOT / "docs" / "nginx.conf").read_text("utf-8")
        for old, new in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("server_name bench.example.org;", "server_name localhost;"),
            ("/etc/ssl/certs/bench.example.org.pem", str(folder / "server.pem")),
            ("/etc/ssl/private/bench.example.org.key", str(folder / "server.pem")),
            ("127.0.0.1:8501", f"127.0.0.1:{board.port}"),
        ):
            assert old in text
            text = text.replace(old, new)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
            f"events {{}}\nhttp {{ access_log {folder}/access.log;\n{temporary}{text}\n}}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The board as others see it."""
        return f"https://localhost:{self.port}/bench"

    def __enter__(self) -> "Front":
        assert NGINX
        self.process = subprocess.Popen([NGINX, "-c", self.folder / "nginx.conf", "-p", self.folder])
        for _ in range(200):
            try:
                httpx.get(f"{self.url}/api/v1/health", verify=self.context()).raise_for_status()
                return self
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "error.log").read_text())

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)

    def context(self) -> Any:
        """What trusts its certificate."""
        import ssl

        return ssl.create_default_context(cafile=str(self.authority))


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A board under the prefix /bench behind nginx."""
    needed(NGINX, "no nginx: apt-get install nginx")
    folder = tmp_path_factory.mktemp("front")
    folder.chmod(0o755)
    with (
        BoardServer(tmp_path_factory.mktemp("board"), STREAMLIT_SERVER_BASE_URL_PATH="bench") as board,
        Front(folder, board) as opened,
    ):
        yield opened


def upload(front: Front, home: Path, token: str, *arguments: object, **variables: str) -> Any:
    """Send through nginx as people do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
    return subprocess.run(
        [sys.executable, "-m", "runners", "upload", *map(str, arguments), "--to", front.url],
        env=kept
        | {"FLOPWATCH_HOME": str(home), "FLOPWATCH_TOKEN": token, "SSL_CERT_FILE": str(front.authority)}
        | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_upload_through_nginx_is_stored(front: Front, tmp_path: Path) -> None:
    """TLS with an authority of its own, the prefix, and the JSON of errors."""
    token = front.board.token("through nginx")
    done = upload(front, tmp_path / "c", token, write_run(tmp_path / "a.run.jsonl"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 sent" in done.stdout
    refused = upload(front, tmp_path / "c", token[:-1], write_run(tmp_path / "b.run.jsonl"))
    assert refused.returncode == 5
    assert "401" in refused.stderr
    answer = httpx.get(f"{front.url}/api/nothing", verify=front.context())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not-found")


def test_an_unknown_authority_is_not_trusted(front: Front, tmp_path: Path) -> None:
    """At once and in words: waiting makes no certificate better."""
    token = front.board.token("suspicious")
    started = time.monotonic()
    done = upload(
        front,
        tmp_path / "c",
        token,
        write_run(tmp_path / "a.run.jsonl"),
        "--patience",
        "1h",
        SSL_CERT_FILE="",
    )
    assert done.returncode == 5
    assert "is not trusted" in done.stderr
    assert "trying again" not in done.stderr
    assert time.monotonic() - started < 300


def test_what_is_too_large_is_told_in_json(front: Front) -> None:
    """The board's own limit comes before the proxy's."""
    token = front.board.token("large")
    answer = httpx.post(
        f"{front.url}/api/v1/runs",
        content=b"\0" * (33 << 20),
        headers={"Authorization": f"Bearer {token}"},
        verify=front.context(),
        timeout=120,
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too-large"


def test_the_proxy_ends_a_header_that_never_ends() -> None:
    """What the board itself cannot do is in the configuration."""
    text = (ROOT / "docs" / "nginx.conf").read_text("utf-8")
    assert re.search(r"client_header_timeout \d+s;", text)


@pytest.mark.browser
def test_pages_work_through_nginx(front: Front) -> None:
    """A browser sees the page under the prefix: scripts, styles and the WebSocket come through."""
    needed(CHROMIUM, "no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{front.url}/")
        page.get_by_role("heading", name="Overview").wait_for()
        assert page.url.startswith(front.url)
        browser.close()
