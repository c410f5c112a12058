"""Who may do what where: the expected statuses, one row for each caller, one column for each repository.

An operation is a grid for v13 and what differs elsewhere. To add one: its request in OPERATIONS or BY_ID, its grid in GRIDS,
its rows of other versions in DIFFERENT; or whose grid it shares in LIKE.
"""

from __future__ import annotations

from dataclasses import dataclass

# `team` is private, `open`, `limited` and `hidden` are not; their organisations are public, public, limited, private.
REPOSITORIES = ("public", "private", "team", "open", "limited", "hidden", "archived", "off", "renamed", "missing")

# The repositories that also callers ask for who are refused everywhere.
FOR_ALL = ("public", "private", "missing")


@dataclass(frozen=True)
class Operation:
    """A request below …/actions, and the status of a yes. {n} is the number of a run that only this caller asks for, {run}
    its id, and {job} the id of its job.

    The runs are done, or wait when it is `on_waiting` ones that it is for. `like` is an operation whose table holds for
    this one too, in the repositories `only` if they are named.
    """

    method: str
    path: str
    yes: int
    on_waiting: bool = False
    like: str = ""
    only: tuple[str, ...] | None = None


OPERATIONS = {
    "read": Operation("GET", "runs/{n}/jobs", 200),
    "select": Operation(
        "GET",
        "runs/latest/jobs/build?branch=main&status=completed&wait=1",
        200,
        like="read",
        only=("public", "private"),
    ),
    "list": Operation("GET", "runs/by-number", 200, like="read", only=("public", "private")),
    "rerun": Operation("POST", "runs/{n}/rerun", 201),
    "cancel": Operation(
        "POST", "runs/{n}/cancel", 200, on_waiting=True, like="rerun", only=("public", "private", "team", "limited")
    ),
}

# The dialect by id, where the extension answers it. All of its routes ask the same: one reads everywhere, one changes.
BY_ID = {
    "job": Operation("GET", "jobs/{job}", 200, like="read"),
    "job-rerun": Operation("POST", "jobs/{job}/rerun", 204, like="rerun"),
    **{
        name: Operation("GET", path, 200, like="read", only=("private",))
        for name, path in {
            "job-logs": "jobs/{job}/logs",
            "job-step": "jobs/{job}/logs?step=0&format=ndjson",
            "run-jobs": "runs/{run}/jobs",
            "run-logs": "runs/{run}/logs",
            "run-artifacts": "runs/{run}/artifacts",
        }.items()
    },
    "run-rerun": Operation("POST", "runs/{run}/rerun", 204, like="rerun", only=("private", "archived")),
    "run-cancel": Operation(
        "POST", "runs/{run}/cancel", 204, on_waiting=True, like="rerun", only=("private", "archived")
    ),
}

# From this version on, Forgejo does it with the caller's own credentials, and the session is not used at all.
OWN_SINCE = {"cancel": 16, "rerun": 17}

