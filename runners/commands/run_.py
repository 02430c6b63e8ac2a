"""``flopwatch run``."""

import argparse
from dataclasses import replace
from pathlib import Path

from runners.commands._options import choices, outcomes, wishes_from

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch run --profile quick
  flopwatch run --case 'matmul/*' --backend numpy --backend openblas --threads 1
  flopwatch run --profile standard --budget 30m --label host=lab --out lab.run.jsonl
  flopwatch run --resume data/local/runs/….run.jsonl
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    choices(parser)
    outcomes(parser)
    add = parser.add_argument
    add("--aa", action="store_true", help="measure each variant against itself: the noise floor")
    add("--out", type=Path, metavar="FILE", help="write the run file here (default: runs/ in the home)")
    add("--resume", type=Path, metavar="FILE", help="complete an interrupted run file")
    add("--upload", metavar="URL", help="send the run to this board when it is complete (FLOPWATCH_TOKEN)")


def main(options: argparse.Namespace) -> int:
    """Measure, print, write the run file and store it."""
    from data.errors import BadInput
    from runners.execute import execute
    from runners.printing import Screen, print_summary
    from runners.uploading import uploader

    chosen = [
        name
        for name in ("profile", "effort", "case", "variant", "backend", "threads", "precision", "apart")
        if getattr(options, name)
    ]
    if options.resume and chosen:
        raise BadInput(f"--resume completes what the file planned; leave out --{chosen[0]}")
    wishes = replace(wishes_from(options), aa=options.aa, out=options.out, resume=options.resume)
    upload = uploader(options.upload) if options.upload else None
    with Screen(quiet=options.json) as screen:
        outcome = execute(wishes, screen)
    print_summary(outcome, as_json=options.json)
    if upload and outcome.stopped != "interrupted":
        upload(outcome.file)
    return outcome.exit_status
