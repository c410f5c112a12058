"""The workflows that the tests push. `{label}` is that of the scripted runner, `{others}` one that no runner has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import yaml

ON_MAIN = "on: {{push: {{branches: [main], paths: ['.forgejo/workflows/{name}', 'touch/{name}/**']}}}}\n"
ON_FEATURES = "on: {{push: {{branches: ['feature/**']}}}}\n"
ON_AWAITED = "on: {{push: {{branches: [awaited]}}}}\n"

CI = """
jobs:
  build:
    runs-on: {label}
    steps:
      - {{name: compile, run: make}}
      - {{name: pack, run: tar}}
  test:
    needs: build
    runs-on: {label}
    steps:
      - {{name: unit, run: "true"}}
      - {{name: integration, run: "false"}}
  mypy:
    name: lint (mypy)
    runs-on: {label}
    steps:
      - {{name: lint, run: lint}}
"""
ONE_JOB = """
jobs:
  ship:
    runs-on: {label}
    steps:
      - {{name: ship, run: ship}}
"""
TWO_STEPS = """
jobs:
  race:
    runs-on: {label}
    steps:
      - {{name: one, run: one}}
      - {{name: two, run: two}}
"""
MATRIX = """
jobs:
  package:
    runs-on: {label}
    strategy: {{matrix: {{os: [bookworm, trixie]}}}}
    steps:
      - {{name: build, run: make}}
"""
NEEDS = """
jobs:
  first:
    runs-on: {label}
    steps:
      - {{name: fail, run: "false"}}
  second:
    needs: first
    runs-on: {label}
    steps:
      - {{name: never, run: "true"}}
"""
UNSERVED = """
jobs:
  lonely:
    runs-on: {others}
    steps:
      - {{name: never, run: "true"}}
"""
# The steps, in line 5, are no list.
BROKEN = """
on: push
jobs:
  a:
    steps: none
"""
WORKFLOWS = {
    "ci.yml": ON_MAIN + CI,
    "deploy.yml": ON_MAIN + ONE_JOB,
    "again.yml": ON_MAIN + ONE_JOB,
    "stop.yml": ON_MAIN + ONE_JOB,
    "big.yml": ON_MAIN + ONE_JOB,
    "files.yml": ON_MAIN + ONE_JOB,
    "slow.yml": ON_MAIN + ONE_JOB,
    "fast.yml": ON_MAIN + TWO_STEPS,
    "late.yml": ON_MAIN + ONE_JOB,
    "matrix.yml": ON_MAIN + MATRIX,
    "needs.yml": ON_MAIN + NEEDS,
    "unserved.yml": ON_MAIN + UNSERVED,
    "feature.yml": ON_FEATURES + ONE_JOB,
    "awaited.yml": ON_AWAITED + ONE_JOB,
}


@dataclass(frozen=True)
class Job:
    """A job that a run of a workflow has; `key` is its id in the file."""

    key: str
    name: str
    steps: tuple[str, ...]
    needs: tuple[str, ...]
    label: str


def text(name: str, label: str) -> str:
    """The workflow's file."""
    return WORKFLOWS[name].format(name=name, label=label, others=f"not-{label}")


def jobs(name: str, label: str) -> list[Job]:
    """The jobs that Forgejo makes of it."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(text(name, label))["jobs"]
    return [job for key, spec in found.items() for job in _expanded(str(key), spec)]


def _expanded(key: str, spec: dict[str, Any]) -> list[Job]:
    matrix = spec.get("strategy", {}).get("matrix", {})
    needs = spec.get("needs", ())
    names = [spec.get("name", key)]
    if matrix:
        names = [f"{key} ({', '.join(values)})" for values in itertools.product(*matrix.values())]
    return [
        Job(
            key=key,
            name=name,
            steps=tuple(step["name"] for step in spec["steps"]),
            needs=(needs,) if isinstance(needs, str) else tuple(needs),
            label=spec["runs-on"],
        )
        for name in names
    ]
