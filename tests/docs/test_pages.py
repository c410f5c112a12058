"""The documentation pages: their links lead somewhere, and what they quote from the code is the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from addon import ROOT, __version__
from addon.forgejo.versions import FACTS

PAGES = [ROOT / "README.md", *sorted((ROOT / "addon/docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and Forgejo make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{page.name}: {link}"


def test_the_readme_links_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(f"addon/docs/{page.name}" in readme for page in PAGES[1:])


def test_the_facts_by_version_are_the_codes() -> None:
    table = (ROOT / "addon/docs/api.md").read_text().partition("<!-- facts:")[2]
    rows = re.findall(r"^\| (\d+) \| (.*) \| (.*) \|$", table, re.MULTILINE)
    assert rows == [(str(fact.since), fact.text, fact.before) for fact in FACTS.values()]


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__} " in (ROOT / "addon/docs/changelog.md").read_text()
