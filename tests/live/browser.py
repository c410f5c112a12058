"""A person's web session, signed in by the form and kept in cookies, as a browser has it."""

from __future__ import annotations

import re

import requests

HIDDEN_TOKEN = re.compile(r'name="_csrf" value="([^"]+)"')


class Browser:
    """`base` is a server's address, or that of a proxy before it."""

    def __init__(self, base: str, name: str, password: str) -> None:
        """Signs in; raises RuntimeError when that fails."""
        self.base = base
        # A browser on plain http sends no Sec-Fetch-Site; from v14 on Forgejo then compares Origin with Host.
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Origin"] = base
        answer = self.submit("/user/login", {"user_name": name, "password": password})
        if answer.status_code != 303 or self.get("/user/login").status_code != 303:
            raise RuntimeError(f"{name} can't sign in at {base}: {answer.status_code}, to {answer.headers}")

    def get(self, path: str) -> requests.Response:
        """A page; a redirect is not followed."""
        return self.session.get(self.base + path, allow_redirects=False, timeout=30)

    def submit(self, path: str, form: dict[str, str]) -> requests.Response:
        """Fetches a page and sends the form on it, with the hidden token of versions that have one."""
        token = HIDDEN_TOKEN.search(self.get(path).text)
        data = {**form, "_csrf": token[1]} if token else form
        return self.session.post(self.base + path, data, allow_redirects=False, timeout=30)

    def click(self, path: str) -> requests.Response:
        """What a button of the Actions pages does: a POST by script, with the token in a header."""
        headers = {"X-Csrf-Token": self.session.cookies.get("_csrf") or ""}
        return self.session.post(self.base + path, headers=headers, json={}, allow_redirects=False, timeout=30)
