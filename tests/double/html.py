"""Pages: own markup, with the elements, classes and attributes that Forgejo's have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from tests.double.model import Repo, Run, Status, User
from tests.double.people import People
from tests.double.view import Viewer, duration, ref_link, relative_time, repo_link, run_seconds

ICONS = {
    Status.SUCCESS: "octicon-check-circle-fill",
    Status.SKIPPED: "octicon-skip",
    Status.WAITING: "octicon-clock",
    Status.BLOCKED: "octicon-blocked",
    Status.RUNNING: "octicon-meter",
    Status.CANCELLED: "octicon-stop",
}
COLOURS = {Status.SUCCESS: "green", Status.FAILURE: "red", Status.RUNNING: "yellow"}


def page(
    body: str,
    sub: str,
    lang: str,
    user: User | None = None,
    csrf: str | None = None,
    logout_form: bool = False,
    version: str = "",
) -> str:
    """A whole page; `csrf` where the version has such tokens. Scripts are loaded by the server's `version`."""
    token = f"<script>window.config = {{appSubUrl: '{sub}', csrfToken: '{csrf}'}};</script>" if csrf else ""
    if version:
        assets = f"assetVersionEncoded: encodeURIComponent('{version.replace('+', '~')}'), // in the URLs of scripts"
        token += f"<script>window.config = {{\n{assets}\n}};</script>"
    out = _sign_out(sub, user, logout_form) if user else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{lang}">\n<head><meta charset="utf-8"><title>Stand-in</title>{token}</head>\n'
        f"<body>\n<nav>{out}</nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _sign_out(sub: str, user: User, form: bool) -> str:
    if form:
        return (
            f'<form id="logout-user-action" method="post" action="{sub}/user/logout"></form>'
            f'<button form="logout-user-action">{escape(user.name)}</button>'
        )
    return f'<a class="item" href="#" data-url="{sub}/user/logout">{escape(user.name)}</a>'


def _flash(error: str | None) -> str:
    if not error:
        return ""
    return f'<div class="ui negative message flash-message flash-error"><p>{escape(error)}</p></div>'


def _hidden(csrf: str | None) -> str:
    return f'<input type="hidden" name="_csrf" value="{csrf}">' if csrf else ""


def login_form(sub: str, texts: Mapping[str, str], error: str | None, csrf: str | None, with_form: bool) -> str:
    if not with_form:
        return f'{_flash(error)}<a class="ui button" href="{sub}/user/oauth2/sso">SSO</a>'
    return (
        f'{_flash(error)}<form class="ui form" action="{sub}/user/login" method="post">{_hidden(csrf)}'
        '<input name="user_name" required><input name="password" type="password" required>'
        f"<button>{texts['sign_in']}</button></form>"
    )


def passcode_form(sub: str, error: str | None, csrf: str | None) -> str:
    inputs = f'{_hidden(csrf)}<input name="passcode"><button>OK</button>'
    return f'{_flash(error)}<form action="{sub}/user/two_factor" method="post">{inputs}</form>'


def run_view(attributes: Mapping[str, object]) -> str:
    """The element that a script fills."""
    text = "".join(f' {name}="{escape(str(value))}"' for name, value in attributes.items())
    return f'<div class="page-content repository"><div id="repo-action-view"{text}></div></div>'


def run_list(world: People, repo: Repo, runs: list[Run], viewer: Viewer, query: Mapping[str, str], pages: int) -> str:
    """The Actions page's menu of workflows, the rows, and links to further pages."""
    workflow = query["workflow"]
    if not repo.workflows and not repo.runs:
        return f'<div class="empty-placeholder"><h2>{viewer.texts["no_runs"]}</h2></div>'
    rows = "".join(_row(world, run, viewer, bool(workflow)) for run in runs)
    if not runs:
        rows = f'<div class="empty-placeholder"><h2>{viewer.texts["no_runs"]}</h2></div>'
    menu = "".join(_menu_item(world, repo, name, workflow) for name in sorted(repo.workflows))
    return (
        '<div class="ui stackable grid"><div class="ui fluid vertical menu">'
        f'<a class="item" href="?actor=0&amp;status=0">*</a>{menu}</div><div class="flex-list run-list">{rows}</div>{_pager(repo, viewer.sub, query, pages)}</div>'
    )


def _menu_item(world: People, repo: Repo, name: str, selected: str) -> str:
    off = '<div class="ui red label">off</div>' if name in repo.disabled_workflows else ""
    text = f'<span class="content">{escape(name)}</span>' if world.version.title_inside else escape(name)
    active = " active" if name == selected else ""
    return f'<a class="item{active}" href="?workflow={quote(name)}&amp;actor=0&amp;status=0">{text}{off}</a>'


