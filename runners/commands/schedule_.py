"""``flopwatch schedule``."""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runners.schedulers.base import NodeType, Plan, Run, Scheduler

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch schedule print systemd --every 24h --at 03:17 --profile standard
  flopwatch schedule install cron --every 6h --upload https://bench.example.org --token-file ~/.config/flopwatch/token
  flopwatch schedule status systemd
  flopwatch schedule remove cron --name nightly
  flopwatch schedule print slurm --shared /shared/flopwatch --node-type zen4:partition=cpu,constraint=zen4,count=4 \\
      --node-type h100:partition=gpu,constraint=h100,gres=gpu:1 --profile standard
  flopwatch schedule print kubernetes --image registry.example.org/flopwatch:runner --claim flopwatch \\
      --node-type gpu:gpu=1,cpu=8,accelerator=h100 --every 24h --at 02:00

All options of flopwatch job can be given; without --every, a job is due each 24h.  No token is ever written: name a
file with --token-file, or set FLOPWATCH_TOKEN where the scheduler keeps its secrets.

schedulers:
"""

#: Settings of this shell that a job needs as well; a token is none of them.
_VARIABLES = ("FLOPWATCH_HOME", "FLOPWATCH_DB", "FLOPWATCH_LEDGER", "FLOPWATCH_MACHINE", "FLOPWATCH_KERNELS")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from runners.schedulers import SCHEDULERS

    parser.epilog = _EPILOG + "".join(f"  {name:11} {one.title}\n" for name, one in SCHEDULERS.items())
    parser.usage = (
        "flopwatch schedule print|install|status|remove SCHEDULER [options] [options of flopwatch job]"
    )
    usual = {"darwin": "launchd", "win32": "windows"}.get(sys.platform, "systemd")
    add = parser.add_argument
    add("action", choices=["print", "install", "status", "remove"], help="what to do")
    add("scheduler", nargs="?", default=usual, metavar="SCHEDULER", help=f"which (here: {usual})")
    add("--dry-run", action="store_true", help="say what install or remove would do, and do nothing")
    add("--json", action="store_true", help="print the status as JSON")
    add(
        "--node-type",
        action="append",
        default=[],
        type=_node_type,
        metavar="NAME:KEY=VALUE,…",
        help="a kind of node of a cluster; repeat it (count=N: so many nodes)",
    )
    add("--shared", type=Path, metavar="FOLDER", help="Slurm: a folder that all nodes see")
    add("--image", default="flopwatch:runner", metavar="IMAGE", help="Kubernetes: the image of the runner")
    add("--claim", type=_name, metavar="NAME", help="Kubernetes: the volume claim that keeps the home")
    add(
        "--directory",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="GitHub: the repository; Kubernetes: where the manifest goes (default: here)",
    )
    parser.set_defaults(job=())
    group = parser.add_argument_group("options of flopwatch job")
    for option in _job_parser()._actions[1:]:
        group.add_argument(
            *option.option_strings,
            action=_PassOn,
            dest="job",
            nargs=option.nargs,
            type=_checked(option.type),
            choices=option.choices,
            metavar=option.metavar,
            help=option.help,
        )


def _job_parser() -> argparse.ArgumentParser:
    from runners.commands import job_

    parser = argparse.ArgumentParser(prog="flopwatch job", allow_abbrev=False)
    job_.arguments(parser)
    return parser


class _PassOn(argparse.Action):
    """Collects the words that are options of the job."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add them."""
        namespace.job = (*namespace.job, option_string, *([] if self.nargs == 0 else [values]))


def _checked(type_: Any) -> Callable[[str], str]:
    """Return what checks a value as the job will, and gives it back as it was written."""

    def check(text: str) -> str:
        if type_ is not None:
            type_(text)
        return text

    check.__name__ = getattr(type_, "__name__", "str")
    return check


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name; use small letters, digits and -")
    return text


def _node_type(text: str) -> "NodeType":
    from runners.schedulers.base import NodeType

    name, _, wishes = text.partition(":")
    wants = {}
    for wish in filter(None, wishes.split(",")):
        key, equals, value = wish.partition("=")
        if (
            not equals
            or not re.fullmatch(r"[A-Za-z0-9._/-]+", key)
            or not re.fullmatch(r"[\w.:/&|*@+-]+", value)
        ):
            raise argparse.ArgumentTypeError(f"{wish!r} is no KEY=VALUE of a node type")
        wants[key] = value
    return NodeType(_name(name), wants)


