"""A real PostgreSQL server on loopback for the length of a test session, from the system's packages."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

__all__ = ["PostgresServer", "find_binaries"]


def find_binaries() -> Path | None:
    """Return the folder of the server's programs, or None."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which("postgres")
    return next(
        (place for place in places if (place / "postgres").exists()), Path(found).parent if found else None
    )


class PostgresServer:
    """Starts as a user that is not root, listens on 127.0.0.1 only, and keeps its data in a folder of its own."""

    def __init__(self, binaries: Path, within: Path | None = None) -> None:
        """Make the data folder, ``within`` another one if given; :meth:`start` starts the server."""
        self._binaries = binaries
        self._user = "postgres" if os.getuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="flopwatch-postgres-", dir=within))
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._call("initdb", "--auth=trust", "--username=flopwatch", "--no-instructions", "-D", self._data)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            user=self._user,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

    def address(self, database: str = "postgres") -> str:
        """Return the address of a database of this server."""
        return f"postgresql://flopwatch@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._data, *options],
            user=self._user, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._call("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1")
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")

    @property
    def running(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def kill(self) -> None:
        """End the server and all its helpers at once, without any warning."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def create_database(self, name: str) -> str:
        """Make an empty database and return its address."""
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "flopwatch", name)
        return self.address(name)

    def remove(self) -> None:
        """Kill the server and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
