"""The command line: one line a command here, one file a command in ``runners/commands``.

Nothing heavy is imported before a command is chosen, so that ``flopwatch --help`` answers at once.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from runners import __version__

__all__ = ["COMMANDS", "EXIT", "build_parser", "main", "whole_parser"]

#: command → what it does, in the order of the help
COMMANDS: dict[str, str] = {
    "list": "cases, variants and backends: what can run here, or why not and how to get it",
    "doctor": "what on this machine would disturb or falsify a measurement, and the remedy",
    "run": "measure, print the results, write the run file and store it",
    "compare": "two runs: ratio, interval and verdict for each case",
    "matrix": "the same cases in several environments, built by uv and measured side by side",
    "bisect": "find the version or commit between a good and a bad one where a case changed",
    "reproduce": "measure a run again in its own environment, and say how close that came",
    "regressions": "what became slower or faster, when, by how much and why; a gate for continuous integration",
    "changes": "change points of any series, JSON or CSV",
    "claims": "published claims and their verdicts on each machine and backend",
    "census": "what has no recent result and why, and what has gone stale",
    "accept": "accept a change: its new level is the expected one",
    "annotate": "a remark on a machine, series, run, version or span of time",
    "withdraw": "take a result back, with the reason; it stays citable",
    "upload": "send run files to a board: all that has no receipt of it yet, or those that are named",
    "token": "who may send to this board and read from it: create, list, revoke",
    "report": "all that a choice of results says, as Markdown or HTML",
    "export": "results as Parquet, CSV or JSON, a whole board, Bencher's format, or a badge",
    "import": "take run files, boards and results of other tools into the ledger",
    "job": "one unattended job: if it is due, wait for a quiet machine, measure, store, send",
    "schedule": "jobs for systemd, cron, launchd, Task Scheduler, GitHub Actions, Slurm and Kubernetes",
    "db": "the store and the ledger: info, check, rebuild, backup, restore",
    "completion": "a script with which bash, zsh or tcsh completes what is typed after flopwatch",
}

_EPILOG = """\
examples:
  flopwatch run --profile quick            measure the quick choice of cases
  flopwatch run --case 'matmul/*'          only some cases
  flopwatch list --json                    everything that can be measured, for programs

exit status: 0 done, 1 a gate fired or an answer was wrong, 2 wrong use or bad input, 3 nothing could be measured,
4 interrupted (what was measured is kept), 5 could not store or send (the run file is kept, its path printed)
"""


class EXIT:
    """The exit statuses."""

    DONE = 0
    GATE = 1
    WRONG_USE = 2
    NOTHING = 3
    INTERRUPTED = 4
    NOT_STORED = 5


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and what would be right where that can be guessed."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and leave with status 2."""
        match = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message)
        if match:
            whole = self.prog == "flopwatch"
            known = list(COMMANDS) if whole else re.findall(r"[\w.-]+", match[2])
            subject = "unknown command" if whole else f"{message.partition(': invalid')[0]}: there is no"
            message = f"{subject} {match[1]!r}: {_near(match[1], known)}"
        self.exit(EXIT.WRONG_USE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def refuse(self, unknown: Sequence[str]) -> None:
        """Leave with status 2 over words that no option takes, and name the option that was meant."""
        import difflib

        wrong = next((word for word in unknown if word.startswith("-")), unknown[0])
        if not wrong.startswith("--"):
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        known = sorted(_long_options(self))
        near = difflib.get_close_matches(wrong.partition("=")[0], known, n=1)
        self.error(f"unknown option {wrong!r}" + (f": did you mean {near[0]}?" if near else ""))


def _near(wrong: str, known: Sequence[str]) -> str:
    """Return what was probably meant, or all that is possible."""
    import difflib

    near = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"


def _long_options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a command and of its actions."""
    found = {word for action in parser._actions for word in action.option_strings if word.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= set().union(*map(_long_options, action.choices.values()))
    return found


def build_parser() -> _Parser:
    """Return the parser of the program; options of a command are added when it is chosen."""
    parser = _Parser(
        prog="flopwatch",
        description="Reproducible benchmarks of numeric kernels and serialization formats.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"flopwatch {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, summary in COMMANDS.items():
        commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """Return the parser with the options of every command, which takes longer."""
    parser = build_parser()
    for name in COMMANDS:
        _with_options(parser, name)
    return parser


def _with_options(parser: argparse.ArgumentParser, name: str) -> tuple[_Parser, ModuleType]:
    """Give a command its options; return its parser and its module."""
    action = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    module = import_module(f"runners.commands.{name}_")
    module.arguments(action.choices[name])
    return action.choices[name], module


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; errors are one line for people, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    chosen = next((word for word in words if not word.startswith("-")), None)
    own, module = _with_options(parser, chosen) if chosen in COMMANDS else (parser, None)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        own.refuse(unknown)
    if module is None:
        parser.print_help()
        return EXIT.WRONG_USE
    return _guarded(module.main, options)


def _guarded(command: object, options: argparse.Namespace) -> int:
    from data.errors import BadInput, NothingMeasured, NotStored

    signal.signal(signal.SIGTERM, _stop)
    try:
        return int(command(options))  # type: ignore[operator]
    except NotStored as error:
        return _say(error, EXIT.NOT_STORED)
    except BadInput as error:
        return _say(error, EXIT.WRONG_USE)
    except NothingMeasured as error:
        return _say(error, EXIT.NOTHING)
    except KeyboardInterrupt:
        return _say("interrupted", EXIT.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT.DONE


def _say(error: object, status: int) -> int:
    print(f"flopwatch: {error}", file=sys.stderr)  # noqa: T201 - this is the program's voice
    return status
