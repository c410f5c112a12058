"""What differs between a recorded answer and the stand-in's, in what a reader of it relies on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import requests
from parsel import Selector

from addon.errors import UpstreamUnexpected
from addon.forgejo.parsers import api_objects, run_page, values
from addon.forgejo.parsers.run_list import run_list
from tests.compare_recordings.exchange import Exchange, set_cookies

SERVER_ERA = 1_795_000_000  # some weeks after the runner's clock
CUT = "…cut…"
HEADERS = (
    "Content-Type",
    "Location",
    "Content-Disposition",
    "Content-Range",
    "Accept-Ranges",
    "X-Content-Type-Options",
)
# Values that no two servers share, or that have no bearing on Actions.
VOLATILE = {
    "avatar_url", "email", "event_payload", "handle", "size", "ssh_url", "version", "wiki_clone_url", "wiki_ssh_url",
}  # fmt: skip


def rows_of(page: str) -> list[dict[str, str]]:
    """The rows of a list page, as a reader sees them."""
    found = []
    for row in Selector(page).css(".run-list > .flex-item"):
        link = row.css('.flex-item-main a[href*="/actions/runs/"]')[0]
        icon = row.css(".flex-item-leading svg").attrib["class"].split()
        links = row.css(".flex-item-body a")
        commit = row.css('.flex-item-body a[href*="/commit/"]')
        found.append(
            {
                "href": link.attrib["href"],
                "title": link.attrib["title"],
                "text": " ".join(link.css("::text").getall()).strip(),
                "title element": str(bool(row.css("div.flex-item-title > a"))),
                "icon": next(name for name in icon if name.startswith("octicon-")),
                "tooltip": row.css(".flex-item-leading span").attrib["data-tooltip-content"],
                "workflow": row.css(".flex-item-body > b::text").get(""),
                "commit": commit.attrib.get("href", "") if commit else "",
                "actor": links[-1].attrib["href"] if links else "",
                "ref": "".join(row.css(".run-list-ref::text").getall()).strip(),
                "ref link": row.css(".run-list-ref").attrib.get("href", ""),
                "time": str(bool(row.css(".run-list-meta relative-time::attr(datetime)"))),
                "metas": str(len(row.css(".run-list-meta"))),
            }
        )
    return found


def facts(page: str) -> dict[str, Any]:
    """What is read of a page: whose it is, its form, its list, its run."""
    selector = Selector(page)
    view = selector.css("#repo-action-view")
    attributes = {
        name: value for name, value in (view[0].attrib if view else {}).items() if not name.startswith("data-locale-")
    }
    for name in ("data-initial-post-response", "data-initial-artifacts-response"):
        if name in attributes:
            attributes[name] = json.loads(attributes[name])
    return {
        "signed in": bool(selector.css('[data-url$="/user/logout"]')),
        "login form": bool(selector.css('form[action$="/user/login"]')),
        "flash": bool(selector.css(".flash-error")),
        "csrf in script": bool(re.search(r"csrfToken: '[^']", page)),
        "csrf in form": bool(selector.css("form[action$='/user/login'] input[name=_csrf]")),
        "lists": len(selector.css(".run-list")),
        "empty": len(selector.css(".run-list > .empty-placeholder")),
        "rows": rows_of(page),
        "menu": sorted(set(re.findall(r"workflow=([^&]+)", " ".join(_menu(selector))))),
        "pages": [pager_link(each) for each in selector.css(".pagination.menu a.item:not(.navigation)")],
        "navigation": [pager_link(each) for each in selector.css(".pagination.menu a.item.navigation")],
        "whole": bool(selector.css("body > *")) and page.lstrip().startswith("<!DOCTYPE"),
        "view": attributes,
    }


def _menu(selector: Selector) -> list[str]:
    links = selector.css('.ui.fluid.vertical.menu a.item[href*="workflow="]')
    return [link for link in links.css("::attr(href)").getall() if "workflow=&" not in link]


def pager_link(link: Any) -> str:
    """Its state and target; the order of the query does not matter."""
    path, _, query = link.attrib.get("href", "").partition("?")
    return " ".join(
        [path, *sorted(query.split("&")), *sorted({"active", "disabled"} & set(link.attrib["class"].split()))]
    )


def plain(value: Any, key: str = "", status: str = "") -> Any:
    """A JSON value without what is volatile: moments, and durations that depend on the server's clock."""
    if isinstance(value, dict):
        state = str(value.get("status", ""))
        return {name: plain(each, name, state) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each, key, status) for each in value]
    if key in VOLATILE:
        return type(value).__name__
    if key == "duration":
        return _duration(value, status)
    if key == "started" and isinstance(value, int):
        return "the server's" if value > SERVER_ERA else value
    if isinstance(value, str):
        return re.sub(r"20\d\d-\d\d-\d\d[T ][0-9:]+(Z| \+00:00)", "TIME", value)
    return value


