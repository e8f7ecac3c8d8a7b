"""A few roll-outs of every step as text, so that one can read what is being learned."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from reasonbench.runs import atomic_write
from reasonbench.trainers.rollouts import Rollout, Rollouts

FILE = "rollouts.jsonl"


class Samples:
    """The file of roll-outs in a run's folder."""

    def __init__(self, folder: Path, groups: int, step: int) -> None:
        """Drops what came after the step that the run goes on from.

        Args:
            folder: of the run.
            groups: how many of a step are kept, whole; 0 keeps none.
            step: the last one that stays.
        """
        self._path, self._groups = folder / FILE, groups
        if self._path.is_file():
            # only "\n" ends a line: responses hold other separators, and a kill may cut a character
            with self._path.open(encoding="utf-8", newline="\n", errors="replace") as file:
                kept = "".join(line for line in file if _step(line) <= step)
            if len(kept.encode()) != self._path.stat().st_size:
                atomic_write(self._path, kept)

    def add(self, step: int, batch: Rollouts) -> None:
        """The first groups of a step that was trained on."""
        chosen = [rollout for group in batch.groups[: self._groups] for rollout in group]
        if chosen:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{_line(step, batch.version, each)}\n" for each in chosen))


def _line(step: int, version: int, rollout: Rollout) -> str:
    question, completion = rollout.problem.question, rollout.completion
    values: dict[str, Any] = {
        "step": step,
        "weight_version": version,
        "benchmark": question.benchmark,
        "problem": question.id,
        "sample": rollout.sample,
        "reward": rollout.reward if math.isfinite(rollout.reward) else None,
        "rewards": dict(rollout.rewards),
        "correct": rollout.correct,
        "finish": completion.finish,
        "tokens": len(completion.token_ids),
        "question": question.text,
        "response": completion.text,
    }
    return json.dumps(values, ensure_ascii=False)


def _step(line: str) -> float:
    """Of a line; one that a kill cut short is of a step that is made again."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf
