"""Artifacts by run number: the list, and the zip as Forgejo has it, whole, in part, or from a storage elsewhere."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from email.message import Message
from urllib.parse import quote, unquote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from addon.api.answers.artifacts import zip_name
from tests.conftest import Target
from tests.double import Double, Fault
from tests.support.proxy import Proxy, raw, start_proxy
from tests.support.sample import Sample, number_in, sample
from tests.support.upstream import Upstream

NAMES = (
    "test-report", "ünïcödé ✓", "a/b", "..\\x", "?x=1#y", "%2e%2e%2f", "a b+c&d", "x;y", "…", "'\"<b>", "...", "r\r\nX-Evil: 1",
    "dist.zip", "\u202egnp", "z" * 255,
)  # fmt: skip


def zipped(text: str = "hello", size: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("file"), text + "x" * size)
    return buffer.getvalue()


def url(demo: Sample, run: int, name: str) -> str:
    return f"{demo.base}/{run}/artifacts/{quote(name, safe='')}"


def file_name(answer: requests.Response) -> str:
    """What a client saves it as."""
    message = Message()
    message["Content-Disposition"] = answer.headers["Content-Disposition"]
    return message.get_filename() or ""


def test_the_list(target: Target, demo: Sample) -> None:
    run, data = demo.runs["failed"], zipped()
    assert target.request("GET", f"{demo.base}/2/artifacts", demo.reader).json() == {"total_count": 0, "artifacts": []}
    target.world.artifact(run, "a b", data)
    target.world.artifact(run, "old", data).expired = True
    listed = target.request("GET", f"{demo.base}/by-number/2/artifacts", demo.reader).json()
    assert listed["total_count"] == 2
    first, second = listed["artifacts"]
    assert first == {
        "name": "a b",
        "size_in_bytes": len(data),
        "status": "completed",
        "expired": False,
        "archive_download_url": f"{target.proxy.url}{demo.base}/by-number/2/artifacts/a%20b",
    }
    assert (second["expired"], second["status"], second["archive_download_url"]) == (True, "expired", None)
    got = requests.get(first["archive_download_url"], headers={"Authorization": f"token {demo.reader}"}, timeout=20)
    assert got.content == data


def test_a_name_may_hold_nearly_anything(target: Target, demo: Sample) -> None:
    for name in NAMES:
        target.world.artifact(demo.runs["failed"], name, zipped(name))
    listed = target.request("GET", f"{demo.base}/2/artifacts", demo.reader).json()["artifacts"]
    for name, entry in zip(NAMES, listed, strict=True):
        assert entry["name"] == name and entry["archive_download_url"].endswith(url(demo, 2, name).rpartition("/")[2])
        answer = target.request("GET", url(demo, 2, name), demo.reader)
        assert (answer.status_code, answer.content) == (200, zipped(name)), (name, answer.text)
        assert answer.headers["Content-Type"] == "application/zip" and number_in(answer) == 2
        assert "X-Evil" not in answer.headers and file_name(answer).endswith(".zip")


def test_head_tells_the_length_where_forgejo_does(target: Target, demo: Sample) -> None:
    target.world.artifact(demo.runs["failed"], "report", zipped())
    head = target.request("HEAD", url(demo, 2, "report"), demo.reader)
    assert head.status_code == 200 and head.content == b"" and file_name(head) == "report.zip"
    assert head.headers.get("Content-Length") == (None if target.number < 9 else str(len(zipped())))


def test_by_run_number_though_forgejo_wants_ids(target: Target, demo: Sample) -> None:
    """The same name in runs whose database ids are other runs' numbers."""
    for number, run in enumerate(demo.repo.runs, start=1):
        target.world.artifact(run, "report", zipped(f"of run {number}"))
    for number in range(1, 5):
        answer = target.request("GET", url(demo, number, "report"), demo.reader)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.read("file").decode() == f"of run {number}"
    latest = target.request("GET", f"{demo.base}/latest/artifacts/report?workflow_id=deploy.yml", demo.reader)
    assert number_in(latest) == 3
    assert target.request("GET", f"{url(demo, 3, 'report')}?workflow_id=ci.yml", demo.reader).status_code == 404


