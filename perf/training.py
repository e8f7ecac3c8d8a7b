"""Training beside TRL: supervised fine-tuning, and GRPO with its roll-outs, on the CPU.

    python perf/training.py --trl PYTHON [--only sft|grpo] [--rounds 5] [--steps 4]
        [--sweep] [--json FILE]

PYTHON is an interpreter that has TRL 1.16 (it needs no reasonbench). Everything runs in one
session, each contender in a process of its own that is warm before the first round; rounds of
`--steps` updates alternate, those that wait are idle. All start from the built-in policy.

- Supervised: the same examples in the same batches, sorted by length before (TRL's own grouping
  cannot pad less), no packing. Tokens are those that are trained on, and must be as many for both.
- GRPO: the same prompts in the same order, 8 completions each, the same limit, one update a
  roll-out, no KL. Tokens are completion tokens up to their end. TRL writes with transformers'
  `generate` (its vLLM does not run on CPU), reasonbench with vLLM, in step and one step late.

`--sweep` looks for TRL's quickest settings on the machine, and `--set-trl` takes what it finds;
otherwise bf16 weights without fp32 masters. reasonbench keeps fp32 masters.
Processor seconds hold on a busy machine as well, if
OMP_NUM_THREADS is 1 (threads that wait for each other spin). The parts say where a step's time
goes; forward passes count as log-probs in GRPO, and "reward" is what judging takes after the last
completion.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training_data import prompt_file, sft_file
from training_rounds import Worker, alternate

HERE = Path(__file__).resolve().parent
OURS, TRL = HERE / "training_ours.py", HERE / "training_trl.py"
WARM = 2
TARGETS = {"sft": 1.3, "grpo": 2.5}

TRL_DEFAULTS: dict[str, Any] = {
    "weights": "bfloat16",
    "attention": "sdpa",
    "optim": "adamw_torch_fused",
    "accumulate": 1,
    "loss": "nll",
    "continuous": False,
    "cache": None,
}
"""GRPO: the quickest of those tried on two cores. SFT: float32 is quicker (docs/performance.md)."""

SWEEPS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "sft": {
        "batch": (8, 16, 32, 64),
        "weights": ("bfloat16", "float32"),
        "attention": ("sdpa", "eager"),
        "loss": ("nll", "chunked_nll"),
    },
    "grpo": {
        "accumulate": (1, 2, 4),
        "weights": ("bfloat16", "float32"),
        "attention": ("sdpa", "eager"),
        "cache": (None, "static"),
        "continuous": (False, True),
    },
}


def builtin() -> str:
    from reasonbench.builtin import model_path

    return str(model_path())


class Session:
    """Files and settings of one run of this script."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked, self.folder, self.model = asked, folder, builtin()
        self.steps = WARM + asked.rounds * asked.steps + 1
        self.base: dict[str, Any] = {
            "warm": WARM,
            "steps": self.steps,
            "device": "cpu",
            "dtype": asked.dtype,
            "seed": 1,
        }

    def sft(self, batch: int) -> dict[str, Any]:
        """Settings of both contenders, and the file they read."""
        asked, file = self.asked, self.folder / f"sft-{batch}.jsonl"
        if not file.exists():
            lengths = (asked.lengths[0], asked.lengths[1])
            padding = sft_file(file, self.model, batch=batch, batches=self.steps, lengths=lengths)
            print(f"batches of {batch} examples, {100 * padding:.0f} % padding")
        known = {"kind": "sft", "model": self.model, "data": str(file), "batch": batch}
        return self.base | known

    def grpo(self) -> dict[str, Any]:
        """Settings of all contenders, and the prompts that TRL reads."""
        asked, file = self.asked, self.folder / "prompts.jsonl"
        benchmark = "builtin-arithmetic"
        if not file.exists():
            prompt_file(file, self.model, benchmark, self.steps * asked.problems, self.base["seed"])
        return self.base | {
            "kind": "grpo",
            "model": self.model,
            "data": str(file),
            "benchmark": benchmark,
            "problems": asked.problems,
            "group": asked.group,
            "max_tokens": asked.max_tokens,
        }

    def trl(self, name: str, settings: dict[str, Any], changes: dict[str, Any]) -> Worker:
        """A TRL process; `batch` becomes the completions of a pass in GRPO."""
        given = settings | TRL_DEFAULTS | self.asked.set_trl | changes
        if given["kind"] == "grpo":
            given["batch"] = given["problems"] * given["group"] // given["accumulate"]
        return Worker(name, self.asked.trl, TRL, given, self.folder)

    def ours(self, name: str, settings: dict[str, Any], **changes: Any) -> Worker:
        return Worker(name, sys.executable, OURS, settings | changes, self.folder)

    def contenders(self, kind: str) -> list[Worker]:
        """TRL first."""
        if kind == "sft":
            settings = self.sft(self.asked.batch)
            return [self.trl("TRL", settings, {}), self.ours("reasonbench", settings)]
        settings = self.grpo()
        ours = settings | {"engine": "vllm", "batch_tokens": self.asked.batch_tokens}
        return [
            self.trl("TRL", settings, {}),
            self.ours("reasonbench", ours, asynchronous=False),
            self.ours("reasonbench, one step late", ours, asynchronous=True),
        ]


def compare(session: Session, kind: str) -> dict[str, Any]:
    """All rounds of one kind of training, and what they show."""
    asked, workers = session.asked, list[Worker]()
    try:
        workers = session.contenders(kind)
        for worker in workers:
            print(f"{worker.name}: {worker.facts['settings']}", flush=True)
        found = alternate(workers, asked.rounds, asked.steps)
    finally:
        for worker in workers:
            worker.close()
    check(kind, found)
    return report(kind, found, asked.steps)


