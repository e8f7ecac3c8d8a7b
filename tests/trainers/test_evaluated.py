"""Evaluation in the loop of supervised and preference training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from click.testing import CliRunner
from safetensors.torch import load_file

from reasonbench.builtin import model_path
from reasonbench.cli.train import train as cli
from reasonbench.errors import UsageError
from reasonbench.in_loop import EvalPoint
from reasonbench.runs import RunStore
from reasonbench.trainers import preference, sft
from reasonbench.trainers.evaluated import START, shortest
from reasonbench.trainers.preference_config import PreferenceConfig, parse_preference
from tests.trainers.tiny import INIT, config, records

EVALUATION = {"every": 2, "strategies": ["cot@2"], "benchmarks": ["builtin-arithmetic"], "limit": 3}
ENGINE = {"engine": "transformers", "engine_args": {"max_rows": 8}}
RATE = {"name": "adamw", "lr": 1e-4}


class KilledError(Exception):
    """Stands for the process going away."""


def supervised(**changes: Any) -> Any:
    """Three updates of the built-in policy."""
    base: dict[str, Any] = {
        "init": None,
        "tokenizer": None,
        "model": str(model_path()),
        "examples": 24,
        "pool": 24,
        "batch_tokens": 192,
        "accumulate": 2,
        "optimizer": RATE,
        "log_every": 100,
        "evaluation": EVALUATION,
        **ENGINE,
    }
    return config(**(base | changes))


def pairs(folder: Path, **changes: Any) -> PreferenceConfig:
    rows = [
        {"prompt": f"What is {n}?", "chosen": str(n % 10), "rejected": "no idea"} for n in range(24)
    ]
    data = folder / "pairs-in.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    base: dict[str, Any] = {
        "data": str(data),
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "batch": 8,
        "optimizer": RATE,
        "evaluation": EVALUATION,
        **ENGINE,
    }
    return parse_preference(base | changes)


def points(folder: Path) -> list[tuple[int, bool]]:
    with RunStore.open(folder) as store:
        return [(e.step, e.complete) for e in store.evaluations()]


def equal(one: Path, two: Path) -> bool:
    a, b = (load_file(folder / "model.safetensors") for folder in (one, two))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_checkpoints_of_supervised_training_are_evaluated_and_the_best_is_kept(
    tmp_path: Path,
) -> None:
    from transformers import AutoModelForCausalLM

    seen: list[EvalPoint] = []

    def keep(found: Sequence[EvalPoint]) -> None:
        seen.extend(found)

    sft.train(supervised(), tmp_path / "run", records, on_eval=keep)
    sft.train(supervised(evaluation=None), tmp_path / "plain", records)
    assert equal(tmp_path / "run", tmp_path / "plain")  # looking changes nothing
    steps = [point.step for point in seen]
    summary = json.loads((tmp_path / "run" / "training.json").read_text())
    last = summary["log"][-1]["step"]
    assert steps == sorted({0, *range(2, last, 2), last})
    assert points(tmp_path / "run") == [(step, True) for step in steps]
    best = max(seen, key=lambda point: (point.accuracy, -point.step))
    assert summary["best"]["step"] == best.step
    kept = json.loads((tmp_path / "run" / "best" / "step.json").read_text())
    assert kept["accuracy"] == best.accuracy
    AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "best")
    with RunStore.open(tmp_path / "run") as store:
        logged = {row.step: row.metrics for row in store.training()}
    assert [step for step, metrics in logged.items() if "loss" in metrics] == steps[1:]
    assert {"seconds", "flops", "eval_seconds"} <= logged[last].keys()


def test_a_killed_run_goes_on_with_its_evaluations(tmp_path: Path) -> None:
    settings = supervised(checkpoint_every=1)
    sft.train(settings, tmp_path / "whole", records)

    def killed(row: sft.LogRow) -> None:
        if row.step == 2:
            raise KilledError

    with pytest.raises(KilledError):
        sft.train(settings, tmp_path / "cut", records, killed)
    assert (0, True) in points(tmp_path / "cut")
    sft.train(settings, tmp_path / "cut", records, resume=True)
    assert equal(tmp_path / "whole", tmp_path / "cut")
    assert points(tmp_path / "whole") == points(tmp_path / "cut")


def test_training_stops_where_nothing_gets_better(tmp_path: Path) -> None:
    harmful = {"name": "adamw", "lr": 0.05}
    patient = {**EVALUATION, "every": 1, "patience": 2}
    settings = pairs(tmp_path, optimizer=harmful, evaluation=patient, epochs=10)
    found = preference.train(settings, tmp_path / "run")
    assert found["best"]["step"] == 0
    assert [row["step"] for row in found["log"]] == [1, 2]
    start = load_file(Path(model_path()) / "model.safetensors")
    best = load_file(tmp_path / "run" / "best" / "model.safetensors")
    assert all(torch.equal(best[name], start[name].float()) for name in best)
    assert not equal(tmp_path / "run", tmp_path / "run" / "best")


def test_a_model_made_of_nothing_is_evaluated(tmp_path: Path) -> None:
    long = {**INIT, "max_position_embeddings": 1024}
    rare = {**EVALUATION, "every": 100, "limit": 1, "strategies": ["cot@1"]}
    sft.train(config(evaluation=rare, init=long, examples=8, **ENGINE), tmp_path / "run", records)
    assert [step for step, _ in points(tmp_path / "run")] == [0, 1]
    assert not (tmp_path / "run" / START).exists()


def work(rank: int, folder: str) -> None:
    """One process of two."""
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    preference.train(pairs(Path(folder)), Path(folder) / "two")
    dist.destroy_process_group()


def test_two_processes_evaluate_once(tmp_path: Path) -> None:
    one = preference.train(pairs(tmp_path), tmp_path / "one")
    mp.spawn(work, args=(str(tmp_path),), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    assert points(tmp_path / "one") == points(tmp_path / "two") == [(s, True) for s in (0, 2, 3)]
    two = json.loads((tmp_path / "two" / "training.json").read_text())
    assert two["best"] == one["best"]
    a, b = (load_file(tmp_path / name / "best" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_adapters_are_evaluated_afterwards(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without lora"):
        sft.train(supervised(lora={"rank": 2}), tmp_path / "run", records)
    assert not (tmp_path / "run").exists()


def test_the_command_wants_to_know_on_what(tmp_path: Path) -> None:
    arguments = ["sft", "--model", "x", "--data", "y.jsonl", "--out", str(tmp_path / "run")]
    found = CliRunner().invoke(cli, [*arguments, "--eval-every", "5"])
    assert isinstance(found.exception, UsageError)
    assert "--eval-benchmark" in str(found.exception)


def test_pushes_are_checked_with_short_texts() -> None:
    samples = [([1] * n, [2] * 100) for n in range(1, 20)]
    found = shortest([([], [1]), ([1], []), *reversed(samples)])
    assert [len(prompt) for prompt, _ in found] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {len(written) for _, written in found} == {64}
