"""Files of a leaderboard: whole, escaped, and in the formats that others read."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from reasonbench.benchmarks import names as benchmark_names
from reasonbench.reports.data import Report
from reasonbench.reports.exports import latex, markdown, table, write_exports
from reasonbench.reports.hub_results import hub_results
from reasonbench.reports.leaderboard import read_report
from reasonbench.reports.references import references
from tests.reports.reported_runs import ITEMS, change_plan
from tests.stored_runs import write_run

HOSTILE = "org/a|b_<script>&%$#~^{}\\`*[x]\n| c"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("runs") / "run_1"
    write_run(folder, ITEMS, ["cot@4", "maj@4", "oracle@4"], benchmark="gsm8k", model=HOSTILE)
    change_plan(folder, {"source": "hub:openai/gsm8k@abc (2 left out)", "revision": "abc"},
                deviations=["nothing: 4 samples"])  # fmt: skip
    return read_report([folder], references=True)


def test_all_files_are_written(report: Report, tmp_path: Path) -> None:
    written = write_exports(report, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        "leaderboard.md",
        "leaderboard.csv",
        "leaderboard.tex",
        ".eval_results/gsm8k-maj-4.yaml",
        ".eval_results/gsm8k-cot-4.yaml",
    ]
    assert all(path.read_text(encoding="utf-8") for path in written)


def test_a_hostile_name_stays_in_its_cell_of_markdown(report: Report) -> None:
    lines = [line for line in markdown(report).splitlines() if line.startswith("|")]
    entries = [line for line in lines if "script" in line]
    assert len(entries) == 3
    assert "<script>" not in markdown(report)
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines[:5]]
    assert len(set(cells)) == 1


def test_a_hostile_name_stays_in_its_cell_of_latex(report: Report) -> None:
    rows = [line for line in latex(report).splitlines() if "script" in line]
    assert len(rows) == 3
    head = next(line for line in latex(report).splitlines() if line.startswith("Rank"))
    cells = [len(re.findall(r"(?<!\\)&", line)) for line in (head, *rows)]
    assert len(set(cells)) == 1
    for special in ("%", "$", "#", "_"):
        assert not re.search(rf"(?<!\\){re.escape(special)}", rows[0])


def test_published_figures_are_marked_and_not_in_the_csv(report: Report) -> None:
    assert "## Published figures (not measured here)" in markdown(report)
    assert "% published figures, not measured here" in latex(report)
    assert "DeepSeek" not in table(report)


def test_the_csv_has_every_entry_in_full_precision(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(table(report))))
    assert [row["strategy"] for row in rows] == ["oracle@4", "maj@4", "cot@4"]
    for row, entry in zip(rows, report.entries, strict=True):
        assert entry.accuracy is not None
        assert float(row["accuracy"]) == entry.accuracy.value
        assert (float(row["interval_low"]), float(row["interval_high"])) == entry.accuracy[1:3]
        assert row["model"] == HOSTILE
        assert row["rank_best"] == ("" if entry.rank is None else str(entry.rank.best))


def test_results_for_the_hub_are_what_it_documents(report: Report) -> None:
    yaml = pytest.importorskip("yaml")
    found = hub_results(report)
    (data,) = yaml.safe_load(found[".eval_results/gsm8k-cot-4.yaml"])
    assert data["dataset"] == {"id": "openai/gsm8k", "task_id": "gsm8k", "revision": "abc"}
    assert data["value"] == 43.75
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", data["date"])
    assert data["notes"].startswith("pass@1 (cot@4) in per cent on 4 problems, 95 % interval ")
    assert "deviates from nothing: 4 samples" in data["notes"]
    assert "org/a|b_<script>" in data["notes"]


def test_the_hubs_own_library_reads_them(report: Report) -> None:
    yaml = pytest.importorskip("yaml")
    hub: Any = pytest.importorskip("huggingface_hub")
    if not hasattr(hub, "parse_eval_result_entries"):
        pytest.skip("this huggingface_hub does not know .eval_results yet")
    for text in hub_results(report).values():
        (entry,) = hub.parse_eval_result_entries(yaml.safe_load(text))
        assert entry.dataset_id == "openai/gsm8k"
        assert isinstance(entry.value, float)


def test_only_what_comes_from_the_hub_has_results_for_it(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS, ["cot@4"])
    assert hub_results(read_report([tmp_path / "run"])) == {}


def test_several_models_have_a_folder_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_run(tmp_path / name, ITEMS, ["cot@4"], model=f"org/{name}")
        change_plan(tmp_path / name, {"source": "hub:org/data@abc"})
    found = hub_results(read_report([tmp_path / "one", tmp_path / "two"]))
    assert sorted(found) == [
        "org-one/.eval_results/sums-cot-4.yaml",
        "org-two/.eval_results/sums-cot-4.yaml",
    ]


def test_published_figures_have_sources_and_names_of_ours() -> None:
    found = references(["math500"])
    assert all(0 < one.value < 1 and one.source and one.url for one in found)
    assert {one.benchmark for one in found} - set(benchmark_names()) == {"brumo25"}
    assert {one.benchmark for one in found if one.measured} == {"math500"}
    assert [one.measured for one in found] == sorted((one.measured for one in found), reverse=True)
    figures = {(one.model, one.benchmark, one.metric): one.value for one in found}
    assert figures["DeepSeek-R1-Distill-Qwen-1.5B", "aime24", "cons@64"] == pytest.approx(0.527)
    assert len(figures) == len(found)


def test_models_and_runs_in_other_scripts_keep_files_of_their_own(tmp_path: Path) -> None:
    """Slugs are ASCII: what is left of these names is nothing."""
    for name, model in (("一", "模型"), ("二", "模型"), ("三", "模型"), ("四", "型号")):
        folder = tmp_path / name
        write_run(folder, ITEMS, ["cot@4"], benchmark="gsm8k", model=model)
        change_plan(folder, {"source": "hub:openai/gsm8k"})
    found = hub_results(read_report([tmp_path / name for name in "一二三四"]))
    assert len(found) == 4
    assert len({path.partition("/")[0] for path in found}) == 2