def test_a_number_is_a_name_and_never_an_id(target: Target, demo: Sample) -> None:
    run = demo.runs["failed"]
    secret = target.world.artifact(run, "secret", zipped("secret"))
    missing = target.request("GET", url(demo, 2, str(secret.id)), demo.reader)
    assert missing.status_code == 404 and "'secret'" in missing.json()["message"]
    mine = target.world.artifact(run, str(secret.id), zipped("mine"))
    assert target.request("GET", url(demo, 2, mine.name), demo.reader).content == mine.data

    def delete() -> None:
        run.artifacts.remove(mine)

    download = rf"^GET /{demo.repo.full_name}/actions/runs/[0-9]+/artifacts/{mine.name}$"
    target.double.faults.append(Fault(match=download, kind="call", value=delete))
    late = target.request("GET", url(demo, 2, mine.name), demo.reader)
    assert late.status_code == 404 and late.content != secret.data


def test_ranges_where_forgejo_has_them(target: Target, demo: Sample) -> None:
    data = zipped(size=1000)
    target.world.artifact(demo.runs["failed"], "report", data)
    part = target.request("GET", url(demo, 2, "report"), demo.reader, headers={"Range": "bytes=10-19"})
    if target.number < 9:
        assert (part.status_code, part.content) == (200, data) and "Content-Length" not in part.headers
        return
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    past = target.request("GET", url(demo, 2, "report"), demo.reader, headers={"Range": "bytes=99999-"})
    assert (
        past.status_code == 416 and past.json()["message"] and past.headers["Content-Range"] == f"bytes */{len(data)}"
    )


def test_files_that_forgejo_zips_as_it_sends_them(target: Target, demo: Sample) -> None:
    target.world.artifact(demo.runs["failed"], "old kind", b"content", v3=True)
    answer = target.request("GET", url(demo, 2, "old kind"), demo.reader, headers={"Range": "bytes=0-3"})
    assert answer.status_code == 200 and "Content-Length" not in answer.headers
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("file") == b"content"
    assert file_name(answer) == "old kind.zip"


def test_unknown_and_expired(target: Target, demo: Sample) -> None:
    run = demo.runs["failed"]
    none = target.request("GET", url(demo, 2, "report"), demo.reader)
    assert none.status_code == 404 and "it has: none" in none.json()["message"]
    target.world.artifact(run, "report", zipped()).expired = True
    gone = target.request("GET", url(demo, 2, "report"), demo.reader)
    assert gone.status_code == 410 and "expired" in gone.json()["message"]
    for number in range(30):
        target.world.artifact(run, f"part-{number}", zipped())
    unknown = target.request("GET", url(demo, 2, "Report"), demo.reader)
    assert unknown.status_code == 404 and "'part-18', …" in unknown.json()["message"]
    assert target.request("GET", url(demo, 9, "report"), demo.reader).status_code == 404
    for bad in ("%ff", "%00", "%2e%2e", "a/b", "\u00fc".encode().decode("latin-1"), "z" * 256):
        request = f"GET {demo.base}/2/artifacts/{bad} HTTP/1.1\r\nHost: x\r\nAuthorization: token {demo.reader}\r\n"
        answer = raw(target.proxy, f"{request}Connection: close\r\n\r\n".encode("latin-1"))
        assert answer.startswith(b"HTTP/1.1 400 "), (bad, answer[:300])


def test_only_for_who_may_read(target: Target, demo: Sample) -> None:
    target.world.artifact(demo.runs["failed"], "report", zipped("private"))
    target.double.forget_requests()
    for token in (demo.stranger, None):
        for path in (f"{demo.base}/2/artifacts", url(demo, 2, "report")):
            answer = target.request("GET", path, token)
            assert answer.status_code in (401, 404) and b"private" not in answer.content
    assert [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path] == []
    posted = target.request("POST", f"{demo.base}/2/artifacts", demo.reader)
    assert posted.status_code == 405 and posted.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("v3", [False, True])
def test_half_an_artifact_does_not_look_whole(target: Target, demo: Sample, v3: bool) -> None:
    """With a length or without one."""
    target.world.artifact(demo.runs["failed"], "report", zipped(size=300_000), v3=v3)
    download = rf"^GET /{demo.repo.full_name}/.*/artifacts/report$"
    for kind in ("truncate", "cut"):
        target.double.faults.append(Fault(match=download, kind=kind))
        with pytest.raises(requests.exceptions.RequestException):
            target.request("GET", url(demo, 2, "report"), demo.reader)


