"""``flopwatch upload``."""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runners.outbox import Outbox, Waiting
    from runners.uploading import Sending

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch upload --to https://bench.example.org             all that this board has no receipt for
  flopwatch upload night.run.jsonl --to https://bench.example.org
  flopwatch upload --to https://bench.example.org --dry-run   what would be sent

FLOPWATCH_URL and FLOPWATCH_TOKEN stand for --to and for the token, which is made on the board: flopwatch token create.
What was not sent waits in the outbox of the home; each upload sends what waits.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from runners.commands._options import duration

    parser.epilog = _EPILOG
    add = parser.add_argument
    add(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="run files (default: all that wait, and runs/ of the home)",
    )
    add(
        "--to",
        metavar="URL",
        default=os.environ.get("FLOPWATCH_URL"),
        help="the board (default: FLOPWATCH_URL)",
    )
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a file that holds the token (default: FLOPWATCH_TOKEN)",
    )
    add(
        "--plain",
        action="store_true",
        default=bool(os.environ.get("FLOPWATCH_PLAIN")),
        help="send over http to another machine, unencrypted (also FLOPWATCH_PLAIN=1)",
    )
    add(
        "--patience",
        type=duration,
        default=600.0,
        metavar="10m",
        help="try each file for so long (s, m or h; default: 10m)",
    )
    add("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Send run files until the board has given a receipt for each."""
    from data import places
    from data.errors import BadInput
    from runners.board import Board, board_address
    from runners.outbox import Outbox
    from runners.uploading import read_token, say, send_waiting, waiting_words

    if not options.to:
        raise BadInput("no board: give --to URL, or set FLOPWATCH_URL")
    outbox = Outbox(board_address(options.to, plain=options.plain))
    if options.dry_run:
        return _preview(options, outbox)
    token = read_token(options.token_file)
    with Board(outbox.url, token, patience_s=options.patience, remark=say) as board:
        if options.files:
            items, troubles = _named(options.files, outbox)
        else:
            troubles = [f"{path}: {why}" for path, why in outbox.collect(places.runs())]
            items = [item for item in outbox.waiting() if not item.refused]
        for trouble in troubles:
            say(trouble)
        outcome = send_waiting(
            board, outbox, items, lambda sent: None if options.json else print(sent, flush=True)
        )
    _summarise(outcome, outbox, as_json=options.json)
    if not outcome.complete:
        raise waiting_words(outcome, outbox)
    return 2 if troubles and options.files else 0


def _named(files: list[Path], outbox: "Outbox") -> "tuple[list[Waiting], list[str]]":
    """Take the named files into the outbox; return what is to be sent, and what is wrong with the others."""
    from data.errors import BadInput
    from runners.uploading import say

    items, troubles = [], []
    for path in files:
        try:
            if not path.is_file():
                raise BadInput("is no file")
            document, item = outbox.put(path)
            if item is None:
                say(f"{path}: {outbox.url} has given a receipt for run {document.run.id} before")
            else:
                items.append(item)
        except BadInput as error:
            troubles.append(f"{path}: {error}")
    return items, troubles


def _preview(options: argparse.Namespace, outbox: "Outbox") -> int:
    """Print what would be sent; nothing is written and nothing is sent."""
    from data import places
    from data.errors import BadInput

    rows: list[dict[str, Any]] = []
    for path in options.files or sorted(places.runs().glob("*.run.jsonl*")):
        try:
            if not path.is_file():
                raise BadInput("is no file")
            rows.append(outbox.preview(path))
        except BadInput as error:
            rows.append({"file": str(path), "send": False, "why": str(error)})
    if not options.files:
        listed = {row.get("run") for row in rows}
        rows += [
            {"file": str(item.path), "run": item.run, "send": not item.refused, "why": item.refused}
            for item in outbox.waiting()
            if item.run not in listed
        ]
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        what = "would be sent" if row["send"] else "would not be sent"
        size = (
            f" ({row['packed_bytes']:,} bytes packed, machine {row['machine']})"
            if "packed_bytes" in row
            else ""
        )
        print(f"{row['file']}: {what}{size}{': ' if row['why'] else ''}{row['why']}")
    count = sum(1 for row in rows if row["send"])
    print(f"{count} of {len(rows)} would be sent to {outbox.url}; nothing was sent")
    return 0


def _summarise(outcome: "Sending", outbox: "Outbox", *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                {
                    "board": outbox.url,
                    "sent": [one.receipt | {"new": one.new} for one in outcome.sent],
                    "refused": [{"run": run, "message": message} for run, message in outcome.refused],
                    "waiting": outcome.waiting,
                }
            )
        )
        return
    new = sum(1 for one in outcome.sent if one.new)
    held = len(outcome.sent) - new
    print(f"{new} sent to {outbox.url}{f', {held} it had already' if held else ''}")
