"""cron, and a table like it: a block of lines between two marks, everything else in the table is left alone."""

import os
import shutil
import subprocess
from pathlib import Path

from data.errors import BadInput
from runners.schedulers.base import File, Plan, Run, Scheduler, Step, shell

__all__ = ["Cron", "block", "table", "with_block"]


def block(name: str, lines: str) -> str:
    """Return lines between the marks of a job."""
    return f"# >>> flopwatch {name}: made by flopwatch schedule, which also removes it\n{lines}# <<< flopwatch {name}\n"


def with_block(held: str, name: str, new: str) -> str:
    """Return a table with the block of a job replaced by ``new``, which may be empty; raises BadInput."""
    kept, inside = [], False
    for line in held.splitlines(keepends=True):
        if line.startswith(f"# >>> flopwatch {name}:"):
            inside = True
        elif line.strip() == f"# <<< flopwatch {name}":
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise BadInput(f"the table has a begin of flopwatch {name} and no end; mend it with its editor first")
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    return "".join(kept) + new


def table(program: str) -> str:
    """Return the user's table as ``crontab`` or ``scrontab`` tell it; raises BadInput where the program is missing."""
    found = shutil.which(program)
    if found is None:
        raise BadInput(f"{program} is not here, so this scheduler cannot be used on this machine")
    told = subprocess.run([found, "-l"], capture_output=True, text=True, check=False, timeout=60)
    if told.returncode == 0:
        return told.stdout
    if "no crontab" in told.stderr.lower():
        return ""
    raise BadInput(f"{program} -l failed: {' '.join(told.stderr.split())}")


_LINES = """\
# Rings every hour; the job knows whether it is due, so what was missed is caught up within the hour.
# What happens is in {log}
{minute} * * * * {command} >/dev/null 2>&1
"""


class Cron(Scheduler):
    """A line in the user's table; no root is needed."""

    name = "cron"
    title = "cron"

    def _block(self, plan: Plan) -> str:
        settings = [f"{key}={value}" for key, value in plan.variables.items()]
        command = shell(["env", *settings, *plan.words] if settings else plan.words)
        lines = _LINES.format(
            minute=plan.minute, command=command.replace("%", "\\%"), log=plan.home / "jobs" / "job.log"
        )
        return block(plan.name, lines)

    def files(self, plan: Plan) -> list[File]:
        """Return the lines for the table."""
        return [File(Path(f"crontab of {os.environ.get('USER') or 'the user'}"), self._block(plan))]

    def install(self, plan: Plan) -> list[Step]:
        """Put the lines into the table."""
        return self._replace(plan, self._block(plan))

    def remove(self, plan: Plan) -> list[Step]:
        """Take them out of it."""
        return self._replace(plan, "")

    @staticmethod
    def _replace(plan: Plan, new: str) -> list[Step]:
        held = table("crontab")
        wanted = with_block(held, plan.name, new)
        return [] if wanted == held else [Run(("crontab", "-"), given=wanted)]

    def status(self, plan: Plan) -> list[Run]:
        """Show the table."""
        del plan
        return [Run(("crontab", "-l"), optional=True)]