def _row(world: People, run: Run, viewer: Viewer, filtered: bool) -> str:
    version, status = world.version, run.status
    icon = ICONS.get(status, "octicon-x-circle-fill")
    if status is Status.CANCELLED and not version.cancelled_icon:
        icon = "octicon-x-circle-fill"
    colour = COLOURS.get(status, "grey")
    link = repo_link(run, viewer.sub)
    title = (_linked(run, viewer) if version.nested_links else escape(run.title)) or viewer.texts["empty_title"]
    anchor = f'title="{escape(run.title)}" href="{link}/actions/runs/{run.index}">{title}</a>'
    heading = f'<a class="flex-item-title" {anchor}'
    if version.title_inside:
        heading = f'<div class="flex-item-title"><a {anchor}</div>'
    name = f"#{run.index}" if filtered else f"{escape(run.workflow_id)} #{run.index}"
    return (
        '<div class="flex-item tw-items-center"><div class="flex-item-leading">'
        f'<span data-tooltip-content="{viewer.texts[status]}"><svg class="text {colour} svg {icon}"></svg></span></div>'
        f'<div class="flex-item-main">{heading}'
        f'<div class="flex-item-body"><b>{name}</b> {_origin(world, run, viewer)}</div></div>'
        f'<div class="flex-item-trailing">{_ref(world, run, viewer)}<div class="run-list-item-right">'
        f'<div class="run-list-meta"><svg class="svg octicon-calendar"></svg>{relative_time(run.updated)}</div>'
        f'<div class="run-list-meta"><svg class="svg octicon-stopwatch"></svg>{duration(run_seconds(world, run))}</div>'
        "</div></div></div>"
    )


def _linked(run: Run, viewer: Viewer) -> str:
    """A title as HTML: code between backticks, and links, although it is inside a link itself."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(run.title))
    text = re.sub(r"https?://[^\s<]+", r'<a href="\g<0>" class="link">\g<0></a>', text)
    return re.sub(
        r"(?<![&\w])#(\d+)", rf'<a href="{repo_link(run, viewer.sub)}/issues/\1" class="ref-issue">#\1</a>', text
    )


def _origin(world: People, run: Run, viewer: Viewer) -> str:
    """The commit and who pushed it; nothing but a word for a scheduled run, before v15."""
    commit = f'<a href="{repo_link(run, viewer.sub)}/commit/{run.sha}">{run.sha[:10]}</a>'
    if run.scheduled:
        return f": {viewer.texts['scheduled']}" + (f" {commit}" if world.version.description else "")
    actor = f'<a href="{viewer.sub}/{run.actor.name}">{escape(run.actor.name)}</a>'
    return f"- {viewer.texts['commit']} {commit} {viewer.texts['pushed_by']} {actor}"


def _ref(world: People, run: Run, viewer: Viewer) -> str:
    if world.version.knows_deleted_branches and run.ref in run.repo.deleted_branches:
        return f'<span class="ui label run-list-ref tw-line-through">{escape(run.ref)}</span>'
    return f'<a class="ui label run-list-ref" href="{ref_link(run, viewer.sub)}">{escape(run.ref)}</a>'


def _pager(repo: Repo, sub: str, query: Mapping[str, str], pages: int) -> str:
    """Nothing for one page. The links keep the filters but drop the limit."""
    if pages < 2:
        return ""
    current = min(max(int(query["page"]), 1), pages)
    filters = f"workflow={quote(query['workflow'])}&amp;actor={query['actor']}&amp;status={query['status']}"

    def link(number: int, enabled: bool, kind: str, text: str) -> str:
        if not enabled:
            return f'<a class="disabled item {kind}">{text}</a>'
        return f'<a class="item {kind}" href="{sub}/{repo.full_name}/actions?page={number}&amp;{filters}">{text}</a>'

    numbers = "".join(
        f'<a class="active item">{n}</a>' if n == current else link(n, True, "", str(n)) for n in range(1, pages + 1)
    )
    back, forth = current > 1, current < pages
    return (
        '<div class="center page buttons"><div class="ui borderless pagination menu">'
        + link(1, back, "navigation", "«")
        + link(current - 1, back, "navigation", "‹")
        + numbers
        + link(current + 1, forth, "navigation", "›")
        + link(pages, forth, "navigation", "»")
        + "</div></div>"
    )
