"""Sending what waits in the outbox: one file after the other, each until its receipt is kept."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import BadInput, NotStored
from data.ledger import digest
from data.rundocument import unpack
from runners.board import Board, Refused, board_address
from runners.outbox import Outbox, Waiting

__all__ = ["Sending", "Sent", "read_token", "say", "send_waiting", "uploader", "waiting_words"]


@dataclass(frozen=True)
class Sent:
    """One run that the board has: its receipt, and whether it was new there."""

    run: str
    new: bool
    receipt: dict[str, Any]

    def __str__(self) -> str:
        """Say what the board said."""
        count = self.receipt.get("measurements", "?")
        text = f"{self.run}: {'stored' if self.new else 'was there already'}, {count} measurements"
        return "; ".join([text, *map(str, self.receipt.get("notes") or [])])


@dataclass
class Sending:
    """What came of it; ``trouble`` says why the rest waits."""

    sent: list[Sent] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    trouble: str = ""

    @property
    def complete(self) -> bool:
        """Whether the board has everything."""
        return not (self.refused or self.waiting)


def send_waiting(
    board: Board,
    outbox: Outbox,
    items: Sequence[Waiting],
    tell: Callable[[Sent], None] = lambda sent: None,
) -> Sending:
    """Send the items; where the board cannot be used or reached, the rest waits for the next time."""
    outcome = Sending()
    for number, item in enumerate(items):
        try:
            packed = item.path.read_bytes()
        except FileNotFoundError:
            continue  # another process has sent it meanwhile
        content = unpack(packed)
        try:
            receipt, new = board.send(packed, digest(content))
        except Refused as error:
            outbox.refuse(item, str(error), len(content))
            outcome.refused.append((item.run, str(error)))
            continue
        except NotStored as error:
            outcome.trouble = str(error)
            outcome.waiting = [left.run for left in items[number:]]
            break
        outbox.done(item, receipt, len(content))
        outcome.sent.append(Sent(item.run, new, receipt))
        tell(outcome.sent[-1])
    return outcome


def waiting_words(outcome: Sending, outbox: Outbox) -> NotStored:
    """Return the error that says what was not sent, where it is kept and how it is sent later."""
    parts = [f"run {run} is not sent again unless it is named: {why}" for run, why in outcome.refused]
    if outcome.waiting:
        count = len(outcome.waiting)
        parts.append(
            f"{count} not sent: {outcome.trouble}; send what waits with: flopwatch upload --to {outbox.url}"
        )
    return NotStored(f"{'; '.join(parts)}. Kept in {outbox.folder}")


def read_token(file: Path | None = None) -> str:
    """Return the token from a file, else from FLOPWATCH_TOKEN; raises BadInput."""
    if file is None:
        return os.environ.get("FLOPWATCH_TOKEN", "").strip()
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read as a token: {error}") from None


def say(text: object) -> None:
    """Tell people what happens; what a program reads goes to the other stream."""
    print(f"flopwatch: {text}", file=sys.stderr, flush=True)  # noqa: T201


def uploader(url: str, *, patience_s: float = 600.0) -> Callable[[Path], None]:
    """Return a function that sends a run file, and what waited for the board before.

    Address and token are checked now, before hours of measuring.  The function raises NotStored for what it could
    not send, which waits in the outbox.
    """
    outbox = Outbox(board_address(url, plain=bool(os.environ.get("FLOPWATCH_PLAIN"))))
    board = Board(outbox.url, read_token(), patience_s=patience_s, remark=say)

    def upload(path: Path) -> None:
        with board:
            outbox.put(path)
            items = [item for item in outbox.waiting() if not item.refused]
            outcome = send_waiting(board, outbox, items, say)
        if not outcome.complete:
            raise waiting_words(outcome, outbox)

    return upload
