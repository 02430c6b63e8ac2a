"""What leaves the machine after a job: copies of run files, uploads, and a sign of life."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from data import places
from data.errors import FlopwatchError, StorageError
from data.heartbeats import Heartbeat
from runners.board import Board, board_address
from runners.outbox import Outbox
from runners.uploading import read_token, send_waiting, waiting_words

__all__ = ["Delivery", "put_copy"]


def put_copy(run_file: Path, folder: Path) -> Path:
    """Copy a run file into a folder, there as a whole or not at all; raises StorageError."""
    target = folder / run_file.name
    aside = target.with_name(f".{target.name}.{os.getpid()}.aside")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(run_file, aside)
            with aside.open("rb+") as file:
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()
    except OSError as error:
        raise StorageError.from_os(folder, error) from error
    return target


class Delivery:
    """One board that is told of jobs and gets their runs; address and token are checked when this is made."""

    def __init__(
        self,
        url: str,
        token_file: Path | None,
        *,
        patience_s: float,
        remark: Callable[[str], None],
        plain: bool,
    ) -> None:
        """Send to ``url``; try for ``patience_s``, and tell ``remark`` what happens."""
        self._outbox = Outbox(board_address(url, plain=plain))
        self._token, self._patience_s, self._remark = read_token(token_file), patience_s, remark
        self._board(0.0)

    def _board(self, patience_s: float) -> Board:
        return Board(self._outbox.url, self._token, patience_s=patience_s, remark=self._remark)

    def send(self, run_file: Path | None) -> int:
        """Send what waits, and ``run_file``; return how many the board took.

        Raises NotStored for what could not be sent: it waits in the outbox, and the next job sends it.
        """
        for path, why in self._outbox.collect(places.runs()):
            self._remark(f"{path.name}: {why}")
        if run_file is not None:
            self._outbox.put(run_file)
        items = [item for item in self._outbox.waiting() if not item.refused]
        with self._board(self._patience_s) as board:
            outcome = send_waiting(board, self._outbox, items)
        if not outcome.complete:
            raise waiting_words(outcome, self._outbox)
        return len(outcome.sent)

    def waiting(self) -> int:
        """Return how many run files wait in the outbox."""
        return len(self._outbox.waiting())

    def tell(self, heartbeat: Heartbeat) -> None:
        """Give a sign of life, once; a board that cannot be reached is told the next time."""
        try:
            with self._board(0.0) as board:
                board.tell(heartbeat)
        except FlopwatchError as error:
            self._remark(f"no sign of life could be given: {error}")