GRIDS = {
    "read": """
                           public private team open limited hidden archived off renamed missing
        anonymous             200     404  404  200     404    404      404 404     404     404
        stranger              200     404  404  200     200    404      404 404     404     404
        restricted            404     404  404  404     404    404      404 404     404     404
        inactive              403     403  403  403     403    403      403 403     403     403
        prohibited            403     403  403  403     403    403      403 403     403     403
        reader                200     200  200  200     200    404      200 404     200     404
        actions-only          200     404  200  200     200    200      404 404     404     404
        actions-writer        200     404  200  200     200    200      404 404     404     404
        restricted-actions    404     404  200  200     200    200      404 404     404     404
        code-only             200     404  403  200     200    200      404 404     404     404
        restricted-code       404     404  403  403     403    403      404 404     404     404
        writer                200     200  200  200     200    404      200 404     200     404
        administrator         200     200  200  200     200    404      200 404     200     404
        site-admin            200     200  200  200     200    200      200 404     200     404
        read-token            200     200  200  200     200    404      200 404     200     404
        other-scope           403     403  403  403     403    403      403 403     403     403
        public-only           200     403  403  200     200    404      403 403     403     404
        specific              200     200  200  200     200    404      200 404     200     404
        revoked               401     401  401  401     401    401      401 401     401     401
        malformed             401     401  401  401     401    401      401 401     401     401
        basic                 200     200  200  200     200    404      200 404     200     404
        basic-wrong           401     401  401  401     401    401      401 401     401     401
        otp                   200     200  200  200     200    404      200 404     200     404
        otp-missing           401     401  401  401     401    401      401 401     401     401
        sudo-reader           200     200  200  200     200    404      200 404     200     404
        sudo-stranger         200     404  404  200     200    404      404 404     404     404
        sudo-restricted       404     404  404  404     404    404      404 404     404     404
        sudo-refused          403     403  403  403     403    403      403 403     403     403
        cookie                200     404  404  200     404    404      404 404     404     404
        two-tokens            401     401  401  401     401    401      401 401     401     401
        job-token             404     200  404  404     404    404      404 404     404     404
    """,
    "rerun": """
                           public private team open limited hidden archived off renamed missing
        anonymous             401     404  404  401     404    404      404 404     404     404
        stranger              403     404  404  403     403    404      404 404     404     404
        restricted            404     404  404  404     404    404      404 404     404     404
        inactive              403     403  403  403     403    403      403 403     403     403
        prohibited            403     403  403  403     403    403      403 403     403     403
        reader                403     403  403  403     403    404      403 404     403     404
        actions-only          403     404  403  403     403    403      404 404     404     404
        actions-writer        403     404  201  201     201    201      404 404     404     404
        restricted-actions    404     404  403  403     403    403      404 404     404     404
        code-only             403     404  403  403     403    403      404 404     404     404
        restricted-code       404     404  403  403     403    403      404 404     404     404
        writer                201     201  201  403     403    404      409 404     201     404
        administrator         201     201  201  403     403    404      409 404     201     404
        site-admin            201     201  201  201     201    201      409 404     201     404
        read-token            403     403  403  403     403    403      403 403     403     403
        other-scope           403     403  403  403     403    403      403 403     403     403
        public-only           201     403  403  403     403    404      403 403     403     404
        specific              201     201  201  403     403    404      409 404     201     404
        revoked               401     401  401  401     401    401      401 401     401     401
        malformed             401     401  401  401     401    401      401 401     401     401
        basic                 201     201  201  403     403    404      409 404     201     404
        basic-wrong           401     401  401  401     401    401      401 401     401     401
        otp                   403     403  403  403     403    404      403 404     403     404
        otp-missing           401     401  401  401     401    401      401 401     401     401
        sudo-reader           403     403  403  403     403    404      403 404     403     404
        sudo-stranger         403     404  404  403     403    404      404 404     404     404
        sudo-restricted       404     404  404  404     404    404      404 404     404     404
        sudo-refused          403     403  403  403     403    403      403 403     403     403
        cookie                401     404  404  401     404    404      404 404     404     404
        two-tokens            401     401  401  401     401    401      401 401     401     401
        job-token             404     201  404  404     404    404      404 404     404     404
    """,
}

