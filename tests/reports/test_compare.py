"""`reasonbench compare` on runs whose every sample was written by hand."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasonbench.cli import main
from reasonbench.grading.graders import Graders
from reasonbench.metrics import holm
from reasonbench.reports.contrast import Reach, at_equal, corrected, match, sentence
from reasonbench.reports.sides import parse_side
from reasonbench.runs import RunStore, SampleKey
from reasonbench.runs.training import Evaluation
from reasonbench.summary import MODEL, PLAN, summarise
from reasonbench.types import Completion, ModelInfo, Problem, Question, Usage, Verdict
from tests.stored_runs import Drawn, Item, write_run

RIGHT, WRONG, SILENT = Drawn(0, True), Drawn(1, False), Drawn(-1, False)
MINORITY = (RIGHT, WRONG, WRONG, SILENT)
"""maj: 1/4 of one, 1/3 of two, 0 of four."""


def compared(capsys: pytest.CaptureFixture[str], *args: str | Path) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, args), "--json"])
    assert ended.value.code == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def printed(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, args)])
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def refused(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, args)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def solved(*right: int, of: int = 2, level: str | None = None, tokens: int = 20) -> dict[str, Item]:
    """Problems q0, q1, … with so many right samples each."""
    return {
        f"q{i}": Item([RIGHT] * n + [WRONG] * (of - n), level=level, tokens=tokens)
        for i, n in enumerate(right)
    }


def change_plan(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with RunStore.open(folder, writable=True) as store:
        plan = json.loads(store.meta(PLAN) or "")
        change(plan)
        store.set_meta(PLAN, json.dumps(plan))


def test_every_number_of_a_small_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", solved(2, 1, 0, 2), ["cot@2"])
    write_run(tmp_path / "b", solved(2, 0, 2, 2), ["cot@2"])
    (row,) = compared(capsys, tmp_path / "a", tmp_path / "b")["rows"]
    # B − A: 0, −1/2, +1, 0
    assert row["difference"] == pytest.approx(1 / 8)
    assert (row["a"]["accuracy"], row["b"]["accuracy"]) == (5 / 8, 6 / 8)
    # of the signs of −1/2 and +1, no pattern sums to less than 1/2
    assert (row["p"], row["p_exact"], row["p_adjusted"]) == (1.0, True, 1.0)
    assert row["correlation"] == pytest.approx(np.corrcoef([1, 0.5, 0, 1], [1, 0, 1, 1])[0, 1])
    low, high = row["interval"]
    assert -1 <= low < 0 < 1 / 8 < high <= 1
    assert row["verdict"] == "tie"
    assert [c["id"] for c in row["gained"]] == ["q2"]
    assert row["lost"] == []  # q1 is right half the time with A: neither right nor wrong
    assert row["a"]["tokens"] == row["b"]["tokens"] == 30
    assert row["a"]["samples"] == 8


def test_a_difference_that_is_shown_names_the_better_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", solved(*[0] * 8), ["cot@2"])
    write_run(tmp_path / "b", solved(*[2] * 7, 0), ["cot@2"])
    (row,) = compared(capsys, tmp_path / "a", tmp_path / "b")["rows"]
    assert row["p"] == 2 / 2**7
    assert row["verdict"] == "B"
    assert row["sentence"] == "B is better by 87.5 points at 95 % (p = 0.016)."
    assert len(row["gained"]) == 7
    (back,) = compared(capsys, tmp_path / "b", tmp_path / "a")["rows"]
    assert (back["verdict"], back["difference"]) == ("A", -7 / 8)
    assert len(back["lost"]) == 7


def test_a_tie_says_what_could_have_been_shown() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(200), rng.random(200)
    found = match(a, b, [f"p{i}" for i in range(200)])
    could = found.could_show
    assert could == found.paired.minimum_detectable
    assert could is not None
    assert sentence(found) == (
        f"no difference shown at 95 %; this comparison could have shown {100 * could:.1f} points."
    )


def test_agreement_on_all_problems_excludes_little() -> None:
    scores = np.array([1.0, 0.0] * 15)
    found = match(scores, scores.copy(), [f"p{i}" for i in range(30)])
    assert found.could_show is None
    assert found.paired.problems_needed is None
    assert found.not_excluded > 0.05
    assert sentence(found).startswith("equal on every one of 30 problems; a difference of up to ")


def test_one_problem_is_said_in_the_singular() -> None:
    found = match(np.array([1.0]), np.array([1.0]), ["p"])
    assert sentence(found).startswith("equal on the only problem; a difference of up to 100.0 ")


def test_rows_are_corrected_together_and_levels_among_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def items(right: int) -> dict[str, Item]:
        return {
            f"{level}{i}": Item([RIGHT] * right + [WRONG] * (4 - right), level=level)
            for level in ("1", "2", "10")
            for i in range(6)
        }

    strategies = ["cot@4", "maj@4", "oracle@4"]
    write_run(tmp_path / "a", items(1), strategies)
    write_run(tmp_path / "b", items(3), strategies)
    rows = compared(capsys, tmp_path / "a", tmp_path / "b")["rows"]
    assert [r["a"]["label"] for r in rows] == ["cot", "maj@4", "oracle@4"]
    assert [r["ceiling"] for r in rows] == [False, False, True]
    assert [r["p_adjusted"] for r in rows] == holm([r["p"] for r in rows])
    levels = rows[0]["levels"]
    assert [level["level"] for level in levels] == ["1", "2", "10"]
    assert [level["p"] for level in levels] == [2 / 2**6] * 3
    assert [level["p_adjusted"] for level in levels] == [3 * 2 / 2**6] * 3
    assert all(level["verdict"] == "tie" for level in levels)


def test_two_strategies_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "r", {f"q{i}": Item(MINORITY) for i in range(4)}, ["cot@4", "maj@4"])
    found = compared(capsys, f"{tmp_path / 'r'}:cot", f"{tmp_path / 'r'}:maj@2")
    (row,) = found["rows"]
    assert (found["a"]["name"], found["b"]["name"]) == ("r:cot", "r:maj@2")
    assert (row["a"]["label"], row["b"]["label"]) == ("cot", "maj@2")
    assert row["difference"] == pytest.approx(1 / 3 - 1 / 4)
    assert found["differing"] == []


def test_the_dearer_side_comes_down_to_the_cheaper_ones_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A takes 30, 50, 90 tokens for one, two, four samples; B 25, 40, 70
    write_run(tmp_path / "a", {"q": Item(MINORITY, tokens=20)}, ["maj@4"])
    write_run(tmp_path / "b", {"q": Item(MINORITY, tokens=15)}, ["maj@4"])
    (row,) = compared(capsys, tmp_path / "a", tmp_path / "b")["rows"]
    equal = row["equal"]
    assert (equal["tokens"], equal["moved"]) == (70, "A")
    assert equal["mixed"] == {"smaller": "maj@2", "larger": "maj@4", "share": 0.5}
    assert equal["a"]["accuracy"] == pytest.approx((1 / 3 + 0) / 2)
    assert equal["b"]["accuracy"] == 0


def test_tokens_of_another_model_count_by_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", solved(2, 0), ["cot@2"])
    write_run(tmp_path / "b", solved(2, 0), ["cot@2"], model="large")
    with RunStore.open(tmp_path / "b", writable=True) as store:
        large = ModelInfo("large", "toy", "0", active_parameters=300)
        store.set_meta(MODEL, json.dumps(asdict(large)))
    found = compared(capsys, tmp_path / "a", tmp_path / "b")
    assert (found["rows"][0]["a"]["tokens"], found["rows"][0]["b"]["tokens"]) == (30, 90)
    assert "B takes 90 tokens with cot already" in found["rows"][0]["no_equal"]
    assert any("count 3 each" in note for note in found["notes"])
    assert {"model"} <= {d["what"] for d in found["differing"] if not d["warns"]}


def test_a_side_without_smaller_sizes_cannot_come_down() -> None:
    one = [Reach("cot", np.array([0.5]), np.array([100.0]))]
    other = [Reach("cot", np.array([0.5]), np.array([200.0]))]
    said = at_equal(one, other, ["p"])
    assert said == "B takes 200 tokens with cot already, the other side 100"
    unknown = [Reach("cot", np.array([0.5]), np.array([np.nan]))]
    assert at_equal(one, unknown, ["p"]) == "tokens were not recorded"


def test_problems_of_one_run_alone_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = solved(2, 1, 0, 2)
    write_run(tmp_path / "a", {k: items[k] for k in ("q0", "q1", "q2")}, ["cot@2"])
    write_run(tmp_path / "b", {k: items[k] for k in ("q1", "q2", "q3")}, ["cot@2"])
    with sqlite3.connect(tmp_path / "b" / "run.db") as database:
        database.execute("UPDATE problems SET gold = '7' WHERE problem_id = 'q2'")
    found = compared(capsys, tmp_path / "a", tmp_path / "b")
    assert found["problems"] == [
        {
            "benchmark": "sums",
            "shared": 1,
            "only_a": ["q0"],
            "only_b": ["q3"],
            "other_text": ["q2"],
        }
    ]
    assert found["rows"][0]["problems"] == 1
    out = printed(capsys, tmp_path / "a", tmp_path / "b")
    for said in ("q0", "only in A", "only in B", "another text or gold answer"):
        assert said in out


def test_problems_without_a_verdict_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = solved(2, 1, 0)
    write_run(tmp_path / "a", items, ["cot@2"])
    write_run(tmp_path / "b", {**items, "q1": Item([Drawn(0, None)] * 2)}, ["cot@2"])
    (row,) = compared(capsys, tmp_path / "a", tmp_path / "b")["rows"]
    assert row["ungraded_problems"] == ["q1"]
    assert row["problems"] == 2
    assert (row["b"]["ungraded"], row["b"]["samples"]) == (0, 4)


def test_another_protocol_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, temperature in (("a", 0.6), ("b", 1.0)):
        write_run(tmp_path / name, solved(2, 1), ["cot@2"])
        pool = {"temperature": temperature, "prompt": {"style": "step"}}
        change_plan(
            tmp_path / name,
            lambda plan, pool=pool: plan["benchmarks"]["sums"].update(pools={"drawn": pool}),
        )
    found = compared(capsys, tmp_path / "a", tmp_path / "b")
    assert found["differing"] == [
        {"where": "sums", "what": "temperature", "a": "0.6", "b": "1.0", "warns": True}
    ]
    out = printed(capsys, tmp_path / "a", tmp_path / "b")
    assert "temperature: 0.6 → 1.0" in out


def test_another_kind_of_answer_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, solved(2, 1), ["cot@2"])
    with sqlite3.connect(tmp_path / "b" / "run.db") as database:
        database.execute("UPDATE problems SET kind = 'integer' WHERE problem_id = 'q1'")
    (one,) = compared(capsys, tmp_path / "a", tmp_path / "b")["differing"]
    assert one == {
        "where": "sums", "what": "kind of answer (1 of 2 problems)", "a": "math", "b": "integer",
        "warns": True,
    }  # fmt: skip


def test_strategies_of_one_run_alone_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = {"q": Item(MINORITY)}
    write_run(tmp_path / "a", items, ["cot@4", "maj@4"])
    write_run(tmp_path / "b", items, ["cot@4", "bon@4:scorer=logprob"])
    found = compared(capsys, tmp_path / "a", tmp_path / "b")
    assert [r["a"]["label"] for r in found["rows"]] == ["cot"]
    assert "sums: only a has maj@4." in found["notes"]
    assert "sums: only b has bon@4:scorer=logprob." in found["notes"]


def test_of_pools_of_other_sizes_the_largest_common_size_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", {"q": Item(MINORITY)}, ["maj@4"])
    write_run(tmp_path / "b", {"q": Item(MINORITY[:2])}, ["maj@2"])
    (row,) = compared(capsys, tmp_path / "a", tmp_path / "b")["rows"]
    assert (row["a"]["label"], row["b"]["label"]) == ("maj@2", "maj@2")


def write_steps(folder: Path, right: dict[int, int]) -> None:
    """A training run that was evaluated at steps; of ten problems so many are right."""
    plan = {"benchmarks": {"sums": {"completions": {"p": 10}, "strategies": {"cot@1": "p"}}}}
    with RunStore.create_or_resume(folder, {"seed": 0}) as store:
        store.set_meta(PLAN, json.dumps({**plan, "deviations": []}))
        store.set_meta(MODEL, json.dumps(asdict(ModelInfo("toy", "toy", "0"))))
        store.add_pool("p", {})
        store.add_problems(Problem(Question(f"q{i}", "sums", f"?{i}"), "0") for i in range(10))
        for version, (step, count) in enumerate(right.items()):
            for i in range(10):
                key = SampleKey("sums", f"q{i}", "p", version, 0)
                usage = Usage(decode_tokens=3, requests=1)
                store.add_completion(
                    key, Completion((1, 2, 3), "", "stop", weight_version=version, usage=usage)
                )
                verdict = Verdict("correct" if i < count else "incorrect", "0", "test", "")
                store.add_verdict(key, verdict, answer_class=0)
            store.add_evaluation(Evaluation(version, step, complete=True))

        async def summed() -> None:
            graders = Graders()
            await summarise(store, graders)
            await graders.aclose()

        asyncio.run(summed())


def test_two_steps_of_one_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_steps(tmp_path / "rl", {0: 2, 20: 5, 40: 9})
    found = compared(capsys, f"{tmp_path / 'rl'}@0", tmp_path / "rl")
    (row,) = found["rows"]
    assert row["difference"] == pytest.approx(0.7)
    assert (row["p"], row["verdict"]) == (2 / 2**7, "B")
    assert [side["step"] for side in (found["a"], found["b"])] == [0, 40]
    (row,) = compared(capsys, f"{tmp_path / 'rl'}@0:cot", f"{tmp_path / 'rl'}@20")["rows"]
    assert row["difference"] == pytest.approx(0.3)
    said = refused(capsys, f"{tmp_path / 'rl'}@30", tmp_path / "rl")
    assert "unknown step '30'" in said


def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", solved(2, 1), ["cot@2"])
    write_run(tmp_path / "other", solved(2, 1), ["cot@2"], benchmark="products")
    write_run(tmp_path / "far", {"z": Item([RIGHT] * 2)}, ["cot@2"])
    a = tmp_path / "a"
    assert "no benchmark in common" in refused(capsys, a, tmp_path / "other")
    assert "no problem in common" in refused(capsys, a, tmp_path / "far")
    assert "compared with itself" in refused(capsys, a, a)
    assert "does not exist" in refused(capsys, a, tmp_path / "none")
    assert "holds no run" in refused(capsys, a, tmp_path)
    write_run(tmp_path / "b", solved(2, 1), ["cot@2"])
    assert "unknown strategy of a:maj 'maj'" in refused(capsys, f"{a}:maj", tmp_path / "b")
    assert "neither @STEP nor :STRATEGY" in refused(capsys, f"{a}@x", a)


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "run@3:x"
    folder.mkdir()
    assert parse_side(str(folder)) == (folder, None, None)
    assert parse_side(f"{folder}@20:bon@4:scorer=logprob") == (folder, 20, "bon@4:scorer=logprob")
    assert parse_side(f"{folder}:maj@16") == (folder, None, "maj@16")


def test_correction_keeps_the_order() -> None:
    clusters = [f"p{i}" for i in range(6)]
    ones, zeros = np.ones(6), np.zeros(6)
    sure, equal = match(zeros, ones, clusters), match(ones, ones, clusters)
    assert [m.adjusted for m in corrected([equal, sure])] == [1.0, 4 / 2**6]
