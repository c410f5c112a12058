"""The measurements measure: small ones of each kind, and how they are shown."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from addon import ROOT
from tests.bench import extension, install, ordinary
from tests.bench.answers import COMPARED, answers, busy
from tests.bench.contestants import BARE, DIRECT, OURS, THIS, start_contestants
from tests.bench.forgejo import start_forgejo
from tests.bench.load import Latencies
from tests.bench.report import Table, picture, shown
from tests.bench.upstream import ANSWER_SECONDS, start_upstream


def test_ordinary_traffic() -> None:
    with start_upstream() as upstream, start_contestants(upstream, forked=True) as contestants:
        small = ordinary.small_requests(contestants, 1, 0.1)
        bodies = ordinary.bodies(contestants, 1, 2)
    for table in (*small, bodies):
        assert {DIRECT, BARE, OURS} <= {name for name, _ in table.rows}
        assert "ours / bare" in table.text()
    for table in small:
        for _, (per_second, half, most, _) in table.rows:
            assert float(per_second) > 0 and 1000 * ANSWER_SECONDS <= float(half) <= float(most)


def test_the_extension() -> None:
    other = replace(THIS, name="other")
    with (
        start_forgejo([1]) as forgejo,
        start_contestants(forgejo.url, forgejo.admin, against=other, forked=True) as contestants,
    ):
        figures, compared = answers(forgejo, contestants, 1)
        logs = extension.logs(forgejo, contestants, 1)
        followers = extension.followers(forgejo, contestants, [2], 0.5)
        start = install.start_up(forgejo, [THIS], 1)
    for _, (half, _, requests, total, most, together, over, proxy, application) in figures.rows:
        assert float(requests) >= 2 and float(half) > float(together) and float(over) > 0
        assert 1000 * ANSWER_SECONDS <= float(most) <= float(together) <= float(total) + 1e-6
        assert float(proxy) > 0 and float(application) > 0
    for _, ratios in compared.rows:
        assert len(ratios) == len(COMPARED) and ratios[COMPARED.index("requests")] == 1
    assert len(logs.rows) == len(contestants) and "1 MB: ours / other: " in logs.text()
    assert [name for name, _ in followers.rows] == ["2, ours", "2, other"]
    ((_, (listens, first, cpu)),) = start.rows
    assert 0 < float(listens) < float(first) and float(cpu) > 0


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the project's git repository")
def test_another_revision() -> None:
    with install.checkout("HEAD") as folder:
        assert (folder / "addon/entry.py").read_bytes() == (ROOT / "addon/entry.py").read_bytes()
        assert 0 < install.megabytes(folder) < 100


@pytest.mark.parametrize(
    ("spans", "seconds"), [([], 0), ([(1, 2), (4, 5)], 2), ([(1, 3), (2, 4)], 3), ([(2, 3), (1, 5)], 4)]
)
def test_overlaps_count_once(spans: list[tuple[float, float]], seconds: float) -> None:
    assert busy(spans) == seconds


def test_percentiles() -> None:
    found = Latencies([number / 1000 for number in range(1, 101)], 2.0)
    assert (found.per_second, found.percentile(50), found.percentile(99)) == (50, 51, 100)


def test_a_table_and_its_picture() -> None:
    table = Table(
        "speed <of all>", ("a/s", "b"), [("ours", [1234.5, 0.1234]), ("bare mitmdump", [20.0, "—"])], ("a/s",)
    )
    assert [line.split() for line in table.text().splitlines()[2:]] == [
        ["ours", "1,234", "0.123"],
        ["bare", "mitmdump", "20", "—"],
    ]
    drawn = ElementTree.fromstring(picture([table]))
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert texts == ["speed <of all>: a/s", "ours", "1,234", "bare mitmdump", "20"]
    widths = [float(element.get("width", "0").rstrip("%")) for element in drawn.iter() if element.tag.endswith("rect")]
    assert widths[1] > 50 * widths[2] > 0
    assert shown(99.96) == "100"
