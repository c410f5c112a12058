"""What a run's event tells may be of any size, for a pull request's author writes it: it fails nobody's request."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.forgejo.parsers.json_stream import without_text
from tests.conftest import Target
from tests.support.sample import Sample

LARGE = 'told: "event_payload":"\\' * 200_000


@pytest.mark.parametrize("tail", ["latest", "4/summary", "latest?event=push"])
def test_a_large_event_fails_no_request(target: Target, demo: Sample, tail: str) -> None:
    if target.number < 12:
        pytest.skip("this version's API has no runs")
    demo.runs["branch"].event_text = LARGE
    answer = target.request("GET", f"{demo.base}/{tail}", demo.reader)
    assert answer.status_code == 200, answer.text
    assert answer.json().get("run", answer.json())["event"] == "push"


NASTY = st.text(st.sampled_from('"\\:,{}event_payload é\n'), max_size=60)


@given(st.lists(st.tuples(NASTY, NASTY), max_size=4), st.randoms(use_true_random=False))
def test_only_the_fields_text_is_left_out(texts: list[tuple[str, str]], chance: random.Random) -> None:
    runs = [{"title": title, "event_payload": payload, "id": 1} for title, payload in texts]
    whole = json.dumps({"workflow_runs": runs}, separators=(",", ":")).encode()
    cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(chance.randrange(6)))
    chunks = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert json.loads(b"".join(without_text(chunks, "event_payload"))) == {
        "workflow_runs": [run | {"event_payload": ""} for run in runs]
    }


def test_a_large_text_is_never_kept() -> None:
    chunks = [b'{"event_payload":"', *[b"\\\\\\" + b"x" * 1000] * 1000, b'","id":1}']
    assert max(map(len, without_text(chunks, "event_payload"))) < 100
