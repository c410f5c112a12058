"""What the demo shows in a browser: its front page, and a run with its jobs, steps and log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from tests.double.model import Job, Run, Task
from tests.double.people import People
from tests.double.view import all_steps, duration, job_seconds, repo_link

MOST_LINES = 2000
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c1e21 }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
a { color: #0b57d0 } code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { background: #f4f5f7; padding: .8rem 1rem; border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .8rem .3rem 0 }
th { border-bottom: 1px solid #c9cdd2; font-weight: 600 }
.success { color: #1a7f37 } .failure { color: #c62828 } .running { color: #9a6700 } .muted { color: #5f6670 }
"""


def document(title: str, body: str) -> str:
    """A whole HTML page."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def front_page(root: str, repo: str, runs: Sequence[Run], examples: Sequence[tuple[str, str]]) -> str:
    """What the demo is, and where to go. `examples` are descriptions with their commands."""
    rows = "".join(
        f'<tr><td><a href="/{repo}/actions/runs/{run.index}">{run.index}</a></td><td>{escape(run.title)}</td>'
        f"<td>{escape(run.workflow_id)}</td><td>{escape(run.ref)}</td>{_status(run.status.value)}</tr>"
        for run in reversed(runs)
    )
    commands = "".join(f"<p>{escape(what)}</p><pre>{escape(command)}</pre>" for what, command in examples)
    return document(
        "Forgejo Actions over REST: demo",
        "<h1>Forgejo Actions over REST: demo</h1>"
        "<p>This is a small stand-in for Forgejo with sample runs. In front of it is the proxy: it adds REST routes for "
        "logs, jobs, summaries and reruns, and passes everything else on unchanged.</p>"
        "<ul>"
        f'<li><a href="/api/v1/actions-extensions/docs">Documentation of the routes</a>, also as '
        f'<a href="/api/v1/actions-extensions/openapi.json">OpenAPI</a></li>'
        f'<li><a href="/api/v1/actions-extensions">What this Forgejo can do</a></li>'
        f'<li><a href="/api/v1/repos/{repo}/actions/runs/latest">The newest run as JSON</a></li>'
        "</ul>"
        "<h2>Try it</h2>"
        f"<p>The commands use the token of the user alice, who may read and write <code>{repo}</code>.</p>{commands}"
        f"<h2>Runs of {repo}</h2>"
        f"<table><tr><th>Run</th><th>Title</th><th>Workflow</th><th>Branch</th><th>Status</th></tr>{rows}</table>"
        f'<p class="muted">The address of this demo is {escape(root)}. Your own Forgejo: <code>./run.sh help</code>.</p>',
    )


def run_body(world: People, run: Run, job: Job, task: Task | None, sub: str) -> str:
    """The run as its pages show it to people: jobs, and one job's steps and log."""
    link = f"{repo_link(run, sub)}/actions/runs/{run.index}"
    jobs = "".join(
        f'<tr><td>{each.index}</td><td><a href="{link}/jobs/{each.index}">{escape(each.name)}</a></td>'
        f"{_status(each.status.value)}<td>{duration(job_seconds(world, each))}</td></tr>"
        for each in run.jobs
    )
    steps = "".join(
        f"<tr><td>{number}</td><td>{escape(step.name)}</td>{_status(step.status.value)}<td>{step.log_length}</td></tr>"
        for number, step in enumerate(all_steps(task, world.version) if task else (), start=1)
    )
    api = f"{sub}/api/v1/repos/{quote(run.repo.full_name)}/actions/runs/{run.index}"
    return (
        f"<style>{STYLE}</style>"
        f'<h1>Run {run.index}: {escape(run.title)} <span class="{run.status.value}">{run.status.value}</span></h1>'
        f"<p>Workflow {escape(run.workflow_id)}, branch {escape(run.ref)}, commit <code>{run.sha[:10]}</code>. "
        f'The same by REST: <a href="{api}/jobs">jobs</a>, <a href="{api}/summary">summary</a>, '
        f'<a href="{api}/logs?job={job.index}">this job\'s log</a>. <a href="{sub}/">All runs</a></p>'
        f"<table><tr><th>Job</th><th>Name</th><th>Status</th><th>Time</th></tr>{jobs}</table>"
        f"<h2>Job {job.index}: {escape(job.name)}</h2>"
        f"<table><tr><th>Step</th><th>Name</th><th>Status</th><th>Lines</th></tr>{steps}</table>"
        f"<h2>Log</h2><pre>{''.join(_log(task))}</pre>"
    )


def _status(word: str) -> str:
    return f'<td class="{word}">{word}</td>'


def _log(task: Task | None) -> Iterator[str]:
    if task is None or task.log is None:
        yield "(no log yet)"
        return
    first = max(task.log.rows - MOST_LINES, 0)
    for index in range(first, task.log.rows):
        yield escape(task.log.row(index)[1]).replace("\x1b", "␛") + "\n"
