"""A worker of `perf/training.py` and `perf/gpu.py`: reasonbench's trainers, timed in parts."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from training_rounds import EndedError, Rounds

from reasonbench.in_loop import EvalPoint
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.rl_cores import cpu_seconds

RATES = {"name": "adamw", "lr": 1e-6, "adamw_lr": 1e-6}


def sft(settings: dict[str, Any]) -> None:
    """Supervised steps on the file's examples, in its order and its batches."""
    from reasonbench.trainers import sft as trainer
    from reasonbench.trainers.config import parse_config

    batch = int(settings["batch"])
    config = parse_config(
        {
            "model": settings["model"],
            "data": settings["data"],
            "shuffle": False,
            "pool": batch,
            "batch_tokens": 1 << 24,
            "max_length": 1 << 16,
            "optimizer": RATES,
            "schedule": {"warmup": 0.0, "decay": "constant"},
            "dtype": settings["dtype"],
            "device": settings["device"],
            "log_every": 1,
        }
    )
    rounds = Rounds(settings["warm"], {"settings": _settings(settings, "AdamW on fp32 masters")})
    loss, pad = trainer.completion_loss, trainer.pad

    def padded(batch: Any, *args: Any) -> Any:
        rounds.counts["rows"] += len(batch)
        rounds.counts["read"] += sum(len(example.ids) for example in batch)
        return pad(batch, *args)

    def forward(model: Any, batch: Any) -> torch.Tensor:
        rounds.counts["tokens"] += len(batch.targets)
        rounds.counts["padded"] += batch.ids.numel()
        with rounds.timed("forward"):
            return loss(model, batch)

    trainer.completion_loss, trainer.pad = forward, padded
    _time_learning(rounds)
    trainer.train(config, Path(settings["out"]), on_log=lambda _: rounds.stepped())


class _Watcher:
    """Tells the rounds of every step."""

    def __init__(self, rounds: Rounds, batches: list[Any]) -> None:
        self.rounds, self.batches, self.done = rounds, batches, 0

    def starting(self, model: str) -> None: ...
    def noticed(self, sentence: str) -> None: ...
    def evaluated(self, points: Sequence[EvalPoint]) -> None: ...

    def stepped(self, row: Any) -> None:
        counts, batch = self.rounds.counts, self.batches[self.done]
        counts["tokens"] += sum(len(r.completion.token_ids) for r in batch.flatly)
        counts["prompts"] += sum(len(r.prompt.token_ids) for r in batch.flatly)
        counts["right"] += sum(bool(r.correct) for r in batch.flatly)
        counts["completions"] += len(batch.flatly)
        counts["trained"] += row.metrics["tokens_trained"] - self.trained_before
        self.trained_before = row.metrics["tokens_trained"]
        self.batches[self.done] = None
        self.done += 1
        self.rounds.stepped()

    trained_before = 0.0


def grpo(settings: dict[str, Any]) -> None:
    """GRPO without a KL, one update for each batch of roll-outs."""
    from reasonbench.trainers import grpo as trainer
    from reasonbench.trainers.grpo_config import parse_grpo

    given: dict[str, Any] = {
        "model": settings["model"],
        "preset": "grpo",
        "benchmark": [settings["benchmark"]],
        "loss": {"kl": "none", "beta": 0.0},
        "steps": settings["steps"],
        "problems": settings["problems"],
        "group": settings["group"],
        "max_tokens": settings["max_tokens"],
        "temperature": 1.0,
        "minibatches": 1,
        "batch_tokens": settings["batch_tokens"],
        "optimizer": RATES,
        "asynchronous": settings["asynchronous"],
        "dtype": settings["dtype"],
        "device": settings["device"],
        "engine": settings["engine"],
        "engine_args": settings.get("engine_args", {}),
        "seed": settings["seed"],
        "save_every": 0,
        "keep_groups": 0,
    }
    rounds = Rounds(
        settings["warm"], {"settings": _settings(settings, "AdamW on fp32 masters")}, cpu_seconds
    )
    batches: list[Any] = []
    _time_learning(rounds)
    _time_grpo(rounds, batches, late=bool(settings["asynchronous"]))
    if settings.get("random_rewards"):
        _reward_at_random()
    trainer.train(parse_grpo(given), Path(settings["out"]), _Watcher(rounds, batches))