def main(options: argparse.Namespace) -> int:
    """Print the files of a scheduler, put them in place, ask for them, or take them back."""
    from data.errors import BadInput
    from runners.schedulers import SCHEDULERS

    scheduler = SCHEDULERS.get(options.scheduler)
    if scheduler is None:
        raise BadInput(f"there is no scheduler {options.scheduler!r}; choose from {', '.join(SCHEDULERS)}")
    plan = _plan(options)
    if options.action == "print":
        files = scheduler.files(plan)
        for file in files:
            if len(files) > 1:
                print(f"# {file.path}")
            print(file.text, end="\n" if file is not files[-1] else "")
        return 0
    if options.action == "status":
        return _status(scheduler.status(plan), as_json=options.json)
    return _do(scheduler, plan, options.action, dry_run=options.dry_run)


def _do(scheduler: "Scheduler", plan: "Plan", action: str, *, dry_run: bool) -> int:
    """Show each step, and do it unless this is a rehearsal."""
    steps = scheduler.install(plan) if action == "install" else scheduler.remove(plan)
    for step in steps:
        print(f"{step}", end="\n" if dry_run else ": ", flush=True)
        if not dry_run:
            print(step.do(), flush=True)
    if not steps:
        print("nothing to do: it is so already")
    elif action == "install" and not dry_run:
        print(f"undo it with: flopwatch schedule remove {scheduler.name} --name {plan.name}")
    return 0


def _status(asks: "list[Run]", *, as_json: bool) -> int:
    """Say what the scheduler knows, what became of the last jobs, and the end of the log."""
    from runners.unattended.state import jobs, log_file

    held = jobs()
    try:
        log = log_file().read_text("utf-8", errors="replace").splitlines()[-10:]
    except OSError:
        log = []
    if as_json:
        asked = [{"asked": str(ask), "answer": ask.do()} for ask in asks]
        states = [
            {"name": one.name, "count": one.count, "last": one.last, "begun": one.begun} for one in held
        ]
        print(json.dumps({"scheduler": asked, "jobs": states, "log": log}))
        return 0
    for ask in asks:
        print(f"$ {ask}\n{ask.do()}\n")
    for state in held:
        last = state.last
        print(
            f"{state.name}: {state.count} jobs; last {last.get('at', 'never')}: {last.get('outcome', '–')}, "
            f"status {last.get('status', '–')}: {last.get('text', '')}"
        )
        if state.begun:
            print(f"{state.name}: the job of {state.begun} is at work, or was cut and is completed next")
    if log:
        print(f"\nlast lines of {log_file()}:", *log, sep="\n  ")
    else:
        print(f"no log yet at {log_file()}")
    return 0


def _plan(options: argparse.Namespace) -> "Plan":
    """Check the options of the job as the job will, and return what is planned."""
    from data import places
    from runners.schedulers.base import NodeType, Plan
    from runners.unattended.due import Rhythm
    from runners.unattended.state import State

    job = _job_parser().parse_args(options.job)
    State.read(job.name)
    rhythm = Rhythm(round(job.every or 86_400), job.at)
    words = list(options.job) if job.every else ["--every", "24h", *options.job]
    return Plan(
        name=job.name,
        program=(str(_program()),),
        options=tuple(words),
        every_s=rhythm.every_s,
        at_s=rhythm.at_s,
        variables={name: os.environ[name] for name in _VARIABLES if os.environ.get(name)},
        home=places.home(),
        node_types=tuple(options.node_type) or (NodeType("any"),),
        shared=options.shared.absolute() if options.shared else None,
        image=options.image,
        claim=options.claim or "",
        upload=job.upload or "",
        repository=options.directory,
    )


def _program() -> Path:
    """Return this program: the script beside the interpreter, which schedulers find without any path."""
    beside = Path(sys.executable).with_name("flopwatch.exe" if sys.platform == "win32" else "flopwatch")
    return beside if beside.is_file() else Path(sys.argv[0]).absolute()
