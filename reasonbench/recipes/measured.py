"""What a stage used and what came of it, read from what it left on disk.

So the figures are those of the whole stage, however often it was killed and gone on with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonbench.runs import RunStore
from reasonbench.runs.folder import is_run
from reasonbench.runs.tables import is_headline, strategy_label

if TYPE_CHECKING:
    from reasonbench.recipes.kinds import Done
    from reasonbench.trainers.config import SftConfig


def sampled(folder: Path) -> int | None:
    """Tokens that a run's engine decoded; None where there is no run."""
    if not is_run(folder):
        return None
    with RunStore.open(folder) as store:
        return store.usage().decode_tokens


def rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each strategy scored on each benchmark: one row of a summary each.

    Returns:
        Rows with `benchmark`, `strategy`, `metric`, `accuracy` (0-1), `interval`, `length` (mean
        tokens of a completion), `n`, `k`, `problems`, `truncated` (share). Of `cot` pass@1 alone.
    """
    return [
        {
            "benchmark": row["benchmark"],
            "strategy": strategy_label(row),
            "metric": row["metric"],
            "accuracy": row["accuracy"],
            "interval": list(row["interval"]),
            "length": row["tokens_mean"],
            "n": row["n"],
            "k": row["k"],
            "problems": row["problems"],
            "truncated": row["truncated"],
        }
        for row in results["rows"]
        if is_headline(row) and (row["strategy"] != "cot" or row["k"] == 1)
    ]


def learned(folder: Path) -> Done:
    """What a finished run of reinforcement learning used, and its last step's rewards."""
    from reasonbench.recipes.kinds import Done

    last: dict[str, float] = {}
    with RunStore.open(folder) as store:
        for step in store.training():
            if "tokens_trained" in step.metrics:  # a step's row, not an evaluation's
                last = step.metrics
    kept = ("reward", "accuracy", "length", "kl")
    figures = {k: v for k, v in last.items() if k in kept or k.startswith("reward/")}
    return Done(
        int(last.get("tokens_rollout", 0)), int(last.get("tokens_trained", 0)), figures=figures
    )


def trained_on(config: SftConfig, folder: Path) -> int | None:
    """Tokens of the examples that a supervised run went through; None where the data has no end."""
    from itertools import chain, islice, repeat

    from transformers import AutoTokenizer

    from reasonbench.trainers.data import Encoder, read_jsonl

    path = Path(config.data)
    if not path.is_file():
        return None
    encode = Encoder(AutoTokenizer.from_pretrained(folder))
    lengths = [len(encode(record).ids) for record in read_jsonl(path)]
    total = config.examples or round(config.epochs * len(lengths))
    gone_through = islice(chain.from_iterable(repeat(lengths)), total)
    return sum(length for length in gone_through if length <= config.max_length)


def labelled(file: Path) -> int | None:
    """Tokens that were sampled for step labels; None where none were made here."""
    from reasonbench.trainers.reward_labels import read_labels

    return sum(one.tokens for one in read_labels(file)) if file.is_file() else None


def label_figures(file: Path) -> dict[str, float]:
    """Problems, sampled solutions and their steps in a file of step labels."""
    from reasonbench.trainers.reward_labels import read_labels

    counts = {"problems": 0, "solutions": 0, "steps": 0}
    for one in read_labels(file):
        own = [solution for solution in one.solutions if not solution.rolled_out]
        counts["problems"] += 1
        counts["solutions"] += len(own)
        counts["steps"] += sum(len(solution.steps) for solution in own)
    return {name: float(count) for name, count in counts.items()}


def device() -> str:
    """Where a trainer that asks for one device goes: CUDA where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
