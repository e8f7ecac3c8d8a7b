"""The parts of reinforcement learning: problems, rewards, batches, settings, what is logged."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.rewards.base import RewardError, RewardInfo, Scored
from reasonbench.trainers.critic import end_rewards
from reasonbench.trainers.grpo_config import algorithm, parse_grpo
from reasonbench.trainers.presets import PRESETS
from reasonbench.trainers.rl_batch import micro_batches, row, shares
from reasonbench.trainers.rl_metrics import of_rollouts, of_update
from reasonbench.trainers.rl_problems import Cursor, open_sources, read_problems, stream
from reasonbench.trainers.rl_rewards import Judge, ModelReward
from reasonbench.trainers.rl_samples import Samples
from reasonbench.trainers.rl_sums import Sums
from reasonbench.trainers.rollouts import (
    Group,
    Rollout,
    Rollouts,
    is_flat,
    of_plain,
    to_plain,
    tokens_of,
)
from reasonbench.trainers.rules import make_rules
from reasonbench.types import (
    Completion,
    Finish,
    ModelInfo,
    Problem,
    Prompt,
    Question,
    Usage,
)


def problem(number: int = 1, gold: str | None = "4", **hidden: Any) -> Problem:
    question = Question(f"p{number}", "made", "What is 2 + 2?", kind="integer")
    return Problem(question, gold, hidden=hidden)


def completion(text: str, tokens: int = 3, finish: Finish = "stop") -> Completion:
    return Completion(
        tuple(range(10, 10 + tokens)),
        text,
        finish,
        token_logprobs=tuple(-0.5 for _ in range(tokens)),
        usage=Usage(decode_tokens=tokens, requests=1),
    )


def rollout(
    reward: float,
    tokens: int = 3,
    correct: bool | None = True,
    finish: Finish = "stop",
    sample: int = 0,
) -> Rollout:
    prompt = Prompt((1, 2), "ask")
    done = completion("wait, 4", tokens, finish)
    return Rollout(problem(), 0, sample, prompt, done, {"accuracy": reward}, reward, correct)


def batch(*groups: Group) -> Rollouts:
    return Rollouts(groups, 0, len(groups), 0, 0, Usage(decode_tokens=20), 1.0)


def test_built_in_problems_are_endless_equal_for_a_seed_and_of_the_levels_asked_for() -> None:
    sources = open_sources(["builtin-arithmetic"], [], ["2"])
    first = list(itertools.islice(stream(sources, 3, ["2"]), 30))
    again = list(itertools.islice(stream(sources, 3, ["2"]), 30))
    other = list(itertools.islice(stream(sources, 4, ["2"]), 30))
    assert first == again
    assert [p.question.text for p in first] != [p.question.text for p in other]
    assert {p.level for p in first} == {"2"}


def test_an_epoch_of_files_holds_every_problem_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(8)]
    for name, part in (("a", rows[:3]), ("b", rows[3:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, part)))
    sources = open_sources([], [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], [])
    texts = [p.question.text for p in itertools.islice(stream(sources, 0), 16)]
    wanted = sorted(str(r["question"]) for r in rows)
    assert sorted(texts[:8]) == sorted(texts[8:]) == wanted
    assert texts[:8] != texts[8:]


def test_files_of_one_name_and_of_a_benchmarks_name_have_problems_of_their_own(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / "a" / "train.jsonl", tmp_path / "b" / "train.jsonl"]
    paths.append(tmp_path / "gsm8k.jsonl")
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"question": f"What is {len(str(path))}?", "answer": "1"}))
    sources = open_sources([], list(map(str, paths)), [])
    found = [source.problems[0] for source in sources if source.problems]
    assert [p.benchmark for p in found] == ["train", "train-2", "gsm8k-2"]
    assert [source.name for source in sources] == ["train", "train-2", "gsm8k-2"]
    assert tokens_of(found[2]) == tokens_of(found[0])


def test_a_cursor_goes_on_where_another_stood() -> None:
    sources = open_sources(["builtin-arithmetic"], [], [])
    whole = Cursor(stream(sources, 1))
    whole.take(5)
    later = Cursor(stream(sources, 1), 5)
    assert later.take(3) == whole.take(3)
    assert later.position == 8


def test_rows_name_their_kind_and_their_rewards(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"question": "1 + 1?", "answer": 2, "kind": "integer", "rules": ["accuracy"], "level": "1"},
        {"prompt": "Write a poem.", "rules": ["model"], "id": "poem"},
        {"numbers": [1, 2, 3], "target": 6, "kind": "expression"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    one, two, three = read_problems(path)
    assert (one.question.kind, one.gold, one.level) == ("integer", "2", "1")
    assert one.hidden["rules"] == ["accuracy"]
    assert (two.id, two.gold, two.hidden["rules"]) == ("poem", None, ["model"])
    assert three.question.data["target"] == 6
    assert "rules" not in three.hidden


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"question": "?", "answer": "1", "kind": "poem"}, "kind is one of"),
        ({"answer": "1"}, "no text `question`"),
        ({"question": "?", "answer": "1", "rules": "accuracy"}, "list of names"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: dict[str, Any], what: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(UsageError, match=what):
        read_problems(path)


class _Marks:
    """A reward model that gives the number of steps, or none."""

    info = RewardInfo("marks", "outcome", "none", ModelInfo("marks", "none", "0"))

    async def score(self, question: Question, steps: Sequence[str]) -> Scored:
        if "refuse" in steps[0]:
            raise RewardError("too long")
        return Scored((), float(len(steps)))

    def forget(self, question: Question) -> None: ...

    async def aclose(self) -> None: ...


def judge_one(asked: Problem, text: str, rules: list[str], model: ModelReward | None) -> Any:
    async def run() -> Any:
        graders = Graders()
        judge = Judge(make_rules(rules, graders), graders, model)
        worth = await judge(asked, Prompt((1,), "ask"), completion(text))
        await graders.aclose()
        return worth

    return asyncio.run(run())


def test_rules_and_model_add_by_their_weights_and_are_kept_apart() -> None:
    model = ModelReward(_Marks(), 0.5)
    worth = judge_one(problem(), "a\n\n\\boxed{4}", ["accuracy:2", "reflection:0"], model)
    assert worth.rewards == {"accuracy": 1.0, "reflection": 0.0, "model": 2.0}
    assert worth.reward == pytest.approx(2 * 1.0 + 0.5 * 2.0)
    assert worth.correct is True


def test_a_problem_that_names_its_rewards_is_judged_by_them_alone() -> None:
    model = ModelReward(_Marks(), 1.0)
    by_rule = judge_one(problem(rules=["accuracy"]), "\\boxed{4}", ["accuracy:1"], model)
    by_model = judge_one(problem(rules=["model"]), "\\boxed{4}", ["accuracy:1"], model)
    assert by_rule.rewards == {"accuracy": 1.0}
    assert by_model.rewards == {"model": 1.0}


def test_what_could_not_be_judged_is_no_number_unless_it_does_not_count() -> None:
    refused = judge_one(problem(), "refuse", ["accuracy:1"], ModelReward(_Marks(), 1.0))
    logged = judge_one(problem(), "refuse", ["accuracy:1"], ModelReward(_Marks(), 0.0))
    ungraded = judge_one(problem(gold="four"), "\\boxed{4}", ["accuracy:1"], None)
    assert math.isnan(refused.reward)
    assert logged.reward == 0.0
    assert math.isnan(ungraded.reward)
    assert ungraded.correct is None


def test_problems_that_nothing_rewards_are_refused_before_training() -> None:
    graders = Graders()
    judge = Judge(make_rules(["accuracy:1", "format:0"], graders), graders)
    judge.check([problem(), problem(rules=["accuracy"])], {})
    judge.check([problem(rules=["model"])], {"model": 1.0})
    with pytest.raises(UsageError, match="'model', which is not among"):
        judge.check([problem(rules=["model"])], {})
    with pytest.raises(UsageError, match="nothing that has a weight"):
        judge.check([problem(rules=["format"])], {})


def test_groups_without_variance_are_flat_and_unjudged_rollouts_do_not_count() -> None:
    assert is_flat((rollout(1.0), rollout(1.0)))
    assert not is_flat((rollout(1.0), rollout(0.0)))
    assert is_flat((rollout(1.0), rollout(math.nan)))


def test_numbers_go_to_padded_and_back() -> None:
    rows = [row(rollout(1.0, n)) for n in (4, 2, 3)]
    (micro,) = micro_batches(rows, range(3), 1000, 0, torch.device("cpu"))
    assert micro.rows == (1, 2, 0)
    flat = torch.arange(9.0)
    padded = micro.to_padded(flat)
    assert padded.tolist() == [[0, 1, 0, 0], [2, 3, 4, 0], [5, 6, 7, 8]]
    kept = [torch.empty(0)] * 3
    for index, numbers in zip(micro.rows, micro.to_rows(flat), strict=True):
        kept[index] = numbers
    assert torch.equal(micro.gather(kept), padded)
    assert micro.padded.targets.tolist() == [10, 11, 10, 11, 12, 10, 11, 12, 13]


def test_micro_batches_keep_the_budget_and_hold_every_row_once() -> None:
    rows = [row(rollout(1.0, n)) for n in (9, 1, 5, 3, 8, 2)]
    found = list(micro_batches(rows, range(6), 20, 0, torch.device("cpu")))
    assert sorted(index for micro in found for index in micro.rows) == list(range(6))
    assert all(micro.padded.ids.numel() <= 20 for micro in found)


def test_shares_are_a_partition_that_the_seed_decides() -> None:
    parts = shares(10, 3, "a")
    assert sorted(itertools.chain(*parts)) == list(range(10))
    assert parts == shares(10, 3, "a") != shares(10, 3, "b")


def test_untrained_rows_have_no_tokens() -> None:
    masked = row(rollout(0.0, 4), trained=False)
    assert masked.count == 0
    assert not any(masked.example.trained)


def test_the_reward_comes_with_the_last_token_after_each_tokens_penalty() -> None:
    penalties = [torch.tensor([0.1, 0.2]), torch.zeros(0)]
    one, none = end_rewards([1.0, 5.0], [2, 0], penalties)
    assert one.tolist() == pytest.approx([-0.1, 0.8])
    assert none.tolist() == []


def test_rollouts_survive_a_checkpoint() -> None:
    made = batch((rollout(1.0), rollout(math.inf, sample=1)))
    file = io.BytesIO()
    torch.save(to_plain(made), file)
    file.seek(0)
    assert of_plain(torch.load(file, weights_only=True)) == made


def test_kept_rollouts_end_with_the_step_that_a_run_goes_on_from(tmp_path: Path) -> None:
    made = batch((rollout(1.0), rollout(math.nan, sample=1)), (rollout(0.0),))
    samples = Samples(tmp_path, 1, 0)
    for step in (1, 2, 3):
        samples.add(step, made)
    path = tmp_path / "rollouts.jsonl"
    path.write_text(path.read_text() + '{"step": 4, "resp')  # killed while writing
    Samples(tmp_path, 1, 2)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 1, 2, 2]
    assert [row["reward"] for row in rows[:2]] == [1.0, None]


def test_kept_rollouts_may_hold_any_separator_of_lines(tmp_path: Path) -> None:
    odd = replace(rollout(1.0), completion=completion("one\u2028two\u0085three\x0c"))
    samples = Samples(tmp_path, 1, 0)
    for step in (1, 2):
        samples.add(step, batch((odd,)))
    path = tmp_path / "rollouts.jsonl"
    with path.open("ab") as file:
        file.write('{"step": 3, "response": "é'.encode()[:-1])  # killed within a character
    Samples(tmp_path, 1, 1)
    (kept,) = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert json.loads(kept)["response"] == "one\u2028two\u0085three\x0c"


def test_metrics_of_rollouts() -> None:
    group = (
        rollout(1.0, 2),
        rollout(0.0, 4, correct=False),
        rollout(0.0, 9, correct=False, finish="length"),
        rollout(math.nan, 5, correct=None),
    )
    found = of_rollouts(Rollouts((group,), 0, 4, 1, 0, Usage(), 1.0))
    assert found["reward"] == pytest.approx(1 / 3)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert (found["length_correct"], found["length_wrong"]) == (2, 4)
    assert (found["length_truncated"], found["truncated"]) == (9, 0.25)
    assert found["length_p50"] == 4.5
    assert [found[f"length_wrong_p{q}"] for q in (10, 50, 90)] == [4, 4, 4]
    assert [found[f"length_truncated_p{q}"] for q in (10, 50, 90)] == [9, 9, 9]
    assert found["groups_flat"] == 0.25
    assert found["ungraded"] == 0.25
    assert found["reflection"] == 1.0


def test_metrics_of_updates_are_means_over_tokens() -> None:
    sums = Sums(updates=2)
    sums.add({"tokens": torch.tensor(4.0), "kl": torch.tensor(2.0), "ratio_max": torch.tensor(3.0)})
    sums.add({"tokens": torch.tensor(6.0), "kl": torch.tensor(3.0), "ratio_max": torch.tensor(2.0)})
    sums.totals["loss"] = 1.0
    found = of_update(sums, 0.1)
    assert (found["kl"], found["ratio_max"], found["loss"]) == (0.5, 3.0, 0.5)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_give_what_their_source_used_and_yield_to_settings(preset: str) -> None:
    plain = parse_grpo({"preset": preset, "benchmark": "builtin-arithmetic"})
    defaults = PRESETS[preset].defaults
    if "lr" in defaults:
        assert plain.optimizer.lr == plain.optimizer.adamw_lr == defaults["lr"]
    if "critic_lr" in defaults:
        assert plain.critic.optimizer.lr == defaults["critic_lr"]
    assert plain.group == defaults.get("group", 8)
    changed = parse_grpo(
        {
            "preset": preset,
            "benchmark": ["builtin-arithmetic"],
            "group": 3,
            "optimizer": {"lr": 0.5},
            "loss": {"beta": 0.2, "kl": "k2"},
        }
    )
    assert (changed.group, changed.optimizer.lr) == (3, 0.5)
    loss = algorithm(changed, 64).loss
    assert (loss.beta, loss.kl) == (0.2, "k2")
    assert loss.surrogate == PRESETS[preset].loss.surrogate


def test_late_rollouts_are_corrected_unless_told_otherwise() -> None:
    base = {"benchmark": ["builtin-arithmetic"], "asynchronous": True}
    assert algorithm(parse_grpo(base), 64).loss.correction == "truncate"
    off = parse_grpo({**base, "loss": {"correction": "none"}})
    assert algorithm(off, 64).loss.correction == "none"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"groups": 3}, "unknown training setting 'groups'"),
        ({"preset": "gropo"}, "did you mean grpo"),
        ({"loss": {"betta": 1}}, "did you mean beta"),
        ({"loss": {"kl": "k7", "beta": 1.0}}, "loss.kl"),
        ({"group": 1}, "set group to 2"),
        ({"steps": 0}, "steps"),
        ({"overlong": "soft", "overlong_cache": 64}, "below max_tokens"),
        ({"benchmark": []}, "name the problems"),
        ({"benchmark": 3}, "benchmark"),
        ({"preset": "ppo", "filter_groups": True}, "filter_groups compares"),
        ({"preset": "ppo", "optimizer": 3}, "optimizer"),
        ({"preset": "ppo", "critic": 3}, "critic"),
        ({"preset": "ppo", "critic": {"optimizer": 3}}, "critic.optimizer"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        algorithm(parse_grpo({"benchmark": ["builtin-arithmetic"], **settings}), 64)
