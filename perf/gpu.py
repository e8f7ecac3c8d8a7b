"""Trainers and the transformers engine on a GPU: tokens/s, model FLOPs utilisation, peak memory.

    python perf/gpu.py [--trl PYTHON] [--shape 0.6b] [--rounds 3] [--json FILE]
    python perf/gpu.py --loop [--apart]
    python perf/gpu.py --cpu-check [--trl PYTHON] [--loop]

A Qwen3 of random weights in bf16; the shape is that of the published model of this size. Its text
is never right, so rewards are drawn at random, and completions run to their limit. One contender
after another, each in a process of its own; with `--trl`, TRL's trainers on the same data. Model
FLOPs are 2 a parameter and token forwards and 4 more backwards, plus attention, of real tokens:
padding, recomputation and the optimizer count as nothing. GRPO counts writing and training.

`--loop` runs GRPO with vLLM live instead: trainer and engine on one GPU, weights pushed by CUDA
IPC; with `--apart` one step late, the trainer on cuda:1, pushed by NCCL. Every push is verified.

`--cpu-check` does everything with a tiny model on the CPU; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from training_data import prompt_file, sft_file
from training_rounds import Worker

HERE = Path(__file__).resolve().parent
OURS, TRL = HERE / "training_ours.py", HERE / "training_trl.py"
WARM = 2

SHAPES: dict[str, dict[str, Any]] = {
    "0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28}
    | {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936},
    "1.7b": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28}
    | {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 2048},
}

PEAKS = {
    "A100": 312,
    "H100": 989,
    "H200": 989,
    "B200": 2250,
    "L40S": 362,
    "L40": 181,
    "L4": 121,
    "4090": 165,
}
"""TFLOPS of dense bf16 by the makers' data sheets (SXM where there are several)."""


class Load(NamedTuple):
    """How much a step does."""

    batch: int
    lengths: tuple[int, int]
    problems: int
    group: int
    max_tokens: int
    batch_tokens: int
    accumulate: int
    steps: int


FULL = Load(8, (512, 2048), 16, 8, 512, 16_384, 8, 4)
CHECK = Load(2, (8, 16), 2, 2, 8, 512, 1, 1)


class Model(NamedTuple):
    """A folder, and what its FLOPs are counted by."""

    folder: str
    parameters: int
    layers: int
    width: int

    def flops(self, tokens: float, rows: float, passes: int) -> float:
        """Of rows that hold so many tokens together; 3 passes are forwards and backwards."""
        from reasonbench.metrics import flops

        each = flops(self.parameters, tokens / rows, 0.0, layers=self.layers, hidden=self.width)
        return passes * rows * each


