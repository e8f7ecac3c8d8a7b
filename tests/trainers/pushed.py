"""What tests of pushing share: models to push, requests, and one push after the other."""

from __future__ import annotations

from typing import Any

import torch

from reasonbench.builtin import model_path
from reasonbench.engines.base import InFlight, LiveEngine
from reasonbench.trainers.push import PushReport, push
from reasonbench.trainers.verify import Sample
from reasonbench.types import Completion, Prompt, SamplingParams
from tests.engines.loop import BackgroundLoop, ask, sample_all

QUESTIONS = [f"What is {a} times {a + 1}? Show your work." for a in range(3, 11)]


def policy(seed: int | None = None, scale: float = 0.05) -> Any:
    """The built-in policy in float32; with a seed, noise of that size on every weight."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_path(), dtype="float32")
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight += scale * torch.randn(weight.shape, generator=generator)
    return model


def push_next(
    engine: LiveEngine, loop: BackgroundLoop, model: Any, in_flight: InFlight = "wait"
) -> PushReport:
    return loop.run(push(engine, model, engine.weight_version + 1, in_flight=in_flight))


def requests(engine: LiveEngine, tokens: int = 24) -> list[tuple[Prompt, SamplingParams]]:
    return [
        (ask(engine, question), SamplingParams(max_tokens=tokens, seed=seed))
        for seed, question in enumerate(QUESTIONS)
    ]


def roll_out(engine: LiveEngine, loop: BackgroundLoop) -> tuple[list[Completion], list[Sample]]:
    """Completions, and they with their prompts as `verify` takes them."""
    asked = requests(engine)
    written = loop.run(sample_all(engine, asked))
    return written, [(p.token_ids, c.token_ids) for (p, _), c in zip(asked, written, strict=True)]
