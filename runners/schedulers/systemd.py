"""systemd user timers: the default on Linux."""

import os
from pathlib import Path

from runners.schedulers.base import Delete, File, Plan, Run, Scheduler, Step, Write

__all__ = ["Systemd"]

_SERVICE = """\
# One job of flopwatch.  The timer of the same name starts it every hour; the job knows whether it is due.
# Its own log: {log}; here: journalctl --user --unit {unit}

[Unit]
Description=flopwatch job {name}

[Service]
Type=oneshot
ExecStart={command}
{variables}# FLOPWATCH_URL=… and FLOPWATCH_TOKEN=…, address and token of the board; let only yourself read it (0600).
EnvironmentFile=-%h/.config/flopwatch/environment
# A stopped job keeps what it measured; the next one completes it.
KillMode=mixed
TimeoutStopSec=90
# 3: the machine was not fit, such as on battery; the next hour tries again.
SuccessExitStatus=3
"""

_TIMER = """\
# Rings every hour, so that a job that was missed is caught up within the hour after the machine is back.

[Unit]
Description=flopwatch job {name}, hourly bell

[Timer]
OnCalendar=*-*-* *:{minute:02d}:00
AccuracySec=1min

[Install]
WantedBy=timers.target
"""


class Systemd(Scheduler):
    """A service and a timer of the user's own manager; no root is needed."""

    name = "systemd"
    title = "systemd user timer (Linux)"

    def files(self, plan: Plan) -> list[File]:
        """Return the service and the timer."""
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
        unit = f"flopwatch-{plan.name}"
        variables = "".join(
            f"Environment={_quoted(f'{key}={value}')}\n" for key, value in plan.variables.items()
        )
        service = _SERVICE.format(
            name=plan.name,
            unit=unit,
            command=" ".join(map(_command_word, plan.words)),
            variables=variables,
            log=str(plan.home / "jobs" / "job.log"),
        )
        timer = _TIMER.format(name=plan.name, minute=plan.minute)
        return [File(folder / f"{unit}.service", service), File(folder / f"{unit}.timer", timer)]

    def install(self, plan: Plan) -> list[Step]:
        """Write the units and start the timer, also while nobody is logged in."""
        return [
            *(Write(file) for file in self.files(plan)),
            Run(("systemctl", "--user", "daemon-reload")),
            Run(("systemctl", "--user", "enable", "--now", f"flopwatch-{plan.name}.timer")),
            Run(("loginctl", "enable-linger"), optional=True),
        ]

    def remove(self, plan: Plan) -> list[Step]:
        """Stop the timer and remove the units."""
        return [
            Run(("systemctl", "--user", "disable", "--now", f"flopwatch-{plan.name}.timer"), optional=True),
            *(Delete(file.path) for file in self.files(plan)),
            Run(("systemctl", "--user", "daemon-reload"), optional=True),
        ]

    def status(self, plan: Plan) -> list[Run]:
        """Ask when the timer rings next, and how the last job ended."""
        unit = f"flopwatch-{plan.name}"
        return [
            Run(
                ("systemctl", "--user", "list-timers", "--all", "--no-pager", f"{unit}.timer"), optional=True
            ),
            Run(
                ("systemctl", "--user", "show", "-p", "Result,ExecMainStatus", f"{unit}.service"),
                optional=True,
            ),
        ]


def _quoted(word: str) -> str:
    """Return a word as a unit file reads it: per cent signs are specifiers there."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _command_word(word: str) -> str:
    """Return a word of a command line: dollars name variables there."""
    word = word.replace("$", "$$")
    plain = word and all(letter.isalnum() or letter in "/._-=:,+@" for letter in word)
    return word if plain else _quoted(word)