@pytest.mark.parametrize(
    ("kind", "value"), [("html", None), ("json", {}), ("status", 500), ("drop", None), ("redirect", "/user/settings")]
)
def test_nonsense_is_not_passed_on(target: Target, demo: Sample, kind: str, value: object) -> None:
    target.world.artifact(demo.runs["failed"], "report", zipped())
    download = rf"^GET /{demo.repo.full_name}/.*/artifacts/report$"
    target.double.faults.append(fault := Fault(match=download, kind=kind, value=value, times=9))
    try:
        answer = target.request("GET", url(demo, 2, "report"), demo.reader, allow_redirects=False)
    finally:
        target.double.faults.remove(fault)
    assert answer.status_code == 502 and "Location" not in answer.headers, answer.text
    assert target.request("GET", url(demo, 2, "report"), demo.reader).status_code == 200


@pytest.fixture(scope="module", params=["v7", "v17"])
def direct(request: pytest.FixtureRequest) -> Iterator[tuple[Double, Proxy, Upstream, Sample]]:
    """A Forgejo whose artifacts are served by a storage elsewhere, and that storage."""
    with Upstream() as storage, Double(version=request.param) as double:
        double.settings.SERVE_DIRECT = storage.url
        demo, admin = sample(double.world, "direct"), double.world.admin
        double.world.artifact(demo.runs["failed"], "report", zipped())
        with start_proxy(double.url, (admin.name, admin.password)) as proxy:
            yield double, proxy, storage, demo


def test_a_storage_elsewhere_is_named_to_the_caller_alone(direct: tuple[Double, Proxy, Upstream, Sample]) -> None:
    """The signed URL goes to who may read; the proxy itself never goes there, so neither does its session."""
    _, proxy, storage, demo = direct
    asked, reader = f"{proxy.url}{url(demo, 2, 'report')}", {"Authorization": f"token {demo.reader}"}
    refused = requests.get(
        asked, headers={"Authorization": f"token {demo.stranger}"}, timeout=20, allow_redirects=False
    )
    assert refused.status_code == 404 and "Location" not in refused.headers
    for method in ("GET", "HEAD"):
        answer = requests.request(method, asked, headers=reader, timeout=20, allow_redirects=False)
        assert answer.status_code == 303 and answer.content == b""
        assert (
            answer.headers["Location"].startswith(f"{storage.url}/bucket/")
            and "Signature" in answer.headers["Location"]
        )
        assert "Set-Cookie" not in answer.headers
    assert storage.requests == []
    assert requests.get(asked, headers=reader, timeout=20).content == b"hello"
    assert [
        name for seen in storage.requests for name in seen.headers if name.lower() in ("cookie", "authorization")
    ] == []


@given(st.text(min_size=1))
def test_any_name_makes_a_file_name(name: str) -> None:
    """A header's value of one line, of which both forms end in .zip and name no folder."""
    value = zip_name(name)
    assert value.isascii() and value.isprintable()
    plain, _, encoded = value.partition('"; ')
    assert plain.startswith('filename="') and plain.endswith(".zip") and plain.count('"') == 1
    decoded = unquote(encoded.removeprefix("filename*=UTF-8''"), errors="strict")
    assert decoded.lower().endswith(".zip") and not set("/\\") & set(decoded + plain)


@pytest.mark.parametrize("headers", [{"Range": "bytes=0-3,10-19"}, {"Range": "bytes=0-3", "If-Range": '"x"'}])
def test_several_ranges_or_a_condition_give_the_whole(target: Target, demo: Sample, headers: dict[str, str]) -> None:
    """As HTTP allows. Forgejo would send a body of several parts, which is neither a log nor a zip."""
    data = bytes(range(256)) * 8
    target.world.artifact(demo.runs["failed"], "report", data)
    for tail in ("2/artifacts/report", "2/logs"):
        whole = target.request("GET", f"{demo.base}/{tail}", demo.reader)
        answer = target.request("GET", f"{demo.base}/{tail}", demo.reader, headers=headers)
        assert (answer.status_code, answer.content) == (200, whole.content), tail
        assert answer.headers["Content-Type"] == whole.headers["Content-Type"]
