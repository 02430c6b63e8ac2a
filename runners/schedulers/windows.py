"""Windows Task Scheduler."""

import subprocess
from xml.sax.saxutils import escape

from runners.schedulers.base import Delete, File, Plan, Run, Scheduler, Step, Write

__all__ = ["Windows"]

_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<!-- One job of flopwatch.  Its own log: {log} -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>flopwatch job {name}</Description>
    <URI>\\flopwatch\\{name}</URI>
  </RegistrationInfo>
  <Triggers>
    <!-- Rings every hour; the job knows whether it is due. -->
    <CalendarTrigger>
      <Repetition>
        <Interval>PT1H</Interval>
        <Duration>P1D</Duration>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <StartBoundary>2026-01-01T00:{minute:02d}:00</StartBoundary>
      <Enabled>true</Enabled>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <!-- Also while nobody is logged in, without a stored password. -->
      <LogonType>S4U</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <!-- The job itself looks at battery, heat and load. -->
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT23H</ExecutionTimeLimit>
    <!-- 7, the usual priority, is below normal: it would falsify each number. -->
    <Priority>5</Priority>
    <Enabled>true</Enabled>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


class Windows(Scheduler):
    """A task of the user."""

    name = "windows"
    title = "Windows Task Scheduler"

    def files(self, plan: Plan) -> list[File]:
        """Return the task; its variables are set by cmd, since a task has none."""
        words = plan.words
        if plan.variables:
            settings = "".join(f'set "{key}={value}"&& ' for key, value in plan.variables.items())
            command, arguments = "cmd.exe", f'/d /s /c "{settings}{subprocess.list2cmdline(words)}"'
        else:
            command, arguments = words[0], subprocess.list2cmdline(words[1:])
        text = _TASK.format(
            name=escape(plan.name),
            minute=plan.minute,
            command=escape(command),
            arguments=escape(arguments),
            log=escape(str(plan.home / "jobs" / "job.log")).replace("--", "—"),
        )
        return [File(plan.home / "schedules" / f"{plan.name}.xml", text, encoding="utf-16")]

    def install(self, plan: Plan) -> list[Step]:
        """Write the task and register it, in the place of an older one."""
        file = self.files(plan)[0]
        task = f"\\flopwatch\\{plan.name}"
        return [Write(file), Run(("schtasks", "/Create", "/TN", task, "/XML", str(file.path), "/F"))]

    def remove(self, plan: Plan) -> list[Step]:
        """Remove the task and its file."""
        task = f"\\flopwatch\\{plan.name}"
        return [
            Run(("schtasks", "/Delete", "/TN", task, "/F"), optional=True),
            Delete(self.files(plan)[0].path),
        ]

    def status(self, plan: Plan) -> list[Run]:
        """Ask when it runs next, and how it ended last."""
        return [
            Run(
                ("schtasks", "/Query", "/TN", f"\\flopwatch\\{plan.name}", "/V", "/FO", "LIST"), optional=True
            )
        ]
