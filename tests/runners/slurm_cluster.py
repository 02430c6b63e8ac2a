"""A Slurm cluster of one machine, from Debian's packages, in a folder of its own, on loopback only."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["missing", "running"]

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
_CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=300
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Feature=loopback State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return what this machine lacks for a cluster, or nothing."""
    absent = [name for name in _PROGRAMS if _find(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "a Slurm node is run by root"


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster; yield the variables that its commands need.  ``folder`` must be short: sockets lie in it."""
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=host, folder=folder, cpus=os.cpu_count(), port=_free_port(), node_port=_free_port()
        )
    )
    variables = {"SLURM_CONF": str(configuration)}
    environment = os.environ | variables
    munge = [
        *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"),
        *(
            f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log",
            f"--seed-file={folder}/munge.seed",
        ),
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for words in (munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", host]):
            program = _find(words[0])
            assert program is not None
            with (folder / f"{words[0]}.out").open("wb") as out:
                started.append(
                    subprocess.Popen([program, *words[1:]], env=environment, stdout=out, stderr=out)
                )
            if words is munge:
                _wait(lambda: (folder / "munge.socket").exists(), started[-1], folder)
        _wait(lambda: _is_idle(environment), started[-1], folder)
        yield variables
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_idle(environment: dict[str, str]) -> bool:
    told = subprocess.run(
        ["sinfo", "--noheader", "--format=%t"], env=environment, capture_output=True, text=True, check=False
    )
    return "idle" in told.stdout


def _wait(condition, process: subprocess.Popen[bytes], folder: Path, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            logs = "\n".join(
                path.read_text(errors="replace")[-2000:]
                for path in sorted(folder.glob("*.*"))
                if path.suffix in (".log", ".out")
            )
            raise AssertionError(f"the cluster does not come up: {logs}")
        time.sleep(0.2)