# Limited tokens. What they leave out is refused, where an organisation owns it, and else as if it did not exist.
LIMITED = {
    "read": """
            public-only           200     404  403  200     403    404      404 404     404     404
            specific              200     200  403  200     403    404      404 404     404     404
    """,
    "rerun": """
            public-only           201     404  403  403     403    404      404 404     404     404
            specific              403     201  403  403     403    404      404 404     404     404
    """,
}
DIFFERENT: dict[str, dict[str, str]] = {
    # No API route tells of Actions. A team without them, which all organisations here have, bars all but site
    # administrators, unless the repository is open to everybody. Who sees only Actions is not told from a stranger.
    "v7": {
        "read": """
            stranger              200     404  404  200     403    404      404 404     404     404
            reader                200     200  403  200     403    404      200 403     200     404
            actions-only          200     404  403  200     403    403      404 404     404     404
            actions-writer        200     404  403  200     403    403      404 404     404     404
            restricted-actions    404     404  403  403     403    403      404 404     404     404
            code-only             200     404  403  200     403    403      404 404     404     404
            restricted-code       404     404  403  200     403    403      404 404     404     404
            writer                200     200  403  200     403    404      200 403     200     404
            administrator         200     200  200  200     403    404      200 403     200     404
            site-admin            200     200  200  200     200    200      200 403     200     404
            read-token            200     200  403  200     403    404      200 403     200     404
            public-only           200     403  403  200     403    404      403 403     403     404
            specific              200     200  403  200     403    404      200 403     200     404
            basic                 200     200  403  200     403    404      200 403     200     404
            otp                   200     200  403  200     403    404      200 403     200     404
            sudo-reader           200     200  403  200     403    404      200 403     200     404
            sudo-stranger         200     404  404  200     403    404      404 404     404     404
        """,
        "rerun": """
            anonymous             403     404  404  403     404    404      404 404     404     404
            cookie                403     404  404  403     404    404      404 404     404     404
            reader                403     403  403  403     403    404      403 403     403     404
            actions-writer        403     404  403  403     403    403      404 404     404     404
            writer                201     201  403  403     403    404      409 403     201     404
            administrator         201     201  201  403     403    404      409 403     201     404
            site-admin            201     201  201  201     201    201      409 403     201     404
            read-token            403     403  403  403     403    404      409 403     403     404
            specific              201     201  403  403     403    404      409 403     201     404
            basic                 201     201  403  403     403    404      409 403     201     404
            otp                   403     403  403  403     403    404      403 403     403     404
            sudo-reader           403     403  403  403     403    404      403 403     403     404
        """,
    },
    # Whoever sees the repository is told that its Actions are turned off.
    "v11": {
        "read": """
            reader                200     200  200  200     200    404      200 403     200     404
            writer                200     200  200  200     200    404      200 403     200     404
            read-token            200     200  200  200     200    404      200 403     200     404
            specific              200     200  200  200     200    404      200 403     200     404
            basic                 200     200  200  200     200    404      200 403     200     404
            otp                   200     200  200  200     200    404      200 403     200     404
            sudo-reader           200     200  200  200     200    404      200 403     200     404
        """,
        "rerun": """
            reader                403     403  403  403     403    404      403 403     403     404
            writer                201     201  201  403     403    404      409 403     201     404
            specific              201     201  201  403     403    404      409 403     201     404
            basic                 201     201  201  403     403    404      409 403     201     404
            otp                   403     403  403  403     403    404      403 403     403     404
            sudo-reader           403     403  403  403     403    404      403 403     403     404
        """,
    },
    "v12": {},
    "v13": {},
    "v14": {},
    "v15": LIMITED,
    "v16": LIMITED,
    "v17": LIMITED,
}
# Forgejo's API grants these administrators Actions that are turned off; its pages then don't show them.
IN_VAIN = {"v11": {("administrator", "off"), ("site-admin", "off")}}


def expected(version: str, operation: str) -> dict[tuple[str, str], int]:
    """The status for each caller and repository that is asked for.

    Who is refused everywhere alike, for his credentials, asks for a few repositories only.
    """
    asked = OPERATIONS.get(operation) or BY_ID[operation]
    like, only = asked.like or operation, asked.only or REPOSITORIES
    rows = _rows(GRIDS[like]) | _rows(DIFFERENT[version].get(like, ""))
    said = {OPERATIONS[like].yes: asked.yes} | ({409: 423} if operation in BY_ID else {})
    return {
        (caller, repo): said.get(status, status)
        for caller, row in rows.items()
        for repo, status in row.items()
        if repo in only and (repo in FOR_ALL or len(set(row.values())) > 1)
    }


def _rows(grid: str) -> dict[str, dict[str, int]]:
    lines = [line.split() for line in grid.splitlines() if line.strip() and "archived" not in line]
    return {caller: dict(zip(REPOSITORIES, map(int, statuses), strict=True)) for caller, *statuses in lines}
