"""What a log does not say is unknown wherever it is shown: never 0."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from reasonbench.points import read_points
from reasonbench.reports.comparison import compare
from reasonbench.reports.comparison_data import comparison_data
from reasonbench.reports.exports import latex, markdown, table
from reasonbench.reports.leaderboard import read_report
from reasonbench.reports.report_page import report_page
from reasonbench.reports.sides import open_side, parse_side
from reasonbench.reports.viewer.book import open_book
from reasonbench.reports.viewer.write import write_viewer
from reasonbench.runs import RunStore
from tests.imports.importing import Made, bring
from tests.imports.logs import (
    inspect_sample,
    lighteval_row,
    lm_eval_row,
    write_inspect_json,
    write_lighteval,
    write_lm_eval,
)
from tests.test_cli import run


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Neither tokens nor ends are known."""
    tmp_path = tmp_path_factory.mktemp("blind")
    rows = [lm_eval_row(at, ["The answer is 5."], {"exact_match": 1.0}) for at in (0, 1)]
    return bring(tmp_path / "blind", write_lm_eval(tmp_path / "log", rows))


@pytest.fixture(scope="module")
def open_ended(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Tokens are known, ends are not."""
    tmp_path = tmp_path_factory.mktemp("open")
    rows = [lighteval_row(at, ["The answer is 5.", "It is 40."], {"em": 0.5}) for at in (0, 1)]
    return bring(tmp_path / "open", write_lighteval(tmp_path / "folder", rows))


def test_tables_say_so(blind: Made) -> None:
    report = read_report([blind.folder])
    cells = next(row for row in markdown(report).splitlines() if "cot@1" in row).split(" | ")
    head = next(row for row in markdown(report).splitlines() if "Rank" in row).split(" | ")
    found = dict(zip(head, cells, strict=True))
    assert found["Cut (%)"] == found["Tokens"] == found["FLOPs"] == "–"
    assert found["No answer (%)"] == "0.0"
    assert " & – & " in latex(report)
    (row,) = csv.DictReader(io.StringIO(table(report)))
    assert row["truncated"] == row["decode_tokens"] == row["flops"] == ""
    assert row["no_answer"] == "0.0"


def test_the_page_says_so(blind: Made) -> None:
    html = report_page(read_report([blind.folder]), [])
    row = html[html.index('<tr id="e0"') :].partition("</tr>")[0]
    assert row.count('data-value="">–</td>') == 8  # rank, cut, completed, tokens …
    assert "<dt>decode tokens</dt><dd>–</dd>" in html


def test_a_comparison_says_so(blind: Made, tmp_path: Path) -> None:
    again = shutil.copytree(blind.folder, tmp_path / "again")
    with (
        open_side(parse_side(str(blind.folder)), "A") as a,
        open_side(parse_side(str(again)), "B") as b,
    ):
        (row,) = comparison_data(compare(a, b))["rows"]
    assert row["a"]["truncated"] is row["a"]["tokens"] is row["b"]["truncated"] is None
    assert row["a"]["no_answer"] == 0.0


def test_a_frontier_says_so(open_ended: Made) -> None:
    with RunStore.open(open_ended.folder) as store:
        (found,) = read_points(store, "run")
    assert {point.truncated for point in found.points} == {None}
    shown = json.loads(run("frontier", str(open_ended.folder), "--json").stdout)
    points = [point for table in shown["tables"] for point in table["points"]]
    assert {point["truncated"] for point in points} == {None}


def test_charts_call_nothing_cut_that_may_be(open_ended: Made) -> None:
    report = read_report([open_ended.folder])
    (lengths,) = report.lengths
    assert (lengths.ends_known, lengths.truncated) == (False, None)
    assert {problem.truncated for problem in report.solve_rates[0].problems} == {None}


def test_the_viewer_says_so(blind: Made, tmp_path: Path) -> None:
    write_viewer(open_book([blind.folder]), tmp_path / "viewer", title="t")
    listed = (tmp_path / "viewer" / "data" / "index-0.js").read_text()
    assert '"i",1,0,1,0.0,null,0,0,0,null]' in listed.replace(" ", "")
    samples = (tmp_path / "viewer" / "data" / "shard-0.js").read_text().replace(" ", "")
    assert '"finish":"unknown"' in samples
    assert '"tokens":' not in samples


def test_what_was_counted_elsewhere_is_summed(tmp_path: Path) -> None:
    samples = [inspect_sample(at, 1, "5", "C") for at in (0, 1)]
    made = bring(tmp_path, write_inspect_json(tmp_path / "log.json", samples))
    used = made.results["run"]["usage"]
    assert (used["requests"], used["prompt_tokens"], used["decode_tokens"]) == (2, 50, 60)
    assert used["cached_tokens"] is used["generation_seconds"] is None
