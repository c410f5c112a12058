"""Signing in: the form, second factors, remember cookies, and what stands before every page."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from tests.double import answers, html
from tests.double.context import Context, context
from tests.double.sessions import Session, passcodes

pages = Blueprint("signin", __name__)
REMEMBER = f"; Max-Age={31 * 86400}"
CHANGE_PASSWORD = "/user/settings/change_password"


def guard(ctx: Context, path: str) -> Response | None:
    """What answers before the page does: a forced password change, the CSRF check, the sign-in that is required."""
    user = ctx.user
    if user and user.must_change_password and path != CHANGE_PASSWORD:
        return answers.redirect(ctx.sub + CHANGE_PASSWORD, method=request.method)
    sign_in_page = path in ("/user/login", "/user/two_factor", "/user/webauthn")
    remembered = request.cookies.get(ctx.version.remember_cookie) in ctx.sessions.remembered
    if user is None and not sign_in_page and remembered:
        ctx.cookie("redirect_to", ctx.sub + path)
        return answers.redirect(f"{ctx.sub}/user/login", method=request.method)
    if user is None and not sign_in_page and ctx.settings.REQUIRE_SIGNIN_VIEW:
        return answers.redirect(f"{ctx.sub}/user/login", method=request.method)
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if ctx.version.csrf_token:
        return None if path == "/user/login" else _token_check(ctx)
    return _origin_check()


def _token_check(ctx: Context) -> Response | None:
    if ctx.version.number <= 9 and request.method != "POST":
        return None
    if (request.headers.get("X-Csrf-Token") or request.form.get("_csrf")) == ctx.csrf:
        return None
    if not ctx.version.csrf_failure_redirects:
        return answers.text(400, "Invalid CSRF token.")
    ctx.cookie("gitea_flash", "error%3Dcsrf")
    return answers.redirect(f"{ctx.sub}/", method=request.method)


def _origin_check() -> Response | None:
    """As Go's CrossOriginProtection."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site in ("same-origin", "none") or (site is None and origin is None):
        return None
    if site is None and origin and urlsplit(origin).netloc == request.headers.get("Host"):
        return None
    return answers.text(403, "cross-origin request detected, and/or browser is out of date")


def begin_session(ctx: Context, session: Session) -> None:
    """A new session id instead of the old one."""
    ctx.sessions.end(ctx.session_key)
    ctx.session = session
    ctx.session_key = ctx.sessions.begin(session)
    ctx.cookie(ctx.version.session_cookie, ctx.session_key)


def _signed_in(ctx: Context, session: Session) -> Response:
    begin_session(ctx, session)
    if ctx.version.csrf_token:
        ctx.cookie("_csrf", "", "; Max-Age=0")
    ctx.cookie("lang", (session.user.language if session.user else "") or ctx.lang)
    target = request.cookies.get("redirect_to") or f"{ctx.sub}/"
    return answers.redirect(target, method=request.method)


@pages.get("/user/login")
def form() -> Response:
    ctx = context()
    if ctx.user:
        return answers.redirect(f"{ctx.sub}/")
    remembered = ctx.sessions.remembered.get(request.cookies.get(ctx.version.remember_cookie, ""))
    if remembered:
        return _signed_in(ctx, Session(remembered))
    return _form(ctx, None)


def _form(ctx: Context, error: str | None) -> Response:
    enabled = ctx.settings.ENABLE_INTERNAL_SIGNIN or not ctx.version.internal_signin_setting
    return ctx.page(html.login_form(ctx.sub, ctx.texts, error, ctx.csrf, enabled))


@pages.post("/user/login")
def sign_in() -> Response:
    ctx = context()
    if ctx.user:
        return answers.redirect(f"{ctx.sub}/", method="POST")
    if ctx.version.internal_signin_setting and not ctx.settings.ENABLE_INTERNAL_SIGNIN:
        return answers.text(403, "Forbidden")
    user = ctx.world.users.get(request.form.get("user_name", "").lower())
    if user is None or user.password != request.form.get("password"):
        return _form(ctx, ctx.texts["login_failed"])
    if not user.active or user.prohibited:
        return ctx.page("<h1>prohibited</h1>")
    if user.webauthn or user.totp:
        begin_session(ctx, Session(None, pending=user))
        return answers.redirect(f"{ctx.sub}/user/{'webauthn' if user.webauthn else 'two_factor'}", method="POST")
    if request.form.get("remember") == "on":
        ctx.cookie(ctx.version.remember_cookie, ctx.sessions.remember(user), REMEMBER)
    return _signed_in(ctx, Session(user))


@pages.route("/user/two_factor", methods=["GET", "POST"])
def two_factor() -> Response:
    ctx = context()
    pending = ctx.session.pending if ctx.session else None
    if pending is None or pending.totp is None:
        return answers.redirect(f"{ctx.sub}/user/login", method=request.method)
    if request.method == "GET":
        return ctx.page(html.passcode_form(ctx.sub, None, ctx.csrf))
    code = request.form.get("passcode")
    if code not in passcodes(pending.totp) or code == pending.last_passcode:
        return ctx.page(html.passcode_form(ctx.sub, ctx.texts["code_failed"], ctx.csrf))
    pending.last_passcode = code
    return _signed_in(ctx, Session(pending))


@pages.get("/user/webauthn")
def webauthn() -> Response:
    return context().page('<div class="user signin webauthn-prompt"></div>')


@pages.get(CHANGE_PASSWORD)
def change_password() -> Response:
    ctx = context()
    return ctx.page(f'<form action="{ctx.sub}{CHANGE_PASSWORD}" method="post"><input name="password"></form>')


@pages.post("/user/logout")
def logout() -> Response:
    ctx = context()
    ctx.sessions.end(ctx.session_key)
    return answers.redirect(f"{ctx.sub}/", method="POST")


@pages.get("/")
def home() -> Response:
    ctx = context()
    return answers.page(ctx.settings.front_page()) if ctx.settings.front_page else ctx.page("<p>home</p>")
