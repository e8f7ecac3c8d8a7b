"""Searches through the evaluator: nothing is lost, nothing is sampled twice, each by itself."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reasonbench import plan, strategies
from reasonbench.cli import cli
from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.errors import UsageError
from reasonbench.rewards.base import RewardError, Scored
from reasonbench.runs import RunStore
from reasonbench.runs.tables import is_headline
from reasonbench.types import Completion, Prompt, Question, RequestKey, SamplingParams
from tests.evaluation.searched import DeadReward, Raising, TreeEngine, configuration, run
from tests.strategies.toy import ToyReward

STORED = (
    "SELECT problem_id, sample, text, finish, seed, token_ids FROM completions ORDER BY 1, 2",
    "SELECT problem_id, sample, reward, step, score FROM step_scores ORDER BY 1, 2, 3, 4",
    "SELECT problem_id, sample, verdict, answer FROM verdicts ORDER BY 1, 2",
    "SELECT problem_id, path, text, token_ids FROM nodes ORDER BY 1, 2",
    "SELECT problem_id, state, policy_tokens, written, judged, trace FROM traces ORDER BY 1",
)
"""All that a search leaves behind, seconds and cached tokens aside."""


def columns(folder: Path, sql: str) -> list[Any]:
    with sqlite3.connect(folder / "run.db") as connection:
        return connection.execute(sql).fetchall()


def stored(folder: Path) -> list[list[Any]]:
    return [columns(folder, sql) for sql in STORED]


def headline(results: Any, strategy: str = "beam") -> dict[str, Any]:
    (row,) = [r for r in filter(is_headline, results["rows"]) if r["strategy"] == strategy]
    return dict(row)


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(strategies.BUILTIN, "raising", "tests.evaluation.searched:Raising")


def test_a_search_with_steps_of_its_own_finds_its_scores_again(tmp_path: Path) -> None:
    _, _, usual = run(tmp_path)
    _, _, own = run(tmp_path, name="own", strategy=["beam@4:m=2,step=\\n\\n|;;"])
    assert headline(own.results)["unscored"] == headline(usual.results)["unscored"] == 0
    assert headline(own.results)["accuracy"] == headline(usual.results)["accuracy"] == 1.0


def test_solutions_scores_verdicts_and_the_tree_are_stored(tmp_path: Path) -> None:
    _, observer, done = run(tmp_path)
    states = columns(tmp_path / "run", "SELECT problem_id, state FROM traces ORDER BY 1")
    assert states == [(f"q{i}", "finished") for i in range(1, 5)]
    with RunStore.open(tmp_path / "run") as store:
        (pool,) = store.pools()
        benchmark = "sums"
        samples = store.of_problem(benchmark, "q1", pool, text=True)
        trace = store.trace(benchmark, "q1", pool)
    assert [s.verdict for s in samples] == ["correct", "incorrect", "correct", "incorrect"]
    assert [s.scores["toy"].steps[-1] for s in samples] == [0.9, 0.5, 0.9, 0.5]
    assert all(len(s.scores["toy"].steps) == 3 for s in samples)
    assert [s.usage.decode_tokens for s in samples] == [0] * 4
    assert samples[0].text is not None
    assert samples[0].text.endswith("\\boxed{2} 0.9")
    assert sorted(trace["candidates"]) == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    nodes = {tuple(node["path"]): node for node in trace["nodes"]}
    assert len(nodes) == 1 + 4 + 4 + 4
    assert nodes[2,]["dropped"] == "below the best 2"
    assert nodes[0, 0]["score"] == pytest.approx(0.6)
    assert (observer.begun, len(observer.verdicts)) == ((4, 0), 4)
    assert done.outcome.complete
    assert done.results["run"]["complete"]


def test_rows_of_a_search(tmp_path: Path) -> None:
    specs = [f"beam@4:m=2,select={select}" for select in ("wbon", "best", "maj")]
    engine, _, done = run(tmp_path, strategy=specs)
    rows = list(filter(is_headline, done.results["rows"]))
    # right answers weigh 0.9 + 0.9 of four, and wrong ones 0.5 + 0.5; a vote of 2 : 2 is a tie
    assert [(r["selector"], r["accuracy"]) for r in rows] == [
        ("wbon", 1.0), ("best", 1.0), ("maj", 0.5),
    ]  # fmt: skip
    assert {(r["metric"], r["n"], r["k"]) for r in rows} == {("beam@k", 4, 4)}
    assert [r["reward"] for r in rows] == ["toy", "toy", None]
    assert len(set(engine.served)) == len(engine.served) == 4 * 12  # one tree for three selectors
    decoded = sum(len(c.token_ids) for c in engine.usages) / 4
    ((prompts,),) = columns(tmp_path / "run", "SELECT AVG(tokens) FROM prompts")
    assert {r["decode_tokens"] for r in rows} == {decoded}
    assert {r["prompt_tokens"] for r in rows} == {prompts}
    assert {r["reward_tokens"] for r in rows} == {decoded}  # one for each character of a step
    assert {r["policy_tokens"] for r in rows} == {prompts + 2 * decoded}


def test_the_same_trees_whatever_runs_beside_them(tmp_path: Path) -> None:
    alone = run(tmp_path, name="alone", problems=64, max_in_flight=1)
    together = run(
        tmp_path,
        name="together",
        problems=64,
        engine=TreeEngine(scramble=3),
        reward=ToyReward(scramble=4),
        max_in_flight=256,
    )
    assert stored(tmp_path / "alone") == stored(tmp_path / "together")
    assert sorted(alone[0].served) == sorted(together[0].served)


@pytest.mark.parametrize("stop_at", [1, 7, 20, 40])
def test_a_search_that_was_stopped_goes_on_without_sampling_a_step_again(
    tmp_path: Path, stop_at: int
) -> None:
    run(tmp_path, name="whole")
    first, _, cut = run(tmp_path, engine=TreeEngine(stop_at=stop_at), max_in_flight=8)
    assert cut.outcome.stopped == "interrupted"
    assert not cut.results["run"]["complete"]
    second, _, done = run(tmp_path, max_in_flight=8)
    assert not set(first.served) & set(second.served)
    assert len(first.served) + len(second.served) == 48
    assert stored(tmp_path / "run") == stored(tmp_path / "whole")
    assert done.results["run"]["complete"]
    assert run(tmp_path)[0].served == []


@pytest.mark.parametrize(
    "strategy",
    ["dvts@4:m=2", "lookahead@4:m=2", "rebase@4", "particles@4", "mcts@4", "mcts@4:parallel=2",
     "mcts@4:value=rollout", "revise@2:revisions=2", "budget@2", "budget@0"],
)  # fmt: skip
def test_every_search_goes_on_where_it_was_stopped(tmp_path: Path, strategy: str) -> None:
    whole = run(tmp_path, name="whole", strategy=[strategy])
    needed = len(whole[0].served)
    engine = TreeEngine(scramble=1, stop_at=needed // 2)
    first, _, cut = run(tmp_path, engine=engine, strategy=[strategy], max_in_flight=2)
    assert cut.outcome.stopped == "interrupted"
    second, _, done = run(tmp_path, engine=TreeEngine(scramble=2), strategy=[strategy])
    assert not set(first.served) & set(second.served)
    assert len(first.served) + len(second.served) == needed
    assert stored(tmp_path / "run") == stored(tmp_path / "whole")
    assert headline(done.results, strategy[: strategy.index("@")])["problems"] == 4


class Counting(ToyReward):
    """Adds up what it read."""

    computed = 0

    async def score(self, question: Question, steps: Sequence[str]) -> Scored:
        scored = await super().score(question, steps)
        self.computed += scored.usage.reward_tokens
        return scored


def test_usage_adds_up(tmp_path: Path) -> None:
    specs = ["beam@4:m=2", "cot@4", "bon@4", "lookahead@4:m=2"]
    reward = Counting(head=7)
    engine, _, done = run(tmp_path, strategy=specs, reward=reward)
    used = done.results["run"]["usage"]
    assert used["requests"] == done.outcome.usage.requests == len(engine.served)
    assert used["prompt_tokens"] == sum(c.usage.prompt_tokens for c in engine.usages)
    assert used["decode_tokens"] == sum(c.usage.decode_tokens for c in engine.usages)
    assert done.outcome.usage.decode_tokens == used["decode_tokens"]
    assert done.outcome.usage.reward_tokens == used["reward_tokens"] == reward.computed


def test_a_search_keeps_its_budget(tmp_path: Path) -> None:
    whole = headline(run(tmp_path, name="whole")[2].results)
    budget = int(whole["policy_tokens"] * 0.6)
    run(tmp_path, budget=budget)
    rows = columns(tmp_path / "run", "SELECT state, policy_tokens FROM traces")
    assert {state for state, _ in rows} == {"budget used up"}
    assert all(0 < tokens <= budget for _, tokens in rows)


def test_a_pool_has_the_samples_that_fit_into_the_budget(tmp_path: Path) -> None:
    _, _, done = run(tmp_path, name="whole", strategy=["maj@4", "bon@4"])
    row = headline(done.results, "maj")
    each, prompt = row["decode_tokens"] / 4, row["prompt_tokens"]
    two = int(prompt + 2.5 * each)
    _, _, cut = run(tmp_path, strategy=["maj@4", "bon@4"], budget=two)
    row = headline(cut.results, "maj")
    assert row["decode_tokens"] == pytest.approx(2 * each, rel=0.05)
    assert row["policy_tokens"] <= two
    assert "stopped at" in " ".join(cut.results["protocol"]["notes"])
    # half of what bon may use goes to its reward, which has as many parameters
    assert headline(cut.results, "bon")["decode_tokens"] == pytest.approx(each, rel=0.05)


def test_a_budget_below_one_sample_is_no_answer(tmp_path: Path) -> None:
    _, _, done = run(tmp_path, strategy=["maj@4"], budget=90)
    row = headline(done.results, "maj")
    assert (row["accuracy"], row["problems"], row["truncated"]) == (0.0, 4, 1.0)
    assert row["policy_tokens"] <= 90


def test_a_search_without_any_solution_is_incorrect(tmp_path: Path) -> None:
    _, _, done = run(tmp_path, strategy=["beam@4:max_tokens=10"])
    row = headline(done.results)
    assert (row["accuracy"], row["no_answer"], row["ungraded"]) == (0.0, 1.0, 0.0)
    states = columns(tmp_path / "run", "SELECT DISTINCT state FROM traces")
    assert states == [("out of steps",)]


def test_a_search_that_raises_harms_no_other(tmp_path: Path, raising: None) -> None:
    _, _, done = run(tmp_path, strategy=["raising@2"])
    states = dict(columns(tmp_path / "run", "SELECT problem_id, state FROM traces"))
    assert states.pop("q2") == "failed: ZeroDivisionError: no such luck"
    assert set(states.values()) == {"finished"}
    row = headline(done.results, "raising")
    assert (row["accuracy"], row["problems"], row["problems_dropped"]) == (1.0, 3, 1)
    assert done.outcome.searches_failed == 1


def test_a_failed_search_is_tried_again_without_sampling_its_steps(
    tmp_path: Path, raising: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, strategy=["raising@2"])
    monkeypatch.setattr(Raising, "failing", set())
    engine, _, done = run(tmp_path, strategy=["raising@2"])
    assert engine.served == []
    assert headline(done.results, "raising")["problems"] == 4


def test_requests_that_fail_end_their_paths_alone(tmp_path: Path) -> None:
    class Refusing(TreeEngine):
        async def sample(
            self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Any = None
        ) -> Completion:
            if key.problem_id == "q1" or (key.problem_id == "q2" and key.path == (0,)):
                raise EngineError("refused.")
            return await super().sample(prompt, params, key, watch)

    _, _, done = run(tmp_path, engine=Refusing())
    states = dict(columns(tmp_path / "run", "SELECT problem_id, state FROM traces"))
    assert states == {"q1": "every path died", "q2": "finished", "q3": "finished", "q4": "finished"}
    row = headline(done.results)
    assert (row["problems"], row["problems_dropped"], row["accuracy"]) == (3, 1, 1.0)


def test_a_reward_that_gives_no_number_kills_the_paths_of_its_problem(tmp_path: Path) -> None:
    class Nan(ToyReward):
        async def score(self, question: Any, steps: Any) -> Any:
            scored = await super().score(question, steps)
            if question.id != "q3":
                return scored
            return replace(scored, steps=(math.nan,) * len(scored.steps))

    _, _, done = run(tmp_path, reward=Nan(), strategy=["beam@4:m=2", "bon@4"])
    states = dict(columns(tmp_path / "run", "SELECT problem_id, state FROM traces"))
    assert states.pop("q3") == "every path died"
    assert set(states.values()) == {"finished"}
    assert headline(done.results)["problems"] == 3
    assert headline(done.results, "bon")["unscored"] == 0.25


@pytest.mark.parametrize("strategy", ["beam@4:m=2", "bon@4"])
def test_a_dead_reward_stops_the_run_which_can_be_resumed(tmp_path: Path, strategy: str) -> None:
    with pytest.raises(EngineDeadError, match="the reward died"):
        run(tmp_path, reward=DeadReward(), strategy=[strategy])
    _, _, done = run(tmp_path, strategy=[strategy])
    assert done.results["run"]["complete"]
    assert headline(done.results, strategy[: strategy.index("@")])["unscored"] == 0.0


def test_a_reward_is_asked_for_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="beam@4:m=2 needs a reward: give --reward"):
        plan.make(configuration(tmp_path).model_copy(update={"reward": None}), "toy")


def test_a_solution_that_the_reward_refuses_has_no_score(tmp_path: Path) -> None:
    def refusing(steps: Any) -> float:
        if "(3,)" in steps[0]:
            raise RewardError("too long.")
        return 0.5

    _, _, done = run(tmp_path, reward=ToyReward(refusing), strategy=["bon@4"])
    assert headline(done.results, "bon")["unscored"] == 0.25
    assert (done.outcome.unscored, done.outcome.unscored_why) == (4, "too long")
    engine, _, again = run(tmp_path, strategy=["bon@4"])
    assert engine.served == []
    assert headline(again.results, "bon")["unscored"] == 0.0


def test_show_prints_the_tree(tmp_path: Path) -> None:
    run(tmp_path)
    shown = CliRunner().invoke(cli, ["show", str(tmp_path / "run"), "--problem", "q1"])
    assert shown.exit_code == 0
    printed = shown.output.splitlines()
    assert "search: finished" in printed
    (dropped,) = [line for line in printed if line.startswith("  2 ")]
    assert dropped.split()[1] == "0.400"
    assert dropped.endswith("(below the best 2)")
    assert sum("→ sample" in line for line in printed) == 4
    assert sum(line.startswith("      0.0.") for line in printed) == 2
