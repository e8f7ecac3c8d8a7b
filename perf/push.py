"""What a push of weights into the running vLLM costs, and its verification.

    python perf/push.py [--dtype float32] [--rounds 30] [--hidden 256 --layers 4]

The trainer's model is in fp32 in this process and changes by noise before every push; vLLM runs in
its own. Verified are eight roll-outs. With --hidden the model is one of that width with random
weights, otherwise the built-in policy. Printed are medians and the quickest, in milliseconds, and
the gap between the log-probabilities of engine and trainer, over all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from reasonbench.builtin import model_path
from reasonbench.engines import EngineConfig, open_engine
from reasonbench.engines.base import LiveEngine
from reasonbench.trainers.push import live, push
from reasonbench.trainers.verify import Sample, expected, score, trainer_logprobs, verify
from reasonbench.types import Message, RequestKey, SamplingParams

if TYPE_CHECKING:
    from transformers import PreTrainedModel

QUESTIONS = [f"What is {a} times {a + 1}? Show your work." for a in range(3, 11)]


def random_model(folder: Path, hidden: int, layers: int) -> None:
    """A model like the built-in policy, of another size, with random weights."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(Path(model_path()) / name, folder / name)
    built_in = json.loads((Path(model_path()) / "config.json").read_text(encoding="utf-8"))
    heads = hidden // built_in["head_dim"]
    built_in |= {"hidden_size": hidden, "intermediate_size": 3 * hidden, "layer_types": None}
    built_in |= {"num_hidden_layers": layers, "num_attention_heads": heads}
    built_in |= {"num_key_value_heads": heads // 2, "initializer_range": 0.05}
    torch.manual_seed(0)
    Qwen3ForCausalLM(Qwen3Config(**built_in)).bfloat16().save_pretrained(folder)


async def roll_out(engine: LiveEngine) -> list[Sample]:
    prompts = [engine.render([Message("user", question)]) for question in QUESTIONS]
    written = await asyncio.gather(
        *(
            engine.sample(prompt, SamplingParams(max_tokens=32, seed=i), RequestKey("", "", (i,)))
            for i, prompt in enumerate(prompts)
        )
    )
    return [(p.token_ids, c.token_ids) for p, c in zip(prompts, written, strict=True)]


async def measure(engine: LiveEngine, model: PreTrainedModel, rounds: int) -> None:
    times: dict[str, list[float]] = {}
    gaps, largest, tokens, size = list[float](), 0.0, 0, 0

    def took(what: str, since: float) -> float:
        now = time.perf_counter()
        times.setdefault(what, []).append(1e3 * (now - since))
        return now

    for version in range(1, rounds + 3):
        with torch.no_grad():
            for weight in model.parameters():
                weight += 1e-3 * torch.randn_like(weight)
        report = await push(engine, model, version)
        samples = await roll_out(engine)
        found = await verify(engine, model, samples, version=version)
        if version <= 2:
            continue  # the first ones warm up
        size, tokens = report.bytes, tokens + found.tokens
        gaps.append(found.mean * found.tokens)
        largest = max(largest, found.max)
        times.setdefault("push", []).append(1e3 * report.seconds)
        times.setdefault("verify", []).append(1e3 * found.seconds)
        now = time.perf_counter()
        await engine.held()
        now = took("  engine: read back", now)
        await score(engine, samples)
        now = took("  engine: log-probabilities", now)
        expected(model, (), engine.info.dtype or "float32")
        now = took("  trainer: fingerprints", now)
        trainer_logprobs(model, samples)
        took("  trainer: log-probabilities", now)
    count = sum(weight.numel() for weight in model.parameters())
    print(f"{count / 1e6:.2f}M parameters, {engine.info.dtype}, {size / 1e6:.1f} MB a push")
    for what, values in times.items():
        print(f"{what:30} {statistics.median(values):6.1f} ms, quickest {min(values):5.1f}")
    print(f"gap over {tokens} tokens: mean {sum(gaps) / tokens:.1e}, largest {largest:.1e} nats")


async def run(dtype: str, rounds: int, folder: str) -> None:
    from transformers import AutoModelForCausalLM

    engine = live(await open_engine(EngineConfig(engine="vllm", model=folder, dtype=dtype)))
    try:
        source = str(model_path()) if folder == "builtin" else folder
        await measure(engine, AutoModelForCausalLM.from_pretrained(source, dtype="float32"), rounds)
    finally:
        await engine.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--layers", type=int, default=4)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if asked.hidden:
            random_model(Path(folder), asked.hidden, asked.layers)
        asyncio.run(run(asked.dtype, asked.rounds, folder if asked.hidden else "builtin"))


if __name__ == "__main__":
    main()
