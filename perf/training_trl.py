"""A worker of `perf/training.py` and `perf/gpu.py`: TRL's trainers. Needs TRL, not reasonbench."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from contextlib import suppress
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from training_rounds import EndedError, Rounds
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


class Stepped(TrainerCallback):  # type: ignore[misc]
    """Tells the rounds of every step."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.rounds.stepped()


def common(settings: dict[str, Any]) -> dict[str, Any]:
    """Arguments of both trainers."""
    return {
        "output_dir": settings["out"],
        "per_device_train_batch_size": settings["batch"],
        "gradient_accumulation_steps": settings["accumulate"],
        "max_steps": settings["steps"],
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "logging_strategy": "no",
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        # bf16 weights need no autocast; fp32 weights compute in bf16 by it
        "bf16": settings["weights"] == "float32" and settings["dtype"] == "bfloat16",
        "use_cpu": settings["device"] == "cpu",
        "gradient_checkpointing": False,
        "optim": settings["optim"],
        "seed": settings["seed"],
    }


def model_of(settings: dict[str, Any]) -> Any:
    """The model, on the CPU; trainers move it."""
    return AutoModelForCausalLM.from_pretrained(
        settings["model"],
        dtype=getattr(torch, settings["weights"]),
        attn_implementation=settings["attention"],
    )


def facts(settings: dict[str, Any]) -> dict[str, Any]:
    """What the run says of itself."""
    kept = {k: v for k, v in settings.items() if k not in ("out", "model", "data", "kind")}
    said = ", ".join(f"{k} {v}" for k, v in kept.items())
    versions = f"TRL {trl.__version__}, transformers {transformers.__version__}"
    return {"settings": f"{versions}, {torch.get_num_threads()} threads, {said}"}


def rows(file: str) -> Dataset:
    with open(file, encoding="utf-8") as lines:
        return Dataset.from_list([json.loads(line) for line in lines])


def sft(settings: dict[str, Any]) -> None:
    """Steps on the file's examples, in its order, which groups them by length."""
    from trl import SFTConfig, SFTTrainer

    rounds = Rounds(settings["warm"], facts(settings))
    trainer = SFTTrainer(
        model=model_of(settings),
        args=SFTConfig(
            **common(settings),
            train_sampling_strategy="sequential",
            max_length=None,
            packing=False,
            completion_only_loss=True,
            loss_type=settings["loss"],
        ),
        train_dataset=rows(settings["data"]),
        processing_class=AutoTokenizer.from_pretrained(settings["model"]),
        callbacks=[Stepped(rounds)],
    )
    loss = trainer.compute_loss

    def counted(model: Any, inputs: dict[str, torch.Tensor], *args: Any, **named: Any) -> Any:
        rounds.counts["tokens"] += int((inputs["labels"][:, 1:] != -100).sum())
        rounds.counts["padded"] += inputs["input_ids"].numel()
        rounds.counts["read"] += int(inputs["attention_mask"].sum())
        rounds.counts["rows"] += len(inputs["input_ids"])
        with rounds.timed("forward"):
            return loss(model, inputs, *args, **named)

    trainer.compute_loss = counted
    backward = trainer.accelerator.backward
    trainer.accelerator.backward = rounds.timing("backward", backward)
    trainer.train()


def grpo(settings: dict[str, Any]) -> None:
    """GRPO without a KL, one update for each batch of roll-outs, by transformers' generation."""
    from trl import GRPOConfig, GRPOTrainer

    rounds = Rounds(settings["warm"], facts(settings))

    def accuracy(completions: list[str], gold: list[str], **_: Any) -> list[float]:
        started = time.perf_counter()
        found = [
            BOXED.findall(text)[-1:] == [right]
            for text, right in zip(completions, gold, strict=True)
        ]
        rounds.counts["right"] += sum(found)
        rounds.counts["completions"] += len(found)
        rounds.parts["reward"] += time.perf_counter() - started
        if settings.get("random_rewards"):
            return [float(chance.random() < 0.5) for _ in found]
        return [float(right) for right in found]

    chance = random.Random(0)
    trainer = GRPOTrainer(
        model=model_of(settings),
        reward_funcs=accuracy,
        args=GRPOConfig(
            **common(settings),
            num_generations=settings["group"],
            max_completion_length=settings["max_tokens"],
            temperature=1.0,
            beta=0.0,
            loss_type="grpo",
            scale_rewards="group",
            shuffle_dataset=False,
            use_transformers_continuous_batching=settings["continuous"],
            cache_implementation=settings["cache"],
        ),
        train_dataset=rows(settings["data"]),
        processing_class=AutoTokenizer.from_pretrained(settings["model"], padding_side="left"),
        callbacks=[Stepped(rounds)],
    )
    batch = trainer._generate_and_score_completions

    def scored(inputs: Any) -> Any:
        found = batch(inputs)
        rounds.counts["tokens"] += int(found["completion_mask"].sum())
        rounds.counts["prompts"] += int(found["prompt_mask"].sum())
        return found

    trainer._generate_and_score_completions = scored
    trainer._generate = rounds.timing("roll-outs", trainer._generate)
    compute = trainer._compute_loss
    trainer._compute_loss = rounds.timing("log-probs", compute)
    backward = trainer.accelerator.backward
    trainer.accelerator.backward = rounds.timing("backward", backward)
    trainer.train()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    with suppress(EndedError):
        {"sft": sft, "grpo": grpo}[asked["kind"]](asked)
