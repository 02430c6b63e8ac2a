"""Schedulers that exist, each in one file: the files that it wants, and how they are put in place and taken back."""

from runners.schedulers.base import Scheduler
from runners.schedulers.cron import Cron
from runners.schedulers.github import GitHub
from runners.schedulers.kubernetes import Kubernetes
from runners.schedulers.launchd import Launchd
from runners.schedulers.slurm import Slurm
from runners.schedulers.systemd import Systemd
from runners.schedulers.windows import Windows

__all__ = ["SCHEDULERS"]

#: name → scheduler, in the order of the help
SCHEDULERS: dict[str, Scheduler] = {
    one.name: one for one in (Systemd(), Cron(), Launchd(), Windows(), GitHub(), Slurm(), Kubernetes())
}
