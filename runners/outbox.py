"""The outbox: run files that a board has no receipt for yet, and the receipts of the others.

Each board has a folder, and each run a file ``<run>.run.jsonl.gz`` in it until the receipt is written beside.  So what
was not sent survives a reboot, and a run whose original was deleted can still be sent.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import places
from data.errors import BadInput, StorageError
from data.rundocument import RunDocument, pack, read
from data.runfile import is_being_written, now

__all__ = ["Outbox", "Waiting"]

_PACKED = ".run.jsonl.gz"
_RECEIPT, _REFUSED = ".receipt.json", ".refused.json"


@dataclass(frozen=True)
class Waiting:
    """A run that waits to be sent; ``refused`` says why the board does not want it."""

    run: str
    path: Path
    refused: str = ""


class Outbox:
    """What is to be sent to one board, and what it has acknowledged."""

    def __init__(self, url: str, root: Path | None = None) -> None:
        """Use the folder of the board at ``url`` (normalised by its caller), which need not exist."""
        self.url = url
        host = re.sub(r"[^a-z0-9.-]+", "-", url.partition("://")[2].partition("/")[0].lower())[:60]
        self.folder = (root or places.outbox()) / f"{host}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"

    def put(self, path: Path) -> tuple[RunDocument, Waiting | None]:
        """Take in a run file, unless the board has a receipt for just this content; a refused one is tried again.

        Raises RunFileError for a file that is not right, and StorageError where the outbox cannot be written.
        """
        document = read(path)
        if self._read(document.run.id, _RECEIPT).get("sha256") == document.sha256:
            return document, None
        target = self.folder / f"{document.run.id}{_PACKED}"
        self._write(target, pack(document.content))
        self._forget(document.run.id, _REFUSED)
        return document, Waiting(document.run.id, target)

    def preview(self, path: Path) -> dict[str, Any]:
        """Say of a run file whether it would be sent, and what; raises RunFileError for one that is not right."""
        document = read(path)
        held = self._read(document.run.id, _RECEIPT).get("sha256") == document.sha256
        why = "the board has given a receipt for it" if held else ""
        if not held and is_being_written(path):
            why = "it is being written"
        return {
            "file": str(path),
            "run": document.run.id,
            "machine": document.run.machine.id,
            "packed_bytes": len(pack(document.content)),
            "send": not why,
            "why": why,
        }

    def collect(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Take in all run files of a folder that the board has no receipt for; yield those that cannot be, and why."""
        for path in sorted(folder.glob("*.run.jsonl*")):
            try:
                if self._known(path):
                    continue
                if is_being_written(path):
                    yield path, "is being written; it is sent when it is complete"
                    continue
                self.put(path)
            except BadInput as error:
                yield path, str(error)

    def _known(self, path: Path) -> bool:
        """Whether the board has this file: run files only grow, so the size tells without reading."""
        if path.suffix != ".jsonl":
            return False
        run, size_bytes = path.name.partition(".")[0], path.stat().st_size
        return any(self._read(run, suffix).get("size_bytes") == size_bytes for suffix in (_RECEIPT, _REFUSED))

    def waiting(self) -> list[Waiting]:
        """Return what waits, the oldest run first; refused runs stay until they are named again."""
        return [
            Waiting(run, path, str(self._read(run, _REFUSED).get("message", "")))
            for path in sorted(self.folder.glob(f"*{_PACKED}"))
            if (run := path.name.removesuffix(_PACKED))
        ]

    def done(self, waiting: Waiting, receipt: dict[str, Any], size_bytes: int) -> None:
        """Keep the receipt, then forget the file: killed in between, it is sent once more, which changes nothing."""
        told = receipt | {"board": self.url, "size_bytes": size_bytes}
        self._write(self.folder / f"{waiting.run}{_RECEIPT}", json.dumps(told).encode())
        waiting.path.unlink(missing_ok=True)
        self._forget(waiting.run, _REFUSED)

    def refuse(self, waiting: Waiting, message: str, size_bytes: int) -> None:
        """Remember that the board does not want a file; it is kept."""
        told = {"at": now(), "message": message, "board": self.url, "size_bytes": size_bytes}
        self._write(self.folder / f"{waiting.run}{_REFUSED}", json.dumps(told).encode())

    def _read(self, run: str, suffix: str) -> dict[str, Any]:
        try:
            held = json.loads((self.folder / f"{run}{suffix}").read_bytes())
        except (OSError, ValueError):
            return {}
        return held if isinstance(held, dict) else {}

    def _forget(self, run: str, suffix: str) -> None:
        with contextlib.suppress(OSError):
            (self.folder / f"{run}{suffix}").unlink()

    def _write(self, target: Path, content: bytes) -> None:
        """Write a file that is there as a whole or not at all, also after a power failure."""
        aside = target.with_name(f"{target.name}.{os.getpid()}.aside")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError.from_os(self.folder, error) from error