def engine(settings: dict[str, Any]) -> None:
    """Rounds of the engine alone: each step writes the prompts' completions, all asked at once."""
    from reasonbench.engines import EngineConfig, open_engine
    from reasonbench.seeds import request_seed
    from reasonbench.types import Prompt, RequestKey, SamplingParams

    with open(settings["data"], encoding="utf-8") as lines:
        asked = [json.loads(line)["prompt"] for line in lines][: settings["problems"]]
    rounds = Rounds(settings["warm"], {"settings": _settings(settings, settings["engine"])})

    async def run() -> None:
        config = EngineConfig(
            model=settings["model"],
            engine=settings["engine"],
            dtype=settings["dtype"],
            engine_args=settings.get("engine_args", {}),
        )
        opened = await open_engine(config)
        prompts = [Prompt(opened.encode(text), text, False) for text in asked]
        keys = [(p, (n, i)) for n, p in enumerate(prompts) for i in range(settings["group"])]
        try:
            for step in range(settings["steps"]):
                written = await asyncio.gather(
                    *(
                        opened.sample(
                            prompt,
                            SamplingParams(
                                max_tokens=settings["max_tokens"],
                                seed=request_seed(step, "", "", key),
                            ),
                            RequestKey("", "", key),
                        )
                        for prompt, key in keys
                    )
                )
                rounds.counts["tokens"] += sum(len(c.token_ids) for c in written)
                rounds.counts["prompts"] += sum(len(prompt.token_ids) for prompt, _ in keys)
                rounds.counts["completions"] += len(written)
                rounds.stepped()
        finally:
            await opened.aclose()

    asyncio.run(run())


def _reward_at_random() -> None:
    """Half of the rewards 1, half 0: a model with random weights is never right."""
    from reasonbench.trainers import rl_rewards

    judge = rl_rewards.Judge.__call__
    chance = random.Random(0)

    async def judged(*args: Any) -> Any:
        return replace(await judge(*args), reward=float(chance.random() < 0.5))

    rl_rewards.Judge.__call__ = judged  # type: ignore[method-assign]


def _settings(settings: dict[str, Any], optimizer: str) -> str:
    kept = {k: v for k, v in settings.items() if k not in ("out", "model", "data", "kind")}
    said = ", ".join(f"{k} {v}" for k, v in kept.items())
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads, {optimizer}, {said}"


def _time_learning(rounds: Rounds) -> None:
    """Time what all trainers do after the forward pass."""
    torch.autograd.backward = rounds.timing("backward", torch.autograd.backward)
    step = rounds.timing("optimizer", MasterOptimizer.step)
    MasterOptimizer.step = step  # type: ignore[method-assign]


def _time_grpo(rounds: Rounds, batches: list[Any], late: bool) -> None:
    """Time the parts of a step of `trainers.grpo`; its batches go to the list.

    "roll-outs" is until the last completion, "reward" what judging takes after it. Late roll-outs
    are written beside the learning: their time is not a part, what is waited for them is.
    """
    from reasonbench.trainers import grpo, policy_update, rl_rewards, rollouts

    arrived = learned = 0.0
    judge, batch = rl_rewards.Judge.__call__, rollouts.Sampler.batch
    learn, push, verify = policy_update.Learner.learn, grpo.push, grpo.verify

    async def judged(self: Any, *args: Any) -> Any:
        nonlocal arrived
        arrived = time.perf_counter()
        return await judge(self, *args)

    async def sampled(self: Any, version: int) -> Any:
        started = time.perf_counter()
        found = await batch(self, version)
        batches.append(found)
        if not late:
            rounds.parts["roll-outs"] += arrived - started
            rounds.parts["reward"] += time.perf_counter() - arrived
        return found

    def learning(*args: Any) -> Any:
        nonlocal learned
        parts = rounds.parts
        before = parts["log-probs"] + parts["backward"] + parts["optimizer"]
        started = time.perf_counter()
        found = learn(*args)
        learned = time.perf_counter()
        inner = parts["log-probs"] + parts["backward"] + parts["optimizer"] - before
        parts["loss, batches"] += learned - started - inner
        return found

    async def pushed(*args: Any, **named: Any) -> Any:
        started = time.perf_counter()
        if learned:
            rounds.parts["waiting"] += started - learned
        found = await push(*args, **named)
        rounds.parts["push"] += time.perf_counter() - started
        rounds.notes["push"] = f"{found.bytes / 1e6:.1f} MB, {found.how}"
        return found

    async def verified(*args: Any, **named: Any) -> Any:
        with rounds.timed("verify"):
            seen = await verify(*args, **named)
        rounds.notes["verified"] = (
            f"{seen.exact} of {seen.weights} weights bit for bit, log-probabilities of "
            f"{seen.tokens} tokens {seen.mean:.1e} nats apart (most {seen.max:.1e})"
        )
        return seen

    score = rounds.timing("log-probs", policy_update.completion_logprobs)
    policy_update.completion_logprobs = score
    rl_rewards.Judge.__call__ = judged  # type: ignore[method-assign]
    rollouts.Sampler.batch = sampled  # type: ignore[method-assign]
    policy_update.Learner.learn = learning  # type: ignore[method-assign]
    grpo.push, grpo.verify = pushed, verified


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    with suppress(EndedError):
        {"sft": sft, "grpo": grpo, "engine": engine}[asked["kind"]](asked)
