"""A real server in a process of its own, which a test can kill and start again on the same port."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from data.tokens import Tokens

__all__ = ["BoardServer", "free_port"]

ROOT = Path(__file__).resolve().parents[2]
_START_S = 600.0


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class BoardServer:
    """The board of one home: ``streamlit run app/main.py``."""

    def __init__(self, home: Path, *options: str, host: str = "127.0.0.1", **variables: str) -> None:
        """Choose a port; :meth:`start` starts it."""
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.host, self.port, self.options = home, host, free_port(), options
        self.variables = {"FLOPWATCH_HOME": str(home), **variables}
        self.log = home / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{self.host}:{self.port}"

    def token(self, name: str, **options: str) -> str:
        """Make a token for it."""
        return Tokens(self.home / "tokens.json").create(name, **options)[1]  # type: ignore[arg-type]

    def start(self) -> "BoardServer":
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py")]
        command += ["--server.port", str(self.port), *self.options]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOPWATCH_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=kept | self.variables, cwd=self.home, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/api/v1/health", timeout=60):
                    return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        self.kill()
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        """End it at once, as kill -9 or a power failure does."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> "BoardServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
