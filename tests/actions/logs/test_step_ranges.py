"""Finding a step's lines in a log, by the time and text that Forgejo's page shows of each line."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from addon.actions.logs.step_ranges import LogIndex, line_hash, log_line_hash
from addon.model import LineRange
from tests.double.logs import TICKS, stamp

# Few different lines, so that many are alike.
LINES = st.lists(st.sampled_from([b"2026-11-24T02:15:4%d.0000000Z x" % digit for digit in range(3)]), max_size=30)


@given(LINES, st.integers(0, 30), st.integers(1, 10), st.integers(0, 40))
def test_lines_are_found_at_the_first_place_where_they_are(
    lines: list[bytes], first: int, count: int, cut: int
) -> None:
    wanted = lines[first : first + count]
    if not wanted:
        return
    data = b"".join(line + b"\n" for line in lines)
    index = LogIndex([data[:cut], data[cut:]] if data[:cut].endswith(b"\n") else [data])
    hashes = array("q", map(log_line_hash, wanted))
    place = next(at for at in range(len(lines)) if lines[at : at + len(wanted)] == wanted)
    assert index.find(hashes) == LineRange(place, len(wanted))
    start, stop = index.position(place), index.position(place + len(wanted))
    assert data[start:stop] == b"".join(line + b"\n" for line in wanted)


@given(LINES, LINES)
def test_lines_that_have_only_begun_in_the_log(lines: list[bytes], wanted: list[bytes]) -> None:
    if not lines or not wanted:
        return
    index = LogIndex([b"".join(line + b"\n" for line in lines)])
    found = index.find_begun(array("q", map(log_line_hash, wanted)))
    places = [
        at for at in range(len(lines)) if lines[at:] and lines[at : at + len(wanted)] == wanted[: len(lines) - at]
    ]
    assert found == (LineRange(places[0], min(len(wanted), len(lines) - places[0])) if places else None)


@given(st.integers(0, 4_000_000_000), st.integers(0, 9_999_999), st.text().filter(lambda text: "\n" not in text))
def test_a_line_has_the_hash_of_what_the_page_shows_of_it(seconds: int, ticks: int, message: str) -> None:
    """The page's time is a floating-point number. Forgejo's scanner drops a carriage return at a line's end."""
    message = message.encode("utf-8", "replace").decode()
    raw = f"{stamp(seconds * TICKS + ticks)} {message}".encode()
    shown = message.removesuffix("\r")
    assert log_line_hash(raw) == line_hash(float(seconds * 1_000_000_000 + ticks * 100) / 1e9, shown)


def test_broken_text_is_the_same_on_both_sides() -> None:
    raw = b"2026-11-24T02:15:48.0000000Z a\xe2\x82b"
    assert log_line_hash(raw) == line_hash(1795486548.0, "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b")
