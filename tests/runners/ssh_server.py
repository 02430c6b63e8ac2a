"""An SSH server on loopback with keys of its own; nothing of the user's own configuration is read or written."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["missing", "running"]


def missing() -> str:
    """Return what this machine lacks, or nothing."""
    absent = [name for name in ("sshd", "ssh", "ssh-keygen") if _find(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run a server; yield the options with which ssh reaches it as the present user."""
    server = _find("sshd")
    assert server is not None
    for name in ("host", "client"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=60
        )
    (folder / "client.pub").rename(folder / "authorized")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    configuration = folder / "sshd_config"
    configuration.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/sshd.pid\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\nAcceptEnv FLOPWATCH_*\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([server, "-D", "-e", "-f", str(configuration)], stdout=log, stderr=log)
    try:
        _wait(process, port, folder / "sshd.log")
        yield " ".join(
            [
                *("-F", "none", "-p", str(port), "-i", str(folder / "client"), "-o", "IdentitiesOnly=yes"),
                *("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={folder}/known"),
                *("-o", "SendEnv=FLOPWATCH_KERNELS", "-l", pwd.getpwuid(os.geteuid()).pw_name),
            ]
        )
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"the server does not come up: {log.read_text(errors='replace')}")
