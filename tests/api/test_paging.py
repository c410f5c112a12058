"""Pages of lists, as Forgejo's own lists have them."""

from __future__ import annotations

from typing import Any

import pytest
from requests import Response

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.sample import Sample


def ask(target: Target, demo: Sample, tail: str) -> Response:
    answer = target.request("GET", f"{demo.base}{tail}", demo.reader)
    assert answer.status_code == 200, answer.text
    return answer


def names(answer: Response) -> list[Any]:
    told = answer.json()
    rows = told.get("jobs") or told.get("artifacts") or told.get("workflow_runs") or []
    return [row.get("run_number") if "workflow_runs" in told else row["name"] for row in rows]


def links(answer: Response) -> dict[str, str]:
    return {name: each["url"] for name, each in answer.links.items()}


@pytest.mark.parametrize("target", ["v15"], indirect=True)
@pytest.mark.parametrize("tail", ["jobs", "jobs?steps=true", "attempts", "artifacts"])
def test_a_list_of_a_run(target: Target, demo: Sample, tail: str) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec(f"j{number}") for number in range(5)])
    for job in run.jobs:
        target.world.play(job, "success", [["x"]])
        target.world.artifact(run, job.name, b"PK\x05\x06" + bytes(18))
    everything = [f"j{number}" for number in range(5)]
    path, more = f"/{run.index}/{tail}", "&" if "?" in tail else "?"
    whole = ask(target, demo, path)
    assert names(whole) == everything and whole.headers["X-Total-Count"] == "5" and "Link" not in whole.headers
    seen, url = [], f"{path}{more}limit=2"
    for _ in range(3):
        answer = ask(target, demo, url)
        assert answer.json()["total_count"] == 5 and answer.headers["X-Total-Count"] == "5"
        assert answer.headers["Access-Control-Expose-Headers"] == "X-Total-Count, Link"
        seen += names(answer)
        url = links(answer).get("next", "").partition(demo.base)[2]
    assert seen == everything and not url
    assert set(links(answer)) == {"first", "prev"} and links(answer)["prev"].endswith("limit=2&page=2")
    assert names(ask(target, demo, f"{path}{more}page=9")) == []
    first = ask(target, demo, f"{path}{more}limit=2&token={demo.reader}")
    assert set(links(first)) == {"next", "last"} and links(first)["last"].endswith("limit=2&page=3")
    assert demo.reader not in first.headers["Link"]
    assert links(first)["next"].startswith(f"{target.proxy.url}{demo.base}/")


@pytest.mark.parametrize("target", ["v15"], indirect=True)
def test_steps_of_one_page_of_many_jobs(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec(f"j{number}") for number in range(101)])
    answer = ask(target, demo, f"/{run.index}/jobs?steps=true&limit=2&page=51")
    assert names(answer) == ["j100"] and answer.json()["jobs"][0]["steps"] is not None
    assert answer.json()["total_count"] == 101


@pytest.mark.parametrize("target", ["v11"], indirect=True)
def test_the_list_of_runs(target: Target, demo: Sample) -> None:
    answer = ask(target, demo, "?limit=3")
    assert names(answer) == [4, 3, 2] and answer.headers["X-Total-Count"] == "4"
    assert set(links(answer)) == {"next", "last"}
    rest = ask(target, demo, links(answer)["next"].partition(demo.base)[2])
    assert names(rest) == [1] and set(links(rest)) == {"first", "prev"}
    assert set(links(ask(target, demo, "?branch=main&limit=1&page=2"))) == {"next", "last", "first", "prev"}
    assert "Link" not in ask(target, demo, "").headers
