"""The files that every contender of `perf/training.py` and `perf/gpu.py` trains on."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError


def sft_file(
    path: Path, folder: str, *, batch: int, batches: int, lengths: tuple[int, int], seed: int = 0
) -> float:
    """Writes prompts and completions of the built-in text, in batches of like lengths.

    Args:
        path: the file.
        folder: of a model whose tokenizer has a chat template.
        batch: examples in a batch.
        batches: how many.
        lengths: tokens of a completion at least and at most, drawn evenly.
        seed: of the lengths, the text, and the order of the batches.

    Returns:
        The share of padding where each batch is as long as its longest example.
    """
    from transformers import AutoTokenizer

    from reasonbench.builtin.corpus import Corpus

    tokenizer = AutoTokenizer.from_pretrained(folder)
    chance = random.Random(seed)
    records = (r for r in Corpus(seed, 0) if isinstance(r.get("prompt"), list))
    found: list[tuple[int, dict[str, str]]] = []
    while len(found) < batch * batches:
        record = next(records)
        wanted = chance.randint(*lengths)
        ids: list[int] = []
        text = record["completion"]
        while len(ids := tokenizer.encode(text, add_special_tokens=False)) < wanted:
            text += "\n\n" + next(records)["completion"]
        asked = tokenizer.apply_chat_template(
            record["prompt"], tokenize=False, add_generation_prompt=True
        )
        written = tokenizer.decode(ids[:wanted])
        whole = tokenizer.encode(asked + written, add_special_tokens=False)
        apart = [
            token
            for text in (asked, written)
            for token in tokenizer.encode(text, add_special_tokens=False)
        ]
        if whole == apart:  # else trainers would differ in where the completion begins
            found.append((len(whole), {"prompt": asked, "completion": written}))
    found.sort(key=lambda each: each[0])
    cut = [found[start : start + batch] for start in range(0, len(found), batch)]
    chance.shuffle(cut)
    write(path, (row for part in cut for _, row in part))
    padded = sum(batch * max(length for length, _ in part) for part in cut)
    return 1 - sum(length for length, _ in found) / padded


def prompt_file(path: Path, folder: str, benchmark: str, count: int, seed: int) -> None:
    """Writes the prompts that `reasonbench train grpo` makes of the benchmark, in its order.

    Raises:
        UsageError: the benchmark ends too soon, so that the orders would differ.
    """
    from transformers import AutoTokenizer

    from reasonbench import benchmarks, protocols
    from reasonbench.engines.chat import Renderer
    from reasonbench.prompts import configure
    from reasonbench.trainers.rl_problems import open_sources, stream

    renderer = Renderer(AutoTokenizer.from_pretrained(folder), folder)
    problems = list(itertools.islice(stream(open_sources([benchmark], [], []), seed, []), count))
    if len(problems) < count:
        raise UsageError(f"{benchmark} has {len(problems)} problems; {count} are wanted")
    rows = []
    for problem in problems:
        protocol = protocols.get(benchmarks.get(problem.benchmark).protocol)
        asked = configure(protocol.prompt).messages(
            problem.question, instruction=protocol.instruction_for(problem.question), chat=True
        )
        prompt = renderer.render(asked, thinking=protocol.thinking, chat=True)
        rows.append({"prompt": prompt.text, "gold": problem.gold})
    write(path, rows)


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Writes rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
