"""Localized texts, in two languages: enough to break whoever reads them instead of the data."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "unknown": "Unknown",
    "success": "Success",
    "failure": "Failure",
    "cancelled": "Canceled",
    "skipped": "Skipped",
    "waiting": "Waiting",
    "running": "Running",
    "blocked": "Blocked",
    "pushed_by": "pushed by",
    "commit": "Commit",
    "scheduled": "Scheduled",
    "workflow": "Workflow",
    "all_runs": "all runs",
    "not_started": "not started",
    "wait_label": "Waiting for a runner with the following label: {}",
    "wait_labels": "Waiting for a runner with the following labels: {}",
    "expired": "The logs of this job have been cleaned up.",
    "workflow_disabled": "Workflow is disabled.",
    "rerun_impossible": "The workflow cannot be rerun.",
    "job_rerun_impossible": "The job cannot be rerun.",
    "login_failed": "Wrong user name or password.",
    "code_failed": "The passcode is wrong.",
    "sign_in": "Sign in",
    "not_found": "This page is not here.",
    "no_runs": "There are no runs yet.",
    "empty_title": "(empty commit message)",
}
GERMAN: Mapping[str, str] = {
    "unknown": "Unbekannt",
    "success": "Erfolg",
    "failure": "Fehlgeschlagen",
    "cancelled": "Abgebrochen",
    "skipped": "Übersprungen",
    "waiting": "Wartend",
    "running": "Läuft",
    "blocked": "Blockiert",
    "pushed_by": "gepusht von",
    "commit": "Commit",
    "scheduled": "Geplant",
    "workflow": "Arbeitsablauf",
    "all_runs": "alle Läufe",
    "not_started": "nicht gestartet",
    "wait_label": "Wartet auf einen Runner mit dem Label: {}",
    "wait_labels": "Wartet auf einen Runner mit den Labels: {}",
    "expired": "Die Logs dieses Jobs wurden gelöscht.",
    "workflow_disabled": "Der Arbeitsablauf ist deaktiviert.",
    "rerun_impossible": "Der Arbeitsablauf kann nicht wiederholt werden.",
    "job_rerun_impossible": "Der Job kann nicht wiederholt werden.",
    "login_failed": "Benutzername oder Passwort ist falsch.",
    "code_failed": "Der Code ist falsch.",
    "sign_in": "Anmelden",
    "not_found": "Diese Seite gibt es nicht.",
    "no_runs": "Es gibt noch keine Läufe.",
    "empty_title": "(leere Commit-Nachricht)",
}


def language(cookie: str, accept: str) -> str:
    """`de-DE` or `en-US`, as the cookie says, else the first language that the client accepts."""
    wanted = cookie or accept
    return "de-DE" if wanted.strip().lower().startswith("de") else "en-US"


def texts(lang: str) -> Mapping[str, str]:
    return GERMAN if lang == "de-DE" else ENGLISH
