"""Reports of small runs: whence their numbers are, who is ranked, what is warned of."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.reports import compute, stored
from reasonbench.reports.data import Entry, RankRange, Report
from reasonbench.reports.leaderboard import read_report, run_names
from reasonbench.reports.stored import read_pools
from reasonbench.runs import RunStore
from reasonbench.summary import PLAN
from tests.reports.reported_runs import ITEMS, NO, R, W, change_plan, write_texts
from tests.stored_runs import Drawn, Item, write_run

STRATEGIES = (
    "cot@4", "maj@4", "oracle@4", "bon@4:scorer=logprob", "wbon@4:scorer=logprob", "asc@4",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder, ITEMS, STRATEGIES)
    return folder


@pytest.fixture(scope="module")
def report(run: Path) -> Report:
    return read_report([run], references=True)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())["rows"]
    return rows


def named(report: Report, strategy: str, run: str = "run") -> Entry:
    (found,) = (e for e in report.entries if e.strategy == strategy and e.run == run)
    return found


def test_accuracies_are_those_worked_out_by_hand(report: Report) -> None:
    found = {e.strategy: e.accuracy.value for e in report.entries if e.accuracy}
    assert found["cot@4"] == pytest.approx(7 / 16)
    assert found["maj@4"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 4)
    assert found["oracle@4"] == pytest.approx(3 / 4)
    assert report.entries[0].strategy == "oracle@4"


def test_every_number_of_an_entry_is_that_of_its_row(run: Path, report: Report) -> None:
    rows = {r["strategy"]: r for r in rows_of(run) if r["level"] is None and r["k"] == r["n"]}
    rows["cot"] = next(r for r in rows_of(run) if r["strategy"] == "cot" and r["k"] == 1)
    assert len(report.entries) == len(STRATEGIES)
    same = (
        "n", "k", "mc_stderr", "problems", "truncated", "no_answer", "ungraded", "unscored",
        "completed_accuracy", "decode_tokens", "prompt_tokens", "reward_tokens", "policy_tokens",
        "tokens_mean", "tokens_p50", "tokens_p95", "flops", "seconds", "dollars", "reward",
    )  # fmt: skip
    for entry in report.entries:
        row = rows[entry.name]
        assert {name: getattr(entry, name) for name in same} == {name: row[name] for name in same}
        assert entry.accuracy == (row["accuracy"], *row["interval"], row["interval_kind"])
        assert entry.bounds == tuple(row["bounds"])
        assert (entry.dropped, entry.capped) == (row["problems_dropped"], row["problems_capped"])


def test_curves_and_groups_are_rows_too(run: Path, report: Report) -> None:
    rows = rows_of(run)
    for curve in report.curves:
        for point in curve.points:
            assert any(
                r["metric"] == curve.metric
                and r["k"] == point.k
                and r["level"] is None
                and r["accuracy"] == point.accuracy.value
                and r["policy_tokens"] == point.policy_tokens
                for r in rows
            )
    kinds = {curve.series: curve.kind for curve in report.curves}
    assert (kinds["maj"], kinds["oracle"]) == ("answer", "ceiling")
    cot = named(report, "cot@4").id
    levels = {g.group: g.accuracy for g in report.groups if g.entry == cot and g.by == "level"}
    assert {k: v.value for k, v in levels.items() if v} == {"1": 0.75, "2": 0.125}


def test_scores_of_problems_average_to_the_accuracy_of_every_strategy(run: Path) -> None:
    with RunStore.open(run) as store:
        plan = json.loads(store.meta(PLAN) or "")
        reached: dict[str, Sequence[float]] = {}
        for facts in read_pools(store, plan, "sums", None, 0, {}):
            reached |= facts.reached
    rows = {r["strategy"]: r for r in rows_of(run) if r["level"] is None and r["k"] == r["n"]}
    assert reached.keys() == set(STRATEGIES) - {"oracle@4"}
    for strategy, scores in reached.items():
        name = strategy.partition("@")[0]
        wanted = 7 / 16 if name == "cot" else rows[name]["accuracy"]
        assert math.fsum(scores) / len(scores) == pytest.approx(wanted, abs=1e-12)


def test_a_budget_counts_for_the_ranked_scores_too(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS, ["cot@4", "maj@4"])
    change_plan(tmp_path / "run", {}, budget=60)
    (row,) = (r for r in rows_of(tmp_path / "run") if r["metric"] == "maj@k" and r["k"] == 4
              and r["level"] is None)  # fmt: skip
    with RunStore.open(tmp_path / "run") as store:
        plan = json.loads(store.meta(PLAN) or "")
        (facts,) = read_pools(store, plan, "sums", None, 0, {})
    scores = facts.reached["maj@4"]
    assert math.fsum(scores) / len(scores) == pytest.approx(row["accuracy"])
    assert row["accuracy"] == (1 + 1 / 2 + 0 + 1) / 4  # 4, 2, 1 and 1 samples fit


def test_ranks_are_ranges_and_ties_stay_ties(tmp_path: Path) -> None:
    right = {f"p{i}": Item([R]) for i in range(12)}
    write_run(tmp_path / "best", right, ["cot@1"], model="best")
    write_run(tmp_path / "nearly", right | {"p0": Item([W])}, ["cot@1"], model="nearly")
    write_run(tmp_path / "worst", dict.fromkeys(right, Item([W])), ["cot@1"], model="worst")
    report = read_report([tmp_path / name for name in ("worst", "nearly", "best")])
    assert {e.model: e.rank for e in report.entries} == {
        "best": RankRange(1, 2),
        "nearly": RankRange(1, 2),
        "worst": RankRange(3, 3),
    }
    (ranking,) = report.rankings
    assert (ranking.problems, ranking.note) == (12, "")
    assert [e.id for e in report.entries] == list(ranking.entries)


def test_oracles_are_never_ranked(report: Report) -> None:
    oracle = named(report, "oracle@4")
    assert oracle.ceiling
    assert (oracle.rank, oracle.ranking) == (None, None)
    assert all(e.rank is not None for e in report.entries if not e.ceiling)


def test_other_problems_are_ranked_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "all", ITEMS, ["cot@4"])
    write_run(tmp_path / "some", {k: ITEMS[k] for k in ("p1", "p2")}, ["cot@4"])
    report = read_report([tmp_path / "all", tmp_path / "some"])
    assert [len(one.entries) for one in report.rankings] == [1, 1]
    assert all("ranked apart" in one.note for one in report.rankings)
    assert all(e.rank is None for e in report.entries)


def test_problems_without_a_result_of_everybody_are_left_out_of_ranks(tmp_path: Path) -> None:
    items = {f"p{i}": Item([R, W]) for i in range(12)}
    write_run(tmp_path / "a", items, ["cot@2"])
    ungraded = {"p0": Item([Drawn(0, None), Drawn(0, None)])}
    write_run(tmp_path / "b", items | ungraded, ["cot@2"])
    report = read_report([tmp_path / "a", tmp_path / "b"])
    (ranking,) = report.rankings
    assert ranking.problems == 11
    assert "Compared on 11 of 12 problems" in ranking.note
    assert any("1 problem without a graded result left out" in note for note in report.notes)
    assert any("are ungraded; the accuracy is between" in note for note in report.notes)


def test_what_misses_many_problems_is_not_ranked(tmp_path: Path) -> None:
    write_run(tmp_path / "a", ITEMS, ["cot@4", "maj@4"])
    write_run(tmp_path / "b", ITEMS | {"p1": Item([Drawn(0, None)] * 4)}, ["cot@4"])
    report = read_report([tmp_path / "a", tmp_path / "b"])
    (ranking,) = report.rankings
    assert ranking.problems == 4
    assert "no graded result: b, cot@4." in ranking.note
    assert named(report, "cot@4", "b").rank is None
    assert named(report, "cot@4", "a").rank == RankRange(1, 2)


def test_solve_rates_are_counts(report: Report) -> None:
    (rates,) = report.solve_rates
    assert [(r.problem_id, r.right, r.graded, r.samples) for r in rates.problems] == [
        ("p1", 4, 4, 4), ("p2", 2, 4, 4), ("p3", 0, 4, 4), ("p4", 1, 4, 4),
    ]  # fmt: skip
    assert [r.level for r in rates.problems] == ["1", "1", "2", "2"]


def test_a_token_cap_makes_longer_completions_wrong(report: Report) -> None:
    (curve,) = report.caps
    at = {point.cap: (point.accuracy.value, point.cut) for point in curve.points}
    assert at[10] == (0.25, 0.75)
    assert {at[cap] for cap in at if 20 <= cap < 30} == {(0.375, 0.5)}
    assert at[40] == (7 / 16, 0.0)


def test_lengths_count_every_completion_once(report: Report) -> None:
    (lengths,) = report.lengths
    assert sum(b.right for b in lengths.bins) == 7
    assert sum(b.wrong for b in lengths.bins) == 9
    assert sum(b.truncated + b.ungraded for b in lengths.bins) == 0
    filled = [b for b in lengths.bins if b.right]
    assert [b.right for b in filled] == [4, 2, 1]
    assert all(b.low <= tokens < b.high for b, tokens in zip(filled, (10, 20, 40), strict=True))
    assert lengths.right is not None
    assert lengths.right.samples == 7
    assert lengths.right.mean == pytest.approx((4 * 10 + 2 * 20 + 40) / 7)
    assert lengths.truncated is None


def test_a_score_that_says_nothing_has_auc_one_half(report: Report) -> None:
    (calibration,) = report.calibrations  # both strategies choose by one score
    assert (calibration.scorer, calibration.auc, calibration.ece) == ("logprob", 0.5, None)
    (one,) = calibration.bins  # all scores are equal
    assert (one.samples, one.mean, one.right.value) == (16, -1.0, 7 / 16)


def test_without_an_oracle_the_ceiling_is_pass_at_k_of_the_pool(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS, ["cot@4"])
    (curve,) = (c for c in read_report([tmp_path / "run"]).curves if c.kind == "ceiling")
    assert {p.k: p.accuracy.value for p in curve.points} == pytest.approx(
        {1: 7 / 16, 2: (1 + 5 / 6 + 0 + 1 / 2) / 4, 4: 3 / 4}
    )


def test_points_of_small_runs_are_tested_and_of_large_ones_not(
    run: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    (board,) = report.compute
    assert board.tested
    assert board.problems == 4
    assert {p.status for p in board.points if p.ceiling} == {"ceiling"}
    monkeypatch.setattr(compute, "TESTED_SAMPLES", 15)
    (large,) = read_report([run]).compute
    assert not large.tested
    assert {p.status for p in large.points} == {None}
    best = {p.label: p.accuracy.value for p in large.points if p.pareto}
    assert best.keys() >= {"cot"}
    assert not any(p.pareto for p in large.points if p.ceiling and p.size > 1)
    assert any("no difference was tested" in note for note in large.notes)


def test_mixed_languages_are_counted_and_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, mixed = "It is three.", "It is 因为我们知道答案 three and nothing else at all."
    write_texts(tmp_path / "run", {"a": [plain, mixed], "b": [mixed, plain], "c": [plain, plain]})
    (entry,) = read_report([tmp_path / "run"]).entries
    assert entry.mixed == (2 / 6, 6, 6)
    monkeypatch.setattr(stored, "MIXED_RESPONSES", 3)
    (entry,) = read_report([tmp_path / "run"]).entries
    assert entry.mixed == (1 / 3, 3, 6)
    monkeypatch.setattr(stored, "MIXED_RESPONSES", 2)
    (entry,) = read_report([tmp_path / "run"]).entries
    assert entry.mixed == (0.0, 2, 6)


def test_truncation_is_warned_of(tmp_path: Path) -> None:
    write_texts(tmp_path / "run", {"a": ["cut"]}, finish="length")
    report = read_report([tmp_path / "run"])
    assert report.entries[0].truncated == 1.0
    assert any("100.0% of the completions were cut" in note for note in report.notes)
    (lengths,) = report.lengths
    assert lengths.truncated is not None
    assert lengths.right is None


def test_protocol_and_stack_are_told(run: Path, report: Report) -> None:
    (stack,) = report.runs
    results = json.loads((run / "results.json").read_text())
    assert (stack.run, stack.samples, stack.complete) == ("run", 16, True)
    assert stack.stack == results["stack"]
    assert stack.model == results["model"]
    assert stack.config == {"model": "toy", "seed": 0}
    (protocol,) = report.protocols
    assert dict(protocol.strategies) == dict.fromkeys(STRATEGIES, "drawn")


def test_the_last_step_of_a_training_run_counts(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "steps"
    write_run(folder, ITEMS, ["cot@4"])
    results = json.loads((folder / "results.json").read_text())
    before = [row | {"step": 0, "accuracy": 0.0} for row in results["rows"]]
    results["rows"] = before + [row | {"step": 10} for row in results["rows"]]
    (folder / "results.json").write_text(json.dumps(results))
    report = read_report([folder])
    assert [(e.step, e.accuracy.value if e.accuracy else None) for e in report.entries] == [
        (10, 7 / 16)
    ]
    assert "steps: the weights of step 10, the last evaluated." in report.notes


def test_results_of_something_else_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS, ["cot@4"])
    (tmp_path / "run" / "results.json").write_text('{"schema": 1, "rows": [{"a": 1}]}')
    with pytest.raises(UsageError, match="does not hold a run's results"):
        read_report([tmp_path / "run"])
    with pytest.raises(UsageError, match="at least one run"):
        read_report([])


def test_runs_of_one_name_are_told_apart() -> None:
    assert run_names([Path("/a/x/run"), Path("/a/y/run")]) == ["x/run", "y/run"]
    assert run_names([Path("/a/x/one"), Path("/a/y/two")]) == ["one", "two"]


def test_an_entry_without_an_answer_class_abstains_everywhere(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"a": Item([NO, NO]), "b": Item([R, NO])}, ["maj@2"])
    report = read_report([tmp_path / "run"])
    (entry,) = report.entries
    assert entry.accuracy is not None
    assert entry.accuracy.value == 0.5
    assert entry.no_answer == 0.75


def test_recorded_answers_have_no_tokens_and_that_is_said(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {k: v._replace(tokens=0) for k, v in ITEMS.items()}, ["cot@4"])
    report = read_report([tmp_path / "run"])
    (entry,) = report.entries
    assert entry.accuracy is not None
    assert (entry.mixed, entry.tokens_p50, entry.flops) == (None, None, None)
    assert (report.caps, report.lengths, report.compute) == ((), (), ())
    assert "run, sums: no accuracy against compute" in " ".join(report.notes)
    assert len(report.solve_rates) == 1


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS | {"p5": Item([])}, ["cot@4", "maj@4"])
    report = read_report([tmp_path / "run"])
    assert not report.runs[0].complete
    assert "run is not finished: problems without completions are left out." in report.notes
    assert {e.problems for e in report.entries} == {4}
    assert all(e.dropped == 1 for e in report.entries)


def test_scores_of_nobody_give_no_accuracy(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS, ["cot@4", "bon@4:scorer=selfcert"])
    report = read_report([tmp_path / "run"])
    assert report.entries[-1].strategy == "bon@4:scorer=selfcert"
    assert (report.entries[-1].accuracy, report.entries[-1].rank) == (None, None)
    assert any("no accuracy" in note for note in report.notes)
    (calibration,) = report.calibrations
    assert (calibration.bins, calibration.auc, calibration.unscored) == ((), None, 16)


def test_a_strategy_in_two_spellings_is_one_entry(tmp_path: Path) -> None:
    write_run(tmp_path / "run", ITEMS, ["cot@4", "cot@04", "maj@4"])
    report = read_report([tmp_path / "run"])
    assert len({e.id for e in report.entries}) == len(report.entries)
    assert [e.strategy for e in report.entries] == ["maj@4", "cot@4"]


def test_a_curve_is_of_the_largest_pool_so_that_pass_at_k_never_falls(tmp_path: Path) -> None:
    """Of four samples the last is right: pass@3 of the first three is 0, pass@2 of all is 1/2."""
    wrong, right = Drawn(1, False), Drawn(0, True)
    write_run(tmp_path / "run", {"p": Item([wrong, wrong, wrong, right])}, ["oracle@3", "oracle@4"])
    (curve,) = [c for c in read_report([tmp_path / "run"]).curves if c.kind == "ceiling"]
    assert [point.k for point in curve.points] == [1, 2, 4]
    assert [point.accuracy.value for point in curve.points] == [0.25, 0.5, 1.0]
