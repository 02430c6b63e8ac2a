"""Slurm: one array of exclusive jobs for each node type; the run files are collected into one ledger."""

import shlex
import shutil
from pathlib import Path

from data.errors import BadInput
from runners.schedulers.base import Delete, File, NodeType, Plan, Run, Scheduler, Step, Write, times
from runners.schedulers.cron import block, table, with_block

__all__ = ["Slurm"]

_SCRIPT = r"""#!/usr/bin/env bash
# flopwatch on Slurm: an array of jobs for each node type, each alone on its node.
#
#   {script} submit    one array for each node type, then a job that collects
#   {script} follow    wait until all have ended, and say how
#   {script} collect   take all run files into the ledger (repeat as you like)
set -euo pipefail

# A folder that all nodes see: run files come here, and the logs of Slurm.
shared={shared}
# The program, at the same place on all nodes.
flopwatch=({program})
job=(job {options} --now --into "$shared/runs")
name=flopwatch-{name}
self={self}
{variables}
# partition, constraint and the like of each node type; the array has one element for each node to measure.
submit_all() {{
{submits}}}

submit() {{
    sbatch --parsable --job-name="$name" --comment="$1" --nodes=1 --exclusive --requeue \
        --time={limit} --signal=B:TERM@120 --output="$shared/logs/%x-%A_%a.log" "${{@:2}}" "$self" measure
}}

case "${{1:-}}" in
submit)
    mkdir -p "$shared/runs" "$shared/logs" "$shared/collected"
    ids=$(submit_all | cut -d';' -f1 | paste -sd:)
    # The collector runs when the last element has ended, however it ended.
    sbatch --parsable --job-name="$name-collect" --dependency="afterany:$ids" --ntasks=1 --time=30 \
        --output="$shared/logs/%x-%j.log" "$self" collect > /dev/null
    echo "submitted: ${{ids//:/ }}"
    ;;
measure)
    # State, scratch and compiled loops stay on the node; a shared file system would be measured otherwise.
    export FLOPWATCH_HOME="${{FLOPWATCH_NODE_HOME:-${{TMPDIR:-/var/tmp}}/flopwatch-$(id -un)}}"
    # Slurm sends TERM two minutes before the limit; what was measured is kept and completed by the next job.
    exec "${{flopwatch[@]}}" "${{job[@]}}"
    ;;
follow)
    while squeue --noheader --name="$name,$name-collect" --format='%i %P %t %M %R' | grep .; do sleep 10; done
    sacct --name="$name" --format=JobID,State,ExitCode,Elapsed,NodeList 2> /dev/null \
        || echo "all have ended; their logs are in $shared/logs"
    ;;
collect)
    shopt -s nullglob
    files=("$shared"/runs/*.run.jsonl)
    if [ ${{#files[@]}} -eq 0 ]; then
        echo "nothing to collect in $shared/runs"
        exit 0
    fi
    # What was taken in moves aside; what is refused stays and is named.
    "${{flopwatch[@]}}" import "${{files[@]}}"
    mv -- "${{files[@]}}" "$shared/collected/"
    ;;
*)
    grep '^#   ' "$0" >&2
    exit 2
    ;;
esac
"""

_OPTIONS = (
    "partition",
    "constraint",
    "gres",
    "account",
    "qos",
    "nodelist",
    "mem",
    "cpus-per-task",
    "reservation",
)


class Slurm(Scheduler):
    """A script that submits, measures, follows and collects; a table of cron rings."""

    name = "slurm"
    title = "Slurm, one array for each node type"

    def _path(self, plan: Plan) -> Path:
        if plan.shared is None:
            raise BadInput("Slurm needs --shared FOLDER, a folder that all nodes see")
        return plan.shared / f"flopwatch-{plan.name}.sh"

    def files(self, plan: Plan) -> list[File]:
        """Return the script."""
        path = self._path(plan)
        exports = {key: value for key, value in plan.variables.items() if key != "FLOPWATCH_HOME"}
        home = f"export FLOPWATCH_HOME={shlex.quote(str(plan.home))}\n"
        text = _SCRIPT.format(
            script=path.name,
            shared=shlex.quote(str(plan.shared)),
            program=shlex.join(plan.program),
            options=shlex.join(plan.options),
            name=plan.name,
            self=shlex.quote(str(path)),
            variables=home
            + "".join(f"export {key}={shlex.quote(value)}\n" for key, value in exports.items()),
            submits="".join(f"    {_submit(one)}\n" for one in plan.node_types),
            limit=720,
        )
        return [File(path, text, executable=True)]

    def _block(self, plan: Plan) -> str:
        return block(
            plan.name, f"#SCRON --time=5\n{times(plan)} {shlex.quote(str(self._path(plan)))} submit\n"
        )

    def install(self, plan: Plan) -> list[Step]:
        """Write the script, and ring it."""
        return [Write(self.files(plan)[0]), *self._ring(plan, self._block(plan))]

    def remove(self, plan: Plan) -> list[Step]:
        """Take the lines out of the table and remove the script."""
        return [*self._ring(plan, ""), Delete(self._path(plan))]

    @staticmethod
    def _ring(plan: Plan, new: str) -> list[Step]:
        program = _bell()
        held = table(program)
        wanted = with_block(held, plan.name, new)
        return [] if wanted == held else [Run((program, "-"), given=wanted)]

    def status(self, plan: Plan) -> list[Run]:
        """Ask what waits and runs."""
        return [Run((_bell(), "-l"), optional=True), Run(("squeue", "--me", "--long"), optional=True)]


def _bell() -> str:
    """Return the table that rings: Slurm's own where the cluster has it, else that of the machine one submits from."""
    return "scrontab" if shutil.which("scrontab") else "crontab"


def _submit(node_type: NodeType) -> str:
    """Return the line that submits the array of a node type; raises BadInput for what Slurm is not asked."""
    wants = dict(node_type.wants)
    count = wants.pop("count", "1")
    unknown = [key for key in wants if key not in _OPTIONS]
    if unknown or not count.isdecimal() or not 1 <= int(count) <= 1_000_000:
        raise BadInput(
            f"--node-type {node_type.name}: {unknown[0] if unknown else f'count={count}'} is not possible; "
            f"possible are count=N, {', '.join(f'{key}=…' for key in _OPTIONS)}"
        )
    words = [f"--{key}={value}" for key, value in wants.items()]
    return shlex.join(["submit", node_type.name, f"--array=0-{int(count) - 1}", *words])
