"""Cross-origin requests to the API, as Forgejo answers them with `[cors] ENABLED`: before any route is looked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Response, request

ALWAYS = ("authorization", "x-gitea-otp", "x-forgejo-otp", "origin")


@dataclass
class Cors:
    """The section `[cors]` of app.ini."""

    ALLOW_DOMAIN: list[str] = field(default_factory=lambda: ["*"])
    METHODS: list[str] = field(default_factory=lambda: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    HEADERS: list[str] = field(default_factory=lambda: ["Content-Type", "User-Agent"])
    ALLOW_CREDENTIALS: bool = False
    MAX_AGE: int = 600

    def preflight(self) -> Response | None:
        """The answer to a preflight; None for another request."""
        method = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or not method:
            return None
        answer = Response(None, 200)
        del answer.headers["Content-Type"]
        for name in ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"):
            answer.headers.add("Vary", name)
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        names = [name.strip().title() for name in wanted.split(",") if name.strip()]
        known = {*ALWAYS, *(name.lower() for name in self.HEADERS)}
        if self._allows(method) and known.issuperset(name.lower() for name in names):
            self._allow(answer)
            answer.headers["Access-Control-Allow-Methods"] = method.upper()
            if names:
                answer.headers["Access-Control-Allow-Headers"] = ", ".join(names)
            answer.headers["Access-Control-Max-Age"] = str(self.MAX_AGE)
        return answer

    def add_to(self, answer: Response) -> None:
        """What an answer to any other request has besides."""
        answer.headers.add("Vary", "Origin")
        if self._allows(request.method):
            self._allow(answer)

    def _allows(self, method: str) -> bool:
        origin = request.headers.get("Origin", "").lower()
        fits = bool(origin) and ("*" in self.ALLOW_DOMAIN or origin in self.ALLOW_DOMAIN)
        return fits and (method.upper() == "OPTIONS" or method.upper() in self.METHODS)

    def _allow(self, answer: Response) -> None:
        origin = "*" if "*" in self.ALLOW_DOMAIN else request.headers["Origin"]
        answer.headers["Access-Control-Allow-Origin"] = origin
        if self.ALLOW_CREDENTIALS:
            answer.headers["Access-Control-Allow-Credentials"] = "true"
