"""A TCP proxy that does to connections what bad networks do: delays, refusals, stalls, and cuts in both directions."""

import contextlib
import random
import socket
import threading
import time
from collections import Counter

__all__ = ["NastyProxy"]

_PIECE = 4096


class NastyProxy:
    """Listens on ``port`` and passes on to ``target``; ``fates`` counts what happened to connections.

    Half of the connections pass, half of these late.  The others are dropped at once, stall, are cut in the middle of
    the request, or are cut after the server has it and before the client knows: the case that makes duplicates.
    """

    FATES = ("pass", "delay", "drop", "stall", "cut-request", "cut-answer")
    WEIGHTS = (30, 20, 10, 10, 15, 15)

    def __init__(self, target: int, seed: int, delay_s: float = 0.5, stall_s: float = 2.0) -> None:
        """Start to listen."""
        self._target, self._delay_s, self._stall_s = target, delay_s, stall_s
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._listener.getsockname()[1])
        self.fates: Counter[str] = Counter()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            fate = self._random.choices(self.FATES, self.WEIGHTS)[0]
            after = self._random.randrange(200, 30_000)
            self.fates[fate] += 1
            threading.Thread(target=self._serve, args=[client, fate, after], daemon=True).start()

    def _serve(self, client: socket.socket, fate: str, after: int) -> None:
        with client, contextlib.suppress(OSError):
            if fate == "drop":
                return
            with socket.create_connection(("127.0.0.1", self._target), timeout=5) as server:
                server.settimeout(None)
                if fate == "delay":
                    time.sleep(self._delay_s)
                limit = after if fate in ("cut-request", "stall") else None
                ended = threading.Event()
                back = self._swallow if fate == "cut-answer" else self._answer
                threading.Thread(target=back, args=[server, client, None, ended], daemon=True).start()
                self._pass(client, server, limit, ended)
                if fate == "stall":
                    time.sleep(self._stall_s)
                elif limit is None:
                    ended.wait(timeout=60)

    def _pass(
        self, source: socket.socket, sink: socket.socket, limit: int | None, ended: threading.Event
    ) -> None:
        """Copy bytes until there are no more, or until ``limit``."""
        with contextlib.suppress(OSError):
            while limit is None or limit > 0:
                piece = source.recv(_PIECE if limit is None else min(_PIECE, limit))
                if not piece:
                    break
                sink.sendall(piece)
                limit = None if limit is None else limit - len(piece)
        if limit is None:
            self._end(source, sink, ended)

    def _answer(self, source: socket.socket, sink: socket.socket, _: None, ended: threading.Event) -> None:
        """Pass one answer on and end the connection, so that each request meets a fate of its own."""
        with contextlib.suppress(OSError):
            sink.sendall(source.recv(_PIECE))
        self._end(source, sink, ended)

    def _swallow(self, source: socket.socket, sink: socket.socket, _: None, ended: threading.Event) -> None:
        """Wait for the answer, then cut the connection instead of passing it on."""
        with contextlib.suppress(OSError):
            source.recv(_PIECE)
        self._end(source, sink, ended)

    def _end(self, source: socket.socket, sink: socket.socket, ended: threading.Event) -> None:
        ended.set()
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