def _duration(value: Any, status: str) -> str:
    """Exact when it is short; else only whether it is negative. That of what runs says nothing."""
    text = str(value)
    if status == "running" or not isinstance(value, str):
        return "some"
    return ("negative" if text.startswith("-") else "long") if "h" in text else text


def differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Where two values differ, readable."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *(name for name in found if name not in expected)]:
            if name not in found:
                yield f"{where}.{name}: missing; recorded is {expected[name]!r:.80}"
            elif name not in expected:
                yield f"{where}.{name}: not recorded, but {found[name]!r:.80}"
            else:
                yield from differences(expected[name], found[name], f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif expected != found:
        yield f"{where}: recorded is {expected!r:.120}, found is {found!r:.120}"


def compare(exchange: Exchange, answer: requests.Response) -> list[str]:
    found = []
    if exchange.status != answer.status_code:
        found.append(f"status: recorded is {exchange.status}, found is {answer.status_code}: {answer.text[:200]!r}")
    for name in HEADERS:
        if exchange.headers.get(name, "") != answer.headers.get(name, ""):
            found.append(f"{name}: recorded is {exchange.headers.get(name)!r}, found is {answer.headers.get(name)!r}")
    names = [part.split(" ")[0] for part in exchange.headers["Set-Cookie names"].split(", ") if part]
    if sorted(names) != sorted(name for name, _ in set_cookies(answer)):
        found.append(f"cookies: recorded are {names}, found are {[name for name, _ in set_cookies(answer)]}")
    if exchange.name.endswith("-logs") or "logs-" in exchange.name:
        length = exchange.headers.get("Content-Length")
        if length != answer.headers.get("Content-Length") and "zip" not in exchange.headers["Content-Type"]:
            found.append(f"Content-Length: recorded is {length}, found is {answer.headers.get('Content-Length')}")
    parsed = [] if exchange.body.endswith(CUT) else [read(exchange, exchange.body), read(exchange, answer.text)]
    return [*found, *bodies(exchange, answer), *(differences(*parsed, "parsed") if parsed else ())]


def read(exchange: Exchange, body: str) -> Any:
    """What the product's parsers make of a body: the model without moments, a refusal's text, or None if not theirs."""
    path, _, _ = exchange.request["path"].partition("?")
    if exchange.status == 307:
        return _comparable(values.run_link(exchange.headers["Location"].removeprefix("http://forgejo.test")))
    if exchange.status != 200 or body.endswith(CUT):
        return None
    try:
        if 'id="repo-action-view"' in body:
            return _comparable(_run(path, run_page.run_page(body)))
        if body.startswith('{"state"'):
            return _comparable(_run(path, run_page.RunPage("", None, json.loads(body), None)))
        if path.endswith("/actions") and not path.startswith("/api/"):
            return _comparable(run_list(body))
        if "/actions/runs" in path and body.startswith('{"workflow_runs"'):
            return [_comparable(api_objects.run_details(run)) for run in json.loads(body)["workflow_runs"]]
        if path.endswith("/artifacts"):
            return _comparable(run_page.artifact_list(json.loads(body)))
    except UpstreamUnexpected as refusal:
        return refusal.message
    return None


def _run(path: str, page: run_page.RunPage) -> Any:
    if page.view is None:
        return page
    link, job = values.run_link(path), re.search(r"/jobs/(\d+)", path)
    return run_page.run(link.repo, link.number, int(job[1]) if job else 0, page, page.view)


def _comparable(value: Any) -> Any:
    """Plain values; moments and durations only tell whether they are known."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _comparable(getattr(value, each.name)) for each in fields(value) if each.name != "view"}
    if isinstance(value, tuple):
        return [_comparable(each) for each in value]
    return type(value).__name__ if isinstance(value, float | datetime) else value


def bodies(exchange: Exchange, answer: requests.Response) -> list[str]:
    """By the recorded media type. Of a body that was cut, what is left is compared as text."""
    recorded, media_type = exchange.body, exchange.headers.get("Content-Type", "")
    answer.encoding = "utf-8"
    if recorded.startswith("…"):
        return []
    if recorded.endswith(CUT):
        if "json" in media_type:
            return []
        kept = recorded.removesuffix(CUT).removesuffix("\n")
        return [] if answer.text.startswith(kept) else [f"text differs: {answer.text[:200]!r}"]
    if "json" in media_type:
        return list(differences(plain(json.loads(recorded)), plain(answer.json())))
    if "text/html" in media_type and exchange.status == 200:
        return list(differences(plain(facts(recorded)), plain(facts(answer.text))))
    return [] if recorded == answer.text else [f"text: recorded is {recorded[:200]!r}, found is {answer.text[:200]!r}"]
