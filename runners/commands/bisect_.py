"""``flopwatch bisect``."""

import argparse
import json
from dataclasses import asdict

from runners.commands._options import choices, outcomes, wishes_from

__all__ = ["arguments", "main"]

_EPILOG = """\
the ends are written as in flopwatch matrix and differ in one version or one commit.

examples:
  flopwatch bisect --good numpy==2.0.0 --bad numpy==2.4.6 --case 'relu/1M' --backend numpy --threads 1
  flopwatch bisect --good kernels=my_kernels.py@v1 --bad kernels=my_kernels.py@main --case 'mine/*'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--good", required=True, metavar="ENVIRONMENT", help="the older end")
    add("--bad", required=True, metavar="ENVIRONMENT", help="the newer end, which is slower or faster")
    choices(parser)
    outcomes(parser)


def main(options: argparse.Namespace) -> int:
    """Find where a case changed, and print the steps that showed it."""
    from data.errors import BadInput
    from runners.bisection import bisect, points
    from runners.printing import Screen

    if not options.case:
        raise BadInput("name the case that changed: --case 'relu/1M'")
    recipes = points(options.good, options.bad)
    wishes = wishes_from(options)
    command = ["flopwatch", "bisect", "--good", options.good, "--bad", options.bad]
    command += [word for case in options.case for word in ("--case", case)]
    with Screen(quiet=options.json) as screen:
        screen.remark(f"{len(recipes)} points from {recipes[0].name} to {recipes[-1].name}")
        found = bisect(recipes, wishes, screen, command)
    if options.json:
        print(json.dumps(asdict(found)))
        return 0
    case, variant, _, backend, _, threads = found.key
    print(f"{case} {variant} on {backend}, threads {threads}: bad/good is {found.ratio:.3f}")
    for step in found.steps:
        figures = "" if step.ratio is None else f"  {step.ratio:.3f} of good, {step.processes} processes"
        print(f"  {step.name}: {step.side}{figures}{step.reason and f'  {step.reason}'}")
    if found.between:
        print(f"it changed between {found.good} and {found.bad}; not told apart: {', '.join(found.between)}")
    else:
        print(f"it changed at {found.bad}; {found.good} is the last good one")
    return 0
