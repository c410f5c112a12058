"""A client and an upstream that play scripts on raw sockets, and what each of them saw."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

PATIENCE = 5.0
# Nothing came for so long, where nothing is expected to.
SILENCE = 0.4
# The application's own question, at its start; it is not part of any script.
VERSION_QUESTION = b"GET /api/v1/version"


@dataclass(frozen=True)
class Send:
    """These bytes, in one call."""

    data: bytes


@dataclass(frozen=True)
class Until:
    """Reads until `marker` has come `count` times since the start."""

    marker: bytes
    count: int = 1


@dataclass(frozen=True)
class ToBytes:
    """Reads until so many have come at least since the start, without looking at them."""

    count: int


@dataclass(frozen=True)
class Say:
    """Tells the other side's `Await` of this name."""

    name: str


@dataclass(frozen=True)
class Await:
    """Waits for the other side's `Say`."""

    name: str


class ToEnd:
    """Reads until the other side has closed."""


class Silence:
    """Sees that nothing comes, and that the connection stays open."""


class HalfClose:
    """Sends no more."""


Step = Send | Until | ToBytes | Say | Await | ToEnd | Silence | HalfClose
Script = Sequence[Step]


@dataclass
class Side:
    """What one side got, and how its script ended: done, closed (too early) or timeout."""

    got: bytearray = field(default_factory=bytearray)
    end: str = "done"


@dataclass(frozen=True)
class Seen:
    """A conversation as both sides saw it. Upstream connections are in the order of their first bytes."""

    at_server: bytes
    at_client: bytes
    server_end: tuple[str, ...]
    client_end: str


class Player:
    """Plays one script on one socket."""

    def __init__(self, connection: socket.socket, names: dict[str, threading.Event]) -> None:
        self.side = Side()
        self._connection = connection
        self._names = names

    def play(self, script: Script) -> None:
        """To its end, or until it can't go on. The connection is closed then."""
        self._connection.settimeout(PATIENCE)
        try:
            for step in script:
                if not self._step(step):
                    self.side.end = "closed"
                    return
        except TimeoutError:
            self.side.end = "timeout"
        except OSError:
            self.side.end = "closed"
        finally:
            self._connection.close()

    def _step(self, step: Step) -> bool:
        """False when the other side has closed too early."""
        match step:
            case Send(data):
                self._connection.sendall(data)
            case Until(marker, count):
                while self.side.got.count(marker) < count:
                    if not self._read():
                        return False
            case ToBytes(count):
                while len(self.side.got) < count:
                    if not self._read():
                        return False
            case ToEnd():
                while self._read():
                    pass
            case Silence():
                return self._is_silent()
            case Say(name):
                self._names[name].set()
            case Await(name):
                if not self._names[name].wait(PATIENCE):
                    raise TimeoutError
            case HalfClose():
                self._connection.shutdown(socket.SHUT_WR)
        return True

    def _read(self) -> bool:
        data = self._connection.recv(1 << 16)
        self.side.got += data
        return bool(data)

    def _is_silent(self) -> bool:
        self._connection.settimeout(SILENCE)
        try:
            self._read()
        except TimeoutError:
            return True
        finally:
            self._connection.settimeout(PATIENCE)
        return False


class ScriptedUpstream:
    """Listens on a free port; each connection, from its first bytes on, plays the next script."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._lock = threading.Lock()
        self._scripts: list[Script] = []
        self._sides: list[Side] = []
        self._threads: list[threading.Thread] = []
        self._names: dict[str, threading.Event] = {}

    def __enter__(self) -> ScriptedUpstream:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def converse(self, where: str, client: Script, servers: Sequence[Script]) -> Seen:
        """Plays the client's script at `where`, which is here or a proxy before it."""
        steps = [step for script in (client, *servers) for step in script]
        with self._lock:
            self._names = {step.name: threading.Event() for step in steps if isinstance(step, Say | Await)}
            self._scripts, self._sides, self._threads = list(servers), [], []
        host, port = where.removeprefix("http://").split(":")
        player = Player(socket.create_connection((host, int(port)), timeout=PATIENCE), self._names)
        player.play(client)
        for thread in self._threads:
            thread.join(2 * PATIENCE)
        got = b"".join(bytes(side.got) for side in self._sides)
        return Seen(got, bytes(player.side.got), tuple(side.end for side in self._sides), player.side.end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                connection = self._socket.accept()[0]
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            first = connection.recv(64, socket.MSG_PEEK)
        except OSError:
            first = b""
        if first.startswith(VERSION_QUESTION):
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        with self._lock:
            script = None
            if first and not first.startswith(VERSION_QUESTION) and self._scripts:
                script, player = self._scripts.pop(0), Player(connection, self._names)
                self._sides.append(player.side)
                self._threads.append(threading.current_thread())
        if script is None:
            connection.close()
        else:
            player.play(script)
