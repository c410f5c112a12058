"""The parser of the steps' log lines in the view JSON of a run's page. It reads the JSON as it arrives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import ijson

from addon.forgejo.parsers.values import changed

# Where the values stand in the JSON.
STEP, CURSOR = "logs.stepsLog.item.step", "logs.stepsLog.item.cursor"
MESSAGE, TIME = "logs.stepsLog.item.lines.item.message", "logs.stepsLog.item.lines.item.timestamp"


class StepLine(NamedTuple):
    """A line of a step. `step` is the step's place, from 0; `timestamp` is in seconds since 1970."""

    step: int
    message: str
    timestamp: float


def step_lines(chunks: Iterable[bytes], wanted: Mapping[int, int]) -> Iterator[StepLine]:
    """The lines in a view JSON. `wanted` are the requested steps, each with the number of lines to leave out.

    Raises UpstreamUnexpected if a step is missing, or if there are not as many lines as Forgejo says.
    """
    cursors = dict.fromkeys(wanted, -1)
    counted = dict(wanted)
    step, message = -1, ""
    try:
        for prefix, _, value in ijson.parse(ijson.from_iter(iter(chunks)), use_float=True):
            if prefix == MESSAGE:
                message = value
            elif prefix == TIME:
                counted[step] += 1
                yield StepLine(step, message, float(value))
            elif prefix == STEP:
                step = value
            elif prefix == CURSOR:
                cursors[step] = value
    except (ijson.JSONError, KeyError, TypeError, ValueError) as error:
        raise changed("lines of a step", error) from None
    if cursors != counted:
        raise changed("lines of a step", KeyError("cursor"))
