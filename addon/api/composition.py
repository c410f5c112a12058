"""The composition root: builds the use cases for one Forgejo, and gives each handler the one that it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from werkzeug.wrappers import Response

from addon.actions.artifacts import ReadArtifacts
from addon.actions.by_id.artifacts import ArtifactsById
from addon.actions.by_id.changes import ChangeById
from addon.actions.by_id.finder import ByIdFinder
from addon.actions.by_id.jobs import JobsById
from addon.actions.by_id.logs import LogsById
from addon.actions.by_id.search import JobSearch
from addon.actions.cancel import CancelRun
from addon.actions.changes import BySession
from addon.actions.finding.list_runs import ListRuns
from addon.actions.finding.run_finder import RunFinder
from addon.actions.finding.run_selector import RunSelector
from addon.actions.following.follow_logs import FollowLimits, FollowLogs
from addon.actions.jobs import ReadJobs
from addon.actions.logs.read_logs import ReadLogs
from addon.actions.query import Query
from addon.actions.rerun import RerunRun
from addon.actions.summary import Summarize
from addon.actions.waiting import Waiting, WaitLimits
from addon.api.about.health import Health
from addon.api.about.metrics import Metrics
from addon.api.about.pages import About
from addon.api.answers import artifacts, changes, jobs, logs, runs, summary
from addon.api.native.handlers import NativeHandlers
from addon.caller import Caller
from addon.errors import UpstreamUnexpected
from addon.forgejo.access import Access
from addon.forgejo.admin import credentials
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.artifacts import ArtifactPages
from addon.forgejo.job_logs import CallersLogs, JobLogs
from addon.forgejo.native_api import CallersRuns, JobFacts, NativeApi
from addon.forgejo.rest import RestApi
from addon.forgejo.runs_api import RunsApi
from addon.forgejo.transport import Transport
from addon.forgejo.upstream import Cors, Upstream, reported_version
from addon.forgejo.web_ui import WebUi
from addon.inherited import account_secrets
from addon.inherited.other_traffic import OtherTraffic
from addon.journal import Journal
from addon.quota import CpuQuota
from addon.settings import Settings

Handler = Callable[[Query, Caller], Response]
HEALTH_PATH = "/api/healthz"
# How many seconds a Forgejo that doesn't answer may delay the start.
FIRST_CHECK = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of: a handler for each action by number, those by id, and what is needed beside.

    `collisions` is the option of that name.
    """

    handlers: Mapping[str, Handler]
    native: NativeHandlers
    collisions: str
    access: Access
    finder: RunFinder
    following: FollowLogs
    about: About
    journal: Journal
    max_wait: int
    cors: Cors


def connect(settings: Settings) -> Upstream:
    """The Forgejo behind the proxy, after a first check of its version."""
    upstream = Upstream(Transport(settings.upstream, min(settings.timeout, FIRST_CHECK), 1))
    upstream.check()
    return upstream


def build(settings: Settings, upstream: Upstream, others: OtherTraffic) -> Parts:
    """Builds the parts for one Forgejo. `others` says whether there are other requests than those for large logs.

    Requests with callers' credentials and requests with the administrator's session use separate connections and
    limits. So they can't be confused, and a flood of the former can't block the latter.
    """
    half, metrics, quota = settings.threads // 2, Metrics(), CpuQuota(others)
    transport = partial(
        Transport,
        settings.upstream,
        settings.timeout,
        exchanges=half,
        streams=settings.threads,
        observe=metrics.count_exchange,
        throttle=quota.throttled,
    )
    callers, admin = transport(who="caller"), transport(who="session")
    session = AdminSession(admin, lambda: credentials.from_environment(account_secrets.with_secrets(os.environ)))
    rest, web_ui, job_logs, artifact_pages = RestApi(callers), WebUi(session), JobLogs(session), ArtifactPages(session)
    access = Access(rest, upstream.set_lists_runs, lambda: upstream.newest_first)
    runs_api = RunsApi(rest, access)
    selector = RunSelector(runs_api, web_ui, lambda: upstream.newest_first)
    finder = RunFinder(
        access,
        selector,
        web_ui,
        runs_api,
        settings.default_attempt,
        upstream.has_run_route,
        partial(CallersRuns, rest),
        BySession(web_ui, artifact_pages),
    )
    wait_limits = WaitLimits(settings.threads, settings.recheck)
    waiting = Waiting(finder, selector, access, runs_api, web_ui, wait_limits)
    follow_limits = FollowLimits(settings.followers, settings.recheck)
    following = FollowLogs(finder, access, web_ui, job_logs, follow_limits)
    native_api = NativeApi(rest)
    read_jobs = ReadJobs(finder, waiting, web_ui, job_logs, JobFacts(native_api, upstream.has_route))
    read_artifacts = ReadArtifacts(finder, artifact_pages)
    list_runs = ListRuns(finder, runs_api, web_ui)

    def own_logs(caller: Caller) -> CallersLogs | None:
        return CallersLogs(rest, caller) if upstream.has_route("jobs/{id}/logs") else None

    handlers: Mapping[str, Handler] = {
        "info": partial(runs.info, waiting),
        "runs": partial(runs.runs, list_runs),
        "list": partial(runs.numbered, list_runs),
        "jobs": partial(jobs.jobs, read_jobs),
        "job": partial(jobs.job, read_jobs),
        "attempts": partial(jobs.attempts, read_jobs),
        "logs": partial(logs.logs, ReadLogs(finder, access, web_ui, job_logs, settings.recheck, own_logs), following),
        "summary": partial(summary.summary, Summarize(waiting, web_ui, job_logs, artifact_pages, quota)),
        "rerun": partial(changes.rerun, RerunRun(finder)),
        "cancel": partial(changes.cancel, CancelRun(finder)),
        "artifacts": partial(artifacts.artifacts, read_artifacts),
        "artifact": partial(artifacts.artifact, read_artifacts),
    }
    about = About(
        Health(lambda: _check_health(callers, session)),
        metrics if settings.metrics else None,
        settings,
        lambda caller: reported_version(callers, caller.headers, caller.parameters),
    )
    search = JobSearch(web_ui, native_api, lambda: upstream.lists_jobs)
    by_id = ByIdFinder(access, native_api, search, web_ui)
    native = NativeHandlers(
        JobsById(by_id, native_api, web_ui, job_logs, lambda: upstream.lists_jobs),
        LogsById(by_id, web_ui, job_logs),
        ArtifactsById(by_id, artifact_pages),
        ChangeById(by_id, web_ui),
    )
    log = Journal(settings.log, metrics.count_request)
    cors = Cors(callers)
    return Parts(handlers, native, settings.collisions, access, finder, following, about, log, settings.max_wait, cors)


def _check_health(callers: Transport, session: AdminSession) -> None:
    """Checks Forgejo and the session. Raises ApiError."""
    if (status := callers.request("GET", HEALTH_PATH).status) != 200:
        raise UpstreamUnexpected(f"Forgejo answered {status} to GET {HEALTH_PATH}")
    session.check()
