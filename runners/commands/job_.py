"""``flopwatch job``."""

import argparse
import os
import re
from pathlib import Path

from runners.commands._options import choices, duration, wishes_from

__all__ = ["add_options", "arguments", "clock_time", "main"]

_EPILOG = """\
examples:
  flopwatch job --profile quick                             one job now
  flopwatch job --every 24h --at 03:17 --profile standard   one job a day, however often this is called
  flopwatch job --every 6h --jitter 10m --upload https://bench.example.org --token-file ~/.config/flopwatch/token

A scheduler calls this: flopwatch schedule print makes the files.  With --every it may be called every hour: it does
nothing while it is not due, completes what a reboot has cut, and catches up once on what was missed.

exit status: that of flopwatch run; 3 also where the machine was not fit, 5 also where something could not be sent
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    choices(parser)
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a job has beside the options of a run."""
    add = parser.add_argument
    add(
        "--name",
        default="job",
        metavar="NAME",
        help="a name, where a machine has several jobs (default: job)",
    )
    add("--every", type=_every, metavar="24h", help="do nothing unless due: a part of a day, or whole days")
    add(
        "--at",
        type=clock_time,
        default=0,
        metavar="03:17",
        help="when it is due, by the clock of the machine",
    )
    add("--now", action="store_true", help="do it although it is not due")
    add(
        "--jitter",
        type=duration,
        default=0.0,
        metavar="10m",
        help="begin later by up to this time, always the same on one machine",
    )
    add(
        "--quiet-limit",
        type=duration,
        default=1800.0,
        metavar="30m",
        help="wait so long for a machine that is quiet, cool and on mains (default: 30m)",
    )
    add("--even-if-unfit", action="store_true", help="measure all the same after that; results are marked")
    add(
        "--baseline-every",
        type=_count,
        default=10,
        metavar="N",
        help="each N-th job measures each call against itself, for the noise floor (default: 10; 0: never)",
    )
    add("--into", type=Path, metavar="FOLDER", help="put a copy of the run file here as well")
    add(
        "--upload",
        metavar="URL",
        default=os.environ.get("FLOPWATCH_URL"),
        help="send what waits to this board, and a sign of life (default: FLOPWATCH_URL)",
    )
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a file that holds the token (default: FLOPWATCH_TOKEN)",
    )
    add(
        "--patience",
        type=duration,
        default=300.0,
        metavar="5m",
        help="try to send each file for so long; the rest waits for the next job (default: 5m)",
    )
    add(
        "--plain",
        action="store_true",
        default=bool(os.environ.get("FLOPWATCH_PLAIN")),
        help="send over http to another machine, unencrypted (also FLOPWATCH_PLAIN=1)",
    )


def clock_time(text: str) -> int:
    """Return the seconds after midnight of ``03:17``."""
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of day; write for example 03:17")
    return int(match[1]) * 3600 + int(match[2]) * 60


def _every(text: str) -> float:
    match = re.fullmatch(r"(\d+)\s*d", text.strip())
    return duration(f"{24 * int(match[1])}h" if match else text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; write for example 10, or 0 for never")
    return int(text)


def main(options: argparse.Namespace) -> int:
    """Do one job, if it is due."""
    from runners.unattended.due import Rhythm
    from runners.unattended.job import Settings, run_job

    settings = Settings(
        name=options.name,
        wishes=wishes_from(options),
        rhythm=Rhythm(round(options.every), options.at) if options.every else None,
        even_if_not_due=options.now,
        jitter_s=options.jitter,
        quiet_limit_s=options.quiet_limit,
        even_if_unfit=options.even_if_unfit,
        baseline_every=options.baseline_every,
        into=options.into,
        upload=options.upload,
        token_file=options.token_file,
        patience_s=options.patience,
        plain=options.plain,
    )
    return run_job(settings)
