"""Rows of labelled steps: read as they stand, and learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.errors import UsageError
from reasonbench.trainers import orm, prm
from reasonbench.trainers.orm import OrmConfig, outcome_targets
from reasonbench.trainers.prm import PrmConfig, step_targets
from reasonbench.trainers.reward_config import parse_reward
from reasonbench.trainers.reward_data import RowMaker
from reasonbench.trainers.reward_labels import read_labels
from tests.trainers.test_preference_data import GOLDEN, written
from tests.trainers.test_prm import policy, settings

__all__ = ["policy"]

ROW = {"prompt": "p", "completions": ["a", "b"], "labels": [True, False]}


def test_rows_are_read_as_they_stand() -> None:
    found = list(read_labels(GOLDEN / "steps.jsonl"))
    expected = json.loads((GOLDEN / "steps.expected.json").read_text())
    assert [
        [p.question, list(s.steps), list(s.labels or ()), s.correct]
        for p in found
        for s in p.solutions
    ] == expected
    assert [p.id for p in found] == [f"line {n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW | {"labels": [True]}, "it has 2 steps and 1 labels"),
        (ROW | {"labels": [1, -1]}, "a label is -1.*labels of 1, 0 and -1 are `ratings`"),
        (ROW | {"labels": [1, "fine"]}, "a label is 'fine'"),
        (ROW | {"labels": [1, 1.5]}, "a label is 1.5"),
        (ROW | {"labels": [None, None]}, "no step has a label"),
        (ROW | {"labels": "+-"}, "`labels` is a string, not a list"),
        (ROW | {"ratings": [1, 1]}, "both `labels` and `ratings`"),
        ({"prompt": "p", "completions": ["a"]}, "neither `labels` nor `ratings`"),
        ({"prompt": "p", "completions": ["a"], "ratings": [0.5]}, "a rating is 0.5"),
        (ROW | {"prompt": ""}, "`prompt` is no text"),
        (ROW | {"completions": ["a", " "]}, "a step is empty"),
        (ROW | {"completions": ["a", 3]}, "a step is a number"),
        (ROW | {"completions": [], "labels": []}, "it has no steps"),
    ],
)
def test_a_malformed_row_is_told_by_its_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=f"line 2: not a line of step labels .*{message}"):
        list(read_labels(written([ROW, row], tmp_path)))


def targets(line: int, config: PrmConfig) -> list[tuple[float, float]]:
    problem = list(read_labels(GOLDEN / "steps.jsonl"))[line - 1]
    maker = RowMaker(build_tokenizer(), config, lambda nodes: step_targets(nodes, config))
    rows = maker.rows(problem, "seed")
    return [pair for row in rows for pair in zip(row.targets, row.weights, strict=True)]


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_given_labels_are_learned_as_they_are(target: Any) -> None:
    config = PrmConfig(target=target, last=2.0)
    assert targets(1, config) == [(1, 1), (0, 1), (0, 2)]
    assert targets(3, config)[:2] == [(0.125, 1), (1, 1)]
    assert targets(3, config)[2][1] == 0
    assert targets(4, config)[0][1] == 0
    assert targets(4, config)[1] == (0, 2)


def test_outcome_rewards_learn_the_last_label_alone() -> None:
    problem = next(iter(read_labels(GOLDEN / "steps.jsonl")))
    maker = RowMaker(build_tokenizer(), OrmConfig(), outcome_targets, closed=True)
    (row,) = maker.rows(problem, "seed")
    weighted = [(t, w) for t, w in zip(row.targets, row.weights, strict=True) if w]
    assert weighted == [(0, 1)]


def labelled(folder: Path) -> str:
    """A step is good where it repeats the question's digit."""
    made = []
    for n in range(40):
        digit, other = str(n % 10), f"{(n + 3) % 10} {n % 10}"
        steps, labels = ([digit, other], "+-") if n % 2 else ([digit, digit], "++")
        prompt = f"What is {digit}" + "?" * (1 + n // 10)  # each is asked once
        made.append({"prompt": prompt, "steps": steps, "labels": list(labels)})
    return str(written(made, folder))


def test_both_kinds_of_rewards_learn_from_them(policy: Path, tmp_path: Path) -> None:
    data = labelled(tmp_path)
    rows: list[Any] = []
    config = parse_reward(PrmConfig, settings(policy, data=data, epochs=10))
    found = prm.train(config, tmp_path / "prm", rows.append)
    assert rows[-1].loss < 0.5 * rows[0].loss
    assert found["steps"] == 8
    outcome = parse_reward(OrmConfig, settings(policy, data=data, epochs=1))
    assert orm.train(outcome, tmp_path / "orm")["steps"] == 4
