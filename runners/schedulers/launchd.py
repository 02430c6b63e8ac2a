"""launchd: macOS."""

import os
from pathlib import Path
from xml.sax.saxutils import escape

from runners.schedulers.base import Delete, File, Plan, Run, Scheduler, Step, Write

__all__ = ["Launchd"]

_PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- One job of flopwatch.  Its own log: {log} -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{label}</string>
    <key>ProgramArguments</key>
    <array>
{words}    </array>
    <key>EnvironmentVariables</key>
    <dict>
{variables}    </dict>
    <!-- Rings every hour, and once after a sleep; the job knows whether it is due. -->
    <key>StartCalendarInterval</key>
    <dict>
        <key>Minute</key>
        <integer>{minute}</integer>
    </dict>
    <!-- Background, the usual type, is slowed down and kept on the efficiency cores: it would falsify each number. -->
    <key>ProcessType</key>
    <string>Interactive</string>
    <!-- A stopped job keeps what it measured; the next one completes it. -->
    <key>ExitTimeOut</key>
    <integer>90</integer>
</dict>
</plist>
"""


class Launchd(Scheduler):
    """An agent of the user."""

    name = "launchd"
    title = "launchd agent (macOS)"

    @staticmethod
    def _label(plan: Plan) -> str:
        return f"org.flopwatch.{plan.name}"

    def files(self, plan: Plan) -> list[File]:
        """Return the property list."""
        path = Path.home() / "Library" / "LaunchAgents" / f"{self._label(plan)}.plist"
        variables = "".join(
            f"        <key>{escape(key)}</key>\n        <string>{escape(value)}</string>\n"
            for key, value in plan.variables.items()
        )
        text = _PLIST.format(
            label=self._label(plan),
            words="".join(f"        <string>{escape(word)}</string>\n" for word in plan.words),
            variables=variables,
            minute=plan.minute,
            log=escape(str(plan.home / "jobs" / "job.log")).replace("--", "—"),
        )
        return [File(path, text)]

    def _domain(self) -> str:
        return f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"

    def install(self, plan: Plan) -> list[Step]:
        """Write the property list and load it anew."""
        path = self.files(plan)[0].path
        return [
            Write(self.files(plan)[0]),
            Run(("launchctl", "bootout", f"{self._domain()}/{self._label(plan)}"), optional=True),
            Run(("launchctl", "bootstrap", self._domain(), str(path))),
        ]

    def remove(self, plan: Plan) -> list[Step]:
        """Unload the agent and remove its file."""
        return [
            Run(("launchctl", "bootout", f"{self._domain()}/{self._label(plan)}"), optional=True),
            Delete(self.files(plan)[0].path),
        ]

    def status(self, plan: Plan) -> list[Run]:
        """Ask what launchd knows of it."""
        return [Run(("launchctl", "print", f"{self._domain()}/{self._label(plan)}"), optional=True)]