def check(kind: str, found: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Ends the script where the contenders did not do the same work."""
    name = "tokens" if kind == "sft" else "prompts"
    for number, one in enumerate(zip(*found.values(), strict=True), 1):
        counts = {round_["counts"][name] for round_ in one}
        if len(counts) > 1:
            raise SystemExit(f"round {number}: the contenders saw different {name}: {counts}")


def report(kind: str, found: Mapping[str, Sequence[dict[str, Any]]], steps: int) -> dict[str, Any]:
    """Prints medians, ranges, ratios and parts; the same as data."""
    base = next(iter(found))
    data: dict[str, Any] = {}
    print(f"\n{kind}: median of {len(found[base])} rounds on {len(os.sched_getaffinity(0))} cores")
    for name, rounds in found.items():
        speeds = [r["counts"]["tokens"] / r["seconds"] for r in rounds]
        times = [r["seconds"] / steps for r in rounds]
        parts = {
            part: statistics.median(r["parts"].get(part, 0.0) / steps for r in rounds)
            for part in dict.fromkeys(itertools.chain.from_iterable(r["parts"] for r in rounds))
        }
        one = data[name] = {
            "tokens_per_second": speeds,
            "seconds_per_step": times,
            "cpu_seconds_per_step": [r["cpu_seconds"] / steps for r in rounds],
            "parts": parts,
            "tokens_per_step": sum(r["counts"]["tokens"] for r in rounds) / steps / len(rounds),
            "peak_bytes": max(r["peak_bytes"] for r in rounds),
        }
        print(
            f"  {name:26} {statistics.median(speeds):8.0f} tokens/s ({min(speeds):.0f} to "
            f"{max(speeds):.0f})  {statistics.median(times):6.3f} s a step ({min(times):.3f} to "
            f"{max(times):.3f}), {one['tokens_per_step']:.0f} tokens a step"
        )
        rest = statistics.median(times) - sum(parts.values())
        each = [f"{part} {1e3 * seconds:.0f}" for part, seconds in parts.items()]
        print(f"  {'':26} ms a step: {', '.join([*each, f'rest {1e3 * rest:.0f}'])}")
        cpu = statistics.median(one["cpu_seconds_per_step"])
        print(f"  {'':26} {cpu:.3f} processor seconds a step")
        if rounds[0]["counts"].get("completions"):
            right = sum(r["counts"]["right"] for r in rounds)
            share = right / sum(r["counts"]["completions"] for r in rounds)
            print(f"  {'':26} {100 * share:.0f} % of the completions are right")
    for name in list(found)[1:]:
        data[name] |= ratios(data[base], data[name])
        said = (
            f"{data[name][f'ratio_{what}']:.2f} ({min(each):.2f} to {max(each):.2f})"
            for what in ("tokens", "seconds")
            for each in [data[name][f"ratios_{what}"]]
        )
        print(
            f"  {name} over {base}: x {next(said)} in tokens/s, x {next(said)} in step time; "
            f"target x {TARGETS.get(kind, 1.0)}"
        )
    return data


def ratios(base: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    """How much quicker: by medians, and of each round by itself."""
    speed, time = "tokens_per_second", "seconds_per_step"
    return {
        "ratio_tokens": statistics.median(one[speed]) / statistics.median(base[speed]),
        "ratio_seconds": statistics.median(base[time]) / statistics.median(one[time]),
        "ratios_tokens": [a / b for a, b in zip(one[speed], base[speed], strict=True)],
        "ratios_seconds": [b / a for a, b in zip(one[time], base[time], strict=True)],
    }


def sweep(session: Session, kind: str) -> None:
    """TRL's settings one at a time, each kept where it is quicker than what was best before."""
    asked, chosen = session.asked, dict[str, Any]()
    best = 0.0
    print(f"{kind}: TRL's settings")
    for name, values in SWEEPS[kind].items():
        for value in values:
            changes = chosen | {name: value}
            settings = (
                session.sft(changes.pop("batch", asked.batch))
                if kind == "sft"
                else (session.grpo())
            )
            try:
                worker = session.trl("TRL", settings, changes)
            except SystemExit as error:
                print(f"  {name} {value}: does not run ({str(error).splitlines()[-1]})")
                continue
            try:
                found = worker.round(asked.steps)
            finally:
                worker.close()
            speed = found["counts"]["tokens"] / found["seconds"]
            print(f"  {name} {value}: {speed:.0f} tokens/s", flush=True)
            if speed > best:
                best, chosen[name] = speed, value
    print(f"  quickest: {chosen}, {best:.0f} tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trl", required=True, help="a Python with TRL")
    parser.add_argument("--only", choices=("sft", "grpo"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="updates in a round")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--batch", type=int, default=16, help="examples of a supervised update")
    parser.add_argument("--lengths", type=int, nargs=2, default=(64, 512), metavar="TOKENS")
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=8192, help="of our GRPO's passes")
    parser.add_argument("--set-trl", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--sweep", action="store_true", help="look for TRL's quickest settings")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    kinds = [asked.only] if asked.only else ["sft", "grpo"]
    with tempfile.TemporaryDirectory() as folder:
        session = Session(asked, Path(folder))
        results = {}
        for kind in kinds:
            if asked.sweep:
                sweep(session, kind)
            else:
                results[kind] = compare(session, kind)
    if asked.json and results:
        asked.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
