"""What differs between Forgejo versions, each difference under its name, so that no handler compares numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One Forgejo version: its major number and the string its API reports."""

    name: str
    reported: str

    @property
    def number(self) -> int:
        """The major version."""
        return int(self.name[1:])

    @property
    def session_cookie(self) -> str:
        return "session" if self.number >= 15 else "i_like_gitea"

    @property
    def remember_cookie(self) -> str:
        return "persistent" if self.number >= 15 else "gitea_incredible"

    @property
    def csrf_token(self) -> bool:
        """Unsafe methods need a token; from v14 on the browser's own headers decide."""
        return self.number <= 13

    @property
    def csrf_failure_redirects(self) -> bool:
        return self.number <= 7

    @property
    def anonymous_sessions(self) -> bool:
        """A session cookie is given to everybody who asks for a page."""
        return self.number <= 13

    @property
    def expiry_is_guarded(self) -> bool:
        """In the view, an expired log is a message, not an internal error."""
        return self.number >= 9

    @property
    def first_step_may_be_skipped(self) -> bool:
        """ "Set up job" ends at the first step that runs, not at the first step of all."""
        return self.number >= 9

    @property
    def tasks_route(self) -> bool:
        return self.number >= 9

    @property
    def dispatch_route(self) -> bool:
        return self.number >= 9

    @property
    def public_only_everywhere(self) -> bool:
        return self.number >= 9

    @property
    def title_html(self) -> bool:
        return self.number >= 11

    @property
    def knows_deleted_branches(self) -> bool:
        return self.number >= 11

    @property
    def real_aggregation(self) -> bool:
        """A run's status can be cancelled, skipped or blocked, and final while jobs still run."""
        return self.number >= 11

    @property
    def cancelled_icon(self) -> bool:
        return self.number >= 11

    @property
    def internal_signin_setting(self) -> bool:
        return self.number >= 11

    @property
    def runs_route(self) -> bool:
        return self.number >= 12

    @property
    def broken_files_run(self) -> bool:
        """A workflow file that can't be parsed makes a failed run; before v12 there is no run at all."""
        return self.number >= 12

    @property
    def api_needs_unit(self) -> bool:
        """API routes of Actions are missing where the unit is turned off."""
        return self.number >= 12

    @property
    def list_inner(self) -> bool:
        return self.number >= 12

    @property
    def attempts(self) -> bool:
        """Attempts are in URLs and in the view, and the run page carries the whole state."""
        return self.number >= 13

    @property
    def artifact_ranges(self) -> bool:
        """An artifact's download has a length and takes Range."""
        return self.number >= 9

    @property
    def artifact_files_are_zip(self) -> bool:
        """The download's file name ends in .zip."""
        return self.number <= 7 or self.number >= 13

    @property
    def details_list(self) -> bool:
        """Why a job waits comes with its attempts, and until v16 in a list of the view."""
        return self.number >= 14

    @property
    def current_details(self) -> bool:
        """The view's job says in words how it is."""
        return self.number <= 16

    @property
    def placeholders(self) -> bool:
        """A matrix that can't be told yet is one job, which is deleted and replaced by the real ones."""
        return self.number >= 14

    @property
    def approve_route(self) -> bool:
        return self.number <= 13

    @property
    def runs_newest_first(self) -> bool:
        """The API's list of runs; before v15 it has no order of its own: the oldest come first in SQLite."""
        return self.number >= 15

    @property
    def runs_by_workflow(self) -> bool:
        return self.number >= 15

    @property
    def attempt_at_creation(self) -> bool:
        """An attempt is counted when it is created, not when a runner takes it."""
        return self.number >= 15

    @property
    def rerun_guards(self) -> bool:
        """Reruns of what is not done are refused, and a rerun deletes the run's artifacts."""
        return self.number >= 15

    @property
    def quotes_tokens(self) -> bool:
        """The API names the token that it refuses."""
        return self.number >= 15

    @property
    def description(self) -> bool:
        return self.number >= 15

    @property
    def cancel_unknown_fails(self) -> bool:
        return self.number >= 15

    @property
    def token_reducers(self) -> bool:
        """Tokens may be limited to repositories, and a limited token loses the site administrator's rights."""
        return self.number >= 15

    @property
    def native_jobs(self) -> bool:
        """Jobs, logs, artifacts, cancel and delete exist in the API."""
        return self.number >= 16

    @property
    def title_inside(self) -> bool:
        """In the list, the link is inside the title's element instead of being it."""
        return self.number >= 16

    @property
    def native_rerun(self) -> bool:
        """Rerun, and one job with its steps, exist in the API; a job's log can be cut and searched."""
        return self.number >= 17

    @property
    def null_times(self) -> bool:
        """A time that is not set is null in the API, not the epoch."""
        return self.number >= 17

    @property
    def final_when_done(self) -> bool:
        """A run is failed or cancelled only when all of its jobs are done; the early word is an estimate."""
        return self.number >= 17

    @property
    def logout_form(self) -> bool:
        return self.number >= 17

    @property
    def nested_links(self) -> bool:
        """In the list, a title's own links are links, inside the one to the run."""
        return self.number >= 17


VERSIONS = {
    version.name: version
    for version in (
        Version("v7", "7.0.16+gitea-1.21.11"),
        Version("v9", "9.0.3+gitea-1.22.0"),
        Version("v11", "11.0.15+gitea-1.22.0"),
        Version("v12", "12.0.4+gitea-1.22.0"),
        Version("v13", "13.0.5+gitea-1.22.0"),
        Version("v14", "14.0.5+gitea-1.22.0"),
        Version("v15", "15.0.3+gitea-1.22.0"),
        Version("v16", "16.0.0+gitea-1.22.0"),
        Version("v17", "17.0.0+gitea-1.22.0"),
    )
}
NEWEST = list(VERSIONS)[-1]
