"""Runs that go on while their logs are followed, and who follows them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import Any

import requests

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.proxy import eventually
from tests.support.sample import Sample

EVENTS = {"Accept": "text/event-stream"}


class Stream:
    """A request whose answer can be left while it is read."""

    def __init__(self, target: Target, path: str, token: str, headers: dict[str, str], patience: float = 30) -> None:
        """`patience` is how many seconds nothing may come."""
        connection = http.client.HTTPConnection(target.proxy.url.removeprefix("http://"), timeout=patience)
        connection.request("GET", path, headers={"Authorization": f"token {token}", **headers})
        assert connection.sock is not None
        self.socket = connection.sock
        self.answer = connection.getresponse()
        self.status = self.answer.status


class Scene:
    """A run of one or more jobs, and those who follow it."""

    def __init__(self, target: Target, demo: Sample, *jobs: JobSpec) -> None:
        self.target, self.demo, self.world = target, demo, target.world
        self.run = target.world.run(demo.repo, jobs=jobs or [JobSpec("job", steps=["one", "two"])])
        self.job = self.run.jobs[0]

    def begin(self) -> Scene:
        """A runner takes the first job, and has written two lines."""
        self.world.pick(self.job)
        self.world.log(self.job, "set up")
        self.world.step(self.job, 0, "running")
        self.world.log(self.job, "one ✓ \x1b[32mgreen\x1b[0m")
        return self

    def rest(self, result: str = "success") -> None:
        """Two more lines, and the job's end."""
        self.world.log(self.job, "still one")
        self.world.step(self.job, 0, "success")
        self.world.step(self.job, 1, "running")
        self.world.log(self.job, "two\rprogress")
        self.world.finish(self.job, result)

    def open(self, query: str = "", **headers: str) -> Stream:
        path = f"{self.demo.base}/{self.run.index}/logs?follow=true{query}"
        return Stream(self.target, path, self.demo.reader, headers)

    def ask(self, method: str, tail: str) -> requests.Response:
        return self.target.request(method, f"{self.demo.base}/by-number/{self.run.index}/{tail}", self.demo.writer)


class Reader:
    """Reads a stream in a thread."""

    def __init__(self, stream: Stream, patience: float = 30) -> None:
        """`patience` is how many seconds the stream may last."""
        assert stream.status == 200, stream.answer.read()
        self._parts: list[bytes] = []
        self.error: Exception | None = None
        self._stream, self._patience = stream, patience
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def data(self) -> bytes:
        """What has come so far."""
        count = len(self._parts)  # more may come at any time
        self._parts[:count] = [b"".join(self._parts[:count])]
        return self._parts[0]

    def until(self, text: bytes) -> Reader:
        """Waits until it has come."""
        eventually(lambda: text in self.data)
        return self

    def leave(self) -> None:
        """As a client does that has seen enough."""
        self._stream.socket.shutdown(socket.SHUT_RDWR)

    def whole(self) -> bytes:
        """Everything, to the stream's proper end."""
        self._thread.join(self._patience)
        assert not self._thread.is_alive(), f"the stream goes on after {self.data!r}"
        assert self.error is None, f"the stream broke off after {self.data[-200:]!r}: {self.error!r}"
        return self.data

    def _read(self) -> None:
        try:
            while chunk := self._stream.answer.read1():
                self._parts.append(chunk)
        except (OSError, http.client.HTTPException) as error:
            self.error = error


def events(data: bytes) -> list[tuple[str, dict[str, Any], str]]:
    """Name, data and id of each event."""
    found = []
    for block in data.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return found


def texts(data: bytes) -> bytes:
    """The lines of an event stream."""
    return "".join(value["text"] + "\n" for name, value, _ in events(data) if name == "line").encode()
