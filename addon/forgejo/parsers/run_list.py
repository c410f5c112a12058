"""The parser of the page that lists a repository's runs, the newest first on every version. Pure functions.

A row does not show a run's event or jobs. Its status is an icon. Before v11, failed, cancelled and unknown runs have
the same icon.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from parsel import Selector, SelectorList

from addon.errors import UpstreamUnexpected
from addon.forgejo.parsers.values import attribute, duration, last_segment, run_link, shown_time
from addon.model import Status
from addon.run_row import RunRow

# The numbers that the page's own filter `status` takes.
STATUS_NUMBERS: Mapping[Status, int] = {
    Status.SUCCESS: 1,
    Status.FAILURE: 2,
    Status.CANCELLED: 3,
    Status.SKIPPED: 4,
    Status.WAITING: 5,
    Status.RUNNING: 6,
    Status.BLOCKED: 7,
}
ICONS: Mapping[str, Status] = {
    "octicon-check-circle-fill": Status.SUCCESS,
    "octicon-x-circle-fill": Status.FAILURE,
    "octicon-stop": Status.CANCELLED,
    "octicon-skip": Status.SKIPPED,
    "octicon-clock": Status.WAITING,
    "octicon-meter": Status.RUNNING,
    "octicon-blocked": Status.BLOCKED,
}
# `ci.yml #12`, or only `#12` on a page that is filtered by workflow.
NAME_AND_NUMBER = re.compile(r"(?:(?P<workflow>.+) )?#(?P<number>[0-9]+)")
PAGE_NUMBER = re.compile(r"[?&]page=([0-9]+)")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters of the list page; None for no filter. `actor_id` is a database id."""

    workflow_id: str | None = None
    status: Status | None = None
    actor_id: int | None = None


@dataclass(frozen=True, slots=True)
class RunList:
    """One page of the list. `pages` is the number of pages of this size."""

    rows: tuple[RunRow, ...]
    pages: int


def run_list(html: str) -> RunList:
    """Parses a page of the list. Raises UpstreamUnexpected if it has neither rows nor the empty list's placeholder."""
    page = Selector(html, type="html")
    lists = page.css(".run-list")
    if not lists:
        if page.css(".empty-placeholder"):
            return RunList((), 0)
        raise UpstreamUnexpected("Forgejo's Actions page has no .run-list")
    # Only direct children: since v16 a row contains further elements with the classes of rows.
    rows = lists[0].xpath("./*[contains(concat(' ', normalize-space(@class), ' '), ' flex-item ')]")
    if not rows and not lists[0].css(".empty-placeholder"):
        raise UpstreamUnexpected("Forgejo's .run-list has neither rows nor a placeholder")
    return RunList(tuple(_row(row) for row in rows), _pages(page, bool(rows)))


def _row(row: Selector) -> RunRow:
    links = row.css('.flex-item-main a[href*="/actions/runs/"]')
    icons = [name for name in row.css(".flex-item-leading svg::attr(class)").get("").split() if name in ICONS]
    name = NAME_AND_NUMBER.fullmatch(_text(row.css(".flex-item-body > b")))
    if not links or name is None:
        raise UpstreamUnexpected("a row of Forgejo's .run-list links to no run")
    link = run_link(attribute(links, "href") or "")
    if link.number != int(name["number"]):
        raise UpstreamUnexpected("a row of Forgejo's .run-list names one run and links to another")
    hrefs = row.css(".flex-item-body a::attr(href)").getall()
    commits = [href for href in hrefs if "/commit/" in href]
    people = [href for href in hrefs if "/commit/" not in href]
    status = ICONS[icons[0]] if icons else Status.UNKNOWN
    meta = [_text(each) for each in row.css(".run-list-meta")]
    return RunRow(
        repo=link.repo,
        number=link.number,
        sub_path=link.sub_path,
        title=attribute(links, "title") or "",
        status=status,
        workflow_id=name["workflow"],
        head_branch=_text(row.css(".run-list-ref")) or None,
        head_sha=last_segment(commits[0]) if commits else None,
        actor=last_segment(people[-1]) if people else None,
        updated_at=shown_time(row.css(".run-list-meta")),
        duration_seconds=duration(meta[1]) if len(meta) > 1 and status.done else None,
    )


def _text(found: Selector | SelectorList[Selector]) -> str:
    return " ".join(found.xpath("string()").get("").split())


def _pages(page: Selector, any_rows: bool) -> int:
    """The highest page number in the pager. A list of one page has no pager."""
    links = page.css(".pagination.menu a::attr(href)").getall()
    numbers = [int(found[1]) for found in map(PAGE_NUMBER.search, links) if found]
    current = page.css(".pagination.menu .active.item::text").get("").strip()
    return max([*numbers, int(current) if current.isdigit() else 0, int(any_rows)])