def random_model(folder: Path, shape: str) -> Model:
    """Writes a Qwen3 with random weights and the built-in tokenizer."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    from reasonbench.builtin import model_path

    source = Path(str(model_path()))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(source / name, folder / name)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    ends = {name: config[name] for name in ("eos_token_id", "pad_token_id")}
    wanted = SHAPES[shape]
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        made = Qwen3ForCausalLM(
            Qwen3Config(**wanted, **ends, tie_word_embeddings=True, max_position_embeddings=4096)
        )
    made.generation_config = GenerationConfig(do_sample=True, **ends)
    count = sum(weight.numel() for weight in made.parameters())
    made.bfloat16().save_pretrained(folder)
    width = wanted["num_attention_heads"] * wanted["head_dim"]
    return Model(str(folder), count, wanted["num_hidden_layers"], width)


class Session:
    """Files and settings of one run of this script."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked, self.folder = asked, folder
        self.load = CHECK if asked.cpu_check else FULL
        made = folder / "model"
        made.mkdir()
        self.model = random_model(made, "tiny" if asked.cpu_check else asked.shape)
        self.steps = WARM + asked.rounds * self.load.steps + 1
        self.base: dict[str, Any] = {
            "model": self.model.folder,
            "warm": WARM,
            "steps": self.steps,
            "device": "cpu" if asked.cpu_check else "cuda",
            "dtype": "bfloat16",
            "seed": 1,
        }
        self.prompts = folder / "prompts.jsonl"
        count = self.steps * self.load.problems
        prompt_file(self.prompts, self.model.folder, "builtin-arithmetic", count, 1)

    def sft(self) -> dict[str, Any]:
        load, file = self.load, self.folder / "sft.jsonl"
        if not file.exists():
            sft_file(
                file, self.model.folder, batch=load.batch, batches=self.steps, lengths=load.lengths
            )
        return self.base | {"kind": "sft", "data": str(file), "batch": load.batch}

    def grpo(self) -> dict[str, Any]:
        load = self.load
        return self.base | {
            "kind": "grpo",
            "data": str(self.prompts),
            "benchmark": "builtin-arithmetic",
            "problems": load.problems,
            "group": load.group,
            "max_tokens": load.max_tokens,
            "batch_tokens": load.batch_tokens,
            "random_rewards": True,
            "engine": "transformers",
            "asynchronous": False,
        }

    def trl(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings with what TRL wants besides: micro-batches as ours, sdpa, fused AdamW."""
        rows = self.load.problems * self.load.group
        several = settings["kind"] == "grpo"
        return settings | {
            "batch": rows // self.load.accumulate if several else self.load.batch,
            "accumulate": self.load.accumulate if several else 1,
            "weights": "float32",
            "attention": "sdpa",
            "optim": "adamw_torch_fused",
            "loss": "nll",
            "continuous": False,
            "cache": None,
        }

    def run(self, name: str, python: str, script: Path, settings: dict[str, Any]) -> dict[str, Any]:
        """All rounds of a contender; prints and returns what they show."""
        worker = Worker(name, python, script, settings, self.folder)
        try:
            rounds = [worker.round(self.load.steps) for _ in range(self.asked.rounds)]
        finally:
            worker.close()
        speeds = [r["counts"]["tokens"] / r["seconds"] for r in rounds]
        done = [self._flops(settings, r) / r["seconds"] for r in rounds]
        steps = self.load.steps
        parts = {p: statistics.median(r["parts"].get(p, 0.0) / steps for r in rounds)
                 for p in rounds[0]["parts"]}  # fmt: skip
        found = {
            "tokens_per_second": statistics.median(speeds),
            "range": [min(speeds), max(speeds)],
            "seconds_per_step": statistics.median(r["seconds"] / steps for r in rounds),
            "tflops": statistics.median(done) / 1e12,
            "peak_bytes": max(r["peak_bytes"] for r in rounds),
            "parts": parts,
            "notes": rounds[-1]["notes"],
            "settings": worker.facts["settings"],
        }
        peak = self.asked.peak
        mfu = f"{100 * found['tflops'] / peak:.1f} % MFU" if peak else "MFU unknown: give --peak"
        print(f"{name}: {found['settings']}")
        print(
            f"  {found['tokens_per_second']:.0f} tokens/s ({min(speeds):.0f} to "
            f"{max(speeds):.0f}), {found['seconds_per_step']:.3f} s a step, "
            f"{found['tflops']:.1f} TFLOPS, {mfu}, peak {found['peak_bytes'] / 1e9:.2f} GB"
        )
        if parts:
            said = (f"{part} {1e3 * seconds:.0f}" for part, seconds in parts.items())
            print(f"  ms a step: {', '.join(said)}")
        for what, note in found["notes"].items():
            print(f"  {what}: {note}")
        sys.stdout.flush()
        return found

    def _flops(self, settings: dict[str, Any], one: dict[str, Any]) -> float:
        """Model FLOPs of a round."""
        counts, model = one["counts"], self.model
        if settings["kind"] == "sft":
            return model.flops(counts["read"], counts["rows"], 3)
        written = model.flops(
            counts["tokens"] + counts["prompts"], counts["completions"], 1
        )  # each completion is charged its own prompt, as the transformers engine reads it
        return written if settings["kind"] == "engine" else 4 * written


def measure(session: Session) -> dict[str, Any]:
    """Engine, supervised steps, GRPO steps, each beside TRL's where it is there."""
    asked, found = session.asked, dict[str, Any]()
    if not asked.only or asked.only == "engine":
        given = session.grpo() | {"kind": "engine"}
        found["engine"] = session.run("transformers engine", sys.executable, OURS, given)
    for kind, settings in (("sft", session.sft()), ("grpo", session.grpo())):
        if asked.only and asked.only != kind:
            continue
        found[kind] = session.run(f"{kind} reasonbench", sys.executable, OURS, settings)
        if asked.trl:
            name = f"{kind} TRL"
            found[name] = session.run(name, asked.trl, TRL, session.trl(settings))
    return found


def loop(session: Session) -> dict[str, Any]:
    """GRPO with vLLM live."""
    apart = session.asked.apart
    settings = session.grpo() | {"engine": "vllm", "asynchronous": apart}
    if not session.asked.cpu_check:
        # one GPU for both: the engine leaves the trainer its share
        settings["engine_args"] = {} if apart else {"gpu_memory_utilization": 0.4}
        settings["device"] = "cuda:1" if apart else "cuda"
    name = "live vLLM, one step late" if apart else "live vLLM"
    return {name: session.run(name, sys.executable, OURS, settings)}


def device(asked: argparse.Namespace) -> str:
    """What it runs on; ends the script where that is not there."""
    import torch

    if asked.cpu_check:
        return f"{len(os.sched_getaffinity(0))} CPU cores: a check of the script, not a measurement"
    wanted = 2 if asked.apart else 1
    if torch.cuda.device_count() < wanted:
        some = "a second GPU" if torch.cuda.is_available() else "a GPU that torch can use"
        print(f"perf/gpu.py needs {some}; --cpu-check runs it with a tiny model.", file=sys.stderr)
        raise SystemExit(2)
    name = torch.cuda.get_device_name(0)
    if asked.peak is None:
        asked.peak = next((peak for known, peak in PEAKS.items() if known in name), None)
    return f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trl", help="a Python with TRL")
    parser.add_argument("--shape", default="0.6b", choices=tuple(SHAPES))
    parser.add_argument("--only", choices=("engine", "sft", "grpo"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=float, help="TFLOPS of the GPU in dense bf16")
    parser.add_argument("--loop", action="store_true", help="GRPO with vLLM live")
    parser.add_argument("--apart", action="store_true", help="with --loop: a GPU each")
    parser.add_argument("--cpu-check", action="store_true", help="a tiny model on the CPU")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    if asked.apart and not asked.loop:
        parser.error("--apart is for --loop")
    where = device(asked)
    print(where)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(asked, Path(folder))
        print(f"{session.model.parameters / 1e6:.0f} M parameters, {session.load}", flush=True)
        found = loop(session) if asked.loop else measure(session)
    if asked.json:
        text = json.dumps({"device": where, **found}, indent=1)
        asked.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
