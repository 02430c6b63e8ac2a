"""GitHub Actions on a runner of one's own: a hosted one shares its machine and is no place to measure."""

import json

from runners.schedulers.base import File, Plan, Scheduler, shell, times

__all__ = ["GitHub"]

_WORKFLOW = """\
# One job of flopwatch on a machine of your own that is registered as a runner with the label flopwatch.
# The address of the board is the variable FLOPWATCH_URL of the repository, its token the secret FLOPWATCH_TOKEN.
name: flopwatch {name}

on:
  schedule:
    # in UTC; the job knows whether it is due, and catches up once on what was missed
    - cron: {times}
  workflow_dispatch:

permissions:
  contents: read

# One at a time; a running measurement is never cut.
concurrency:
  group: flopwatch
  cancel-in-progress: false

jobs:
  measure:
    runs-on: [self-hosted, flopwatch]
    timeout-minutes: 720
    env:
      FLOPWATCH_URL: ${{{{ vars.FLOPWATCH_URL }}}}
      FLOPWATCH_TOKEN: ${{{{ secrets.FLOPWATCH_TOKEN }}}}
{variables}    steps:
      # flopwatch is installed on the machine; nothing is updated here, so a step in a series has another cause.
      # 3: the machine was not fit or nothing was due to be measured; the next time tries again.
      - name: Measure
        run: {command} --into "$RUNNER_TEMP/flopwatch" || [ $? -eq 3 ]
      - name: Keep the run file
        if: always()
        uses: actions/upload-artifact@v4
        with:
          name: flopwatch-{name}
          path: ${{{{ runner.temp }}}}/flopwatch/*.run.jsonl
          if-no-files-found: ignore
"""


class GitHub(Scheduler):
    """A workflow in the repository."""

    name = "github"
    title = "GitHub Actions, on a self-hosted runner"

    def files(self, plan: Plan) -> list[File]:
        """Return the workflow."""
        text = _WORKFLOW.format(
            name=plan.name,
            times=json.dumps(times(plan)),
            command=shell(plan.words),
            variables="".join(f"      {key}: {json.dumps(value)}\n" for key, value in plan.variables.items()),
        )
        return [File(plan.repository / ".github" / "workflows" / f"flopwatch-{plan.name}.yml", text)]
