"""Step labels by roll-outs: what is sampled, what is counted, what follows from it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from reasonbench.builtin import arithmetic, countdown
from reasonbench.errors import UsageError
from reasonbench.policy import Policy
from reasonbench.trainers.labels import Solution, agreement, math_shepherd
from reasonbench.trainers.reward_labels import LabelRow, LabelsConfig, make_labels, read_labels
from reasonbench.trainers.reward_problems import training_problems
from reasonbench.tree import ROLL_OUT
from reasonbench.types import (
    Completion,
    Message,
    ModelInfo,
    Prompt,
    Question,
    RequestKey,
    SamplingParams,
)

QUESTION = Question("q", "toy", "?")
STEP = "\n\n"


class Writer:
    """Writes a step that its path decides: "a" leads to the answer 1, "b" to the answer 0."""

    info = ModelInfo("toy", "toy", "0")
    in_flight = 4
    notice = None

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        so_far = prompt.text.removeprefix("Q")
        self.asked[so_far] += 1
        if so_far == "":
            text = ("a", "b", "a", "9")[key.path[0] % 4]
            return _said(text + STEP) if text != "9" else _ended("9")
        if ROLL_OUT in key.path:
            last = key.path[-1]
            if so_far == "b" + STEP:
                return _ended("0")
            return _ended("1") if last % 2 else _ended("0")
        return _ended("1" if so_far[0] == "a" else "0")

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def max_model_len(self) -> int:
        return 1000

    def render(self, messages: list[Message]) -> Prompt:
        return Prompt((1,), "Q")

    async def aclose(self) -> None:
        pass


def _said(text: str) -> Completion:
    return Completion(tuple(map(ord, text)), text, "stop", STEP)


def _ended(text: str) -> Completion:
    return Completion((*map(ord, text), 0), text, "stop")


async def is_one(completion: Completion) -> bool:
    return completion.text.endswith("1")


def label(engine: Writer, n: int, **options: bool) -> list[Solution]:
    policy = Policy(engine, QUESTION, Prompt((1,), "Q"), SamplingParams())  # type: ignore[arg-type]
    return asyncio.run(math_shepherd(policy, is_one, solutions=4, n=n, **options))


def test_counts_are_those_of_all_completions_from_a_step() -> None:
    found = label(Writer(), 6)
    good, bad, again, direct = found[:4]
    # two solutions pass through "a", so four roll-outs are left, of which every second is right
    assert good == again
    assert good.steps == ("a" + STEP, "1")
    assert (good.right, good.tried) == ((4, 4), (6, 4))
    assert (bad.right, bad.tried, bad.correct) == ((0, 0), (6, 6), False)
    assert (direct.steps, direct.right, direct.tried) == (("9",), (0,), (1,))


def test_only_missing_completions_are_rolled_out() -> None:
    engine = Writer()
    label(engine, 6)
    assert engine.asked["a" + STEP] == 2 + 4
    assert engine.asked["b" + STEP] == 1 + 5
    assert engine.asked[""] == 4


def test_roll_outs_come_back_as_solutions_of_their_own() -> None:
    rolled = [s for s in label(Writer(), 6) if s.rolled_out]
    assert Counter(s.correct for s in rolled) == {True: 2, False: 2 + 5}
    assert all(len(s.steps) == 2 for s in rolled)


def test_a_hard_label_needs_enough_tries_and_dies_with_an_earlier_step() -> None:
    steps = ("a", "b", "c", "d", "e")
    found = Solution(steps, (3, 0, 0, 0, 0), (8, 3, 8, 1, 1), False)
    assert found.hard(8) == (True, None, False, False, False)
    assert found.soft() == (3 / 8, 0, 0, 0, 0)


def test_agreement_says_which_way_labels_err() -> None:
    found = agreement([True, True, False, False], [True, False, True, False])
    assert found == {"agreement": 0.5, "false_good": 0.5, "false_bad": 0.5}


def test_training_problems_repeat_and_keep_clear_of_the_test_split() -> None:
    shares = {"arithmetic": 0.5, "countdown": 0.3, "code": 0.2}
    one, two = (list(islice(training_problems(5, shares), 300)) for _ in range(2))
    assert one == two
    assert {p.benchmark for p in one} == {
        "builtin-arithmetic",
        "builtin-countdown",
        "builtin-code",
    }
    held_out = {i.question for i in (*arithmetic.test_split(), *countdown.test_split())}
    assert not held_out & {p.question.text for p in one}


def test_labels_of_the_built_in_policy_go_on_after_a_kill(tmp_path: Path) -> None:
    config = LabelsConfig(
        problems=3,
        solutions=2,
        n=2,
        engine="transformers",
        families={"arithmetic": 1.0},
        max_tokens=160,
        seed=4,
    )
    whole = make_labels(config, tmp_path / "whole.jsonl")
    lines = whole.read_text().splitlines(keepends=True)
    assert len(lines) == 3
    cut = tmp_path / "cut.jsonl"
    cut.write_text(lines[0] + lines[1][:40])
    (tmp_path / "cut.settings.json").write_text((tmp_path / "whole.settings.json").read_text())
    assert make_labels(config, cut).read_text() == whole.read_text()
    for problem in read_labels(whole):
        for solution in problem.solutions:
            assert len(solution.steps) == len(solution.right) == len(solution.tried)
            assert all(r <= t for r, t in zip(solution.right, solution.tried, strict=True))
            assert solution.correct == (solution.right[-1] > 0)


def test_labels_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    out.write_text("")
    with pytest.raises(UsageError, match="other settings"):
        make_labels(LabelsConfig(), out)


def test_a_broken_line_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"id": "x"}\n')
    with pytest.raises(UsageError, match="line 1"):
        list(read_labels(path))


def test_labels_of_ones_own_problems_by_a_search_for_the_first_error(tmp_path: Path) -> None:
    own = tmp_path / "sums.jsonl"
    rows = [{"id": str(n), "problem": f"What is {n} + 48?", "answer": str(n + 48)} for n in (5, 7)]
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = LabelsConfig(
        problems=9,
        benchmark=str(own),
        method="first-error",
        solutions=2,
        n=2,
        engine="transformers",
        max_tokens=120,
    )
    shown: list[LabelRow] = []
    found = list(read_labels(make_labels(config, tmp_path / "labels.jsonl", shown.append)))
    assert [p.question for p in found] == ["What is 5 + 48?", "What is 7 + 48?"]
    assert (shown[-1].problems, shown[-1].total) == (2, 2)
    assert sum(p.tokens for p in found) == shown[-1].tokens
    for problem in found:
        sampled = [s for s in problem.solutions if not s.rolled_out]
        assert all(s.labels is not None and len(s.labels) == len(s.steps) for s in sampled)
        wrong = [s for s in sampled if not s.correct]
        assert problem.rollouts <= sum(2 * len(s.steps) for s in wrong)


def test_settings_of_an_earlier_version_are_read_with_the_defaults(tmp_path: Path) -> None:
    config = LabelsConfig(problems=1)
    out = tmp_path / "labels.jsonl"
    line = {"id": "x", "benchmark": "b", "question": "?", "instruction": "", "solutions": []}
    out.write_text(json.dumps(line) + "\n")
    kept = config.model_dump(exclude={"benchmark", "method", "step"})
    (tmp_path / "labels.settings.json").write_text(json.dumps(kept))
    assert make_labels(config, out) == out
