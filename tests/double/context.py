"""What a handler needs to know of the request it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flask import Response, g, request

from tests.double import answers, html
from tests.double.cors import Cors
from tests.double.model import Repo, User
from tests.double.permissions import Principal, allowed, sees
from tests.double.sessions import Session, Sessions
from tests.double.texts import language, texts
from tests.double.versions import Version
from tests.double.view import Viewer
from tests.double.world import World


@dataclass
class Settings:
    """The settings of app.ini that matter here."""

    ENABLE_INTERNAL_SIGNIN: bool = True
    REQUIRE_SIGNIN_VIEW: bool = False
    pages_tell_version: bool = True  # as those of every known Forgejo do
    gzip: bool = False
    cors: Cors | None = None  # without it, the API knows no OPTIONS
    SERVE_DIRECT: str = ""  # where the storage signs URLs that are served from there, as https://storage.example
    front_page: Callable[[], str] | None = None  # the demo's; with it, the pages of runs are made for people too


@dataclass
class Context:
    """One request's surroundings. `root` is ROOT_URL without the slash at its end."""

    world: World
    settings: Settings
    sessions: Sessions
    root: str
    principal: Principal
    session_key: str = ""
    session: Session | None = None
    set_cookies: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def version(self) -> Version:
        return self.world.version

    @property
    def sub(self) -> str:
        """The path of ROOT_URL: empty, or with a slash in front."""
        _, _, path = self.root.partition("://")[2].partition("/")
        return f"/{path}" if path else ""

    @property
    def user(self) -> User | None:
        """Who is signed in to the web UI."""
        return self.session.user if self.session else None

    @property
    def lang(self) -> str:
        chosen = request.cookies.get("lang", "") or (self.user.language if self.user else "")
        return language(chosen, request.headers.get("Accept-Language", ""))

    @property
    def texts(self) -> Mapping[str, str]:
        return texts(self.lang)

    @property
    def csrf(self) -> str | None:
        return self.sessions.csrf(self.user) if self.version.csrf_token else None

    def cookie(self, name: str, value: str, attributes: str = "") -> None:
        """A cookie of the answer. All but the session's are preceded by the deletion of an older form of path."""
        secure = "; Secure" if self.root.startswith("https:") else ""
        if self.sub and name != self.version.session_cookie:
            old = f"{self.sub}/"
            self.set_cookies[name, old] = f"{name}=; Path={old}; Max-Age=0; HttpOnly{secure}; SameSite=Lax"
        path = self.sub or "/"
        self.set_cookies[name, path] = f"{name}={value}; Path={path}{attributes}; HttpOnly{secure}; SameSite=Lax"

    def page(self, body: str, status: int = 200) -> Response:
        return answers.page(self._html(body), status)

    def not_found(self) -> Response:
        """Also the answer to whoever lacks a right."""
        if "text/html" not in request.headers.get("Accept", ""):
            return answers.not_found(None)
        body = f"<p>{self.texts['not_found']}</p>"
        return answers.not_found(self._html(body))

    def _html(self, body: str) -> str:
        version = self.version.reported if self.settings.pages_tell_version else ""
        return html.page(body, self.sub, self.lang, self.user, self.csrf, self.version.logout_form, version)

    def web_principal(self) -> Principal:
        return Principal(self.principal.label, self.user)

    def may(self, repo: Repo, unit: str, level: str) -> bool:
        """A right of the signed-in user."""
        return allowed(self.version, self.web_principal(), repo, unit, level)

    def sees(self, repo: Repo) -> bool:
        return sees(self.version, self.web_principal(), repo)

    def viewer(self, repo: Repo) -> Viewer:
        writes, administers = self.may(repo, "repo.actions", "write"), self.may(repo, "repo.code", "admin")
        return Viewer(self.sub, self.texts, writes, administers)


def context() -> Context:
    """That of the request being answered."""
    found = g.context
    assert isinstance(found, Context)
    return found
