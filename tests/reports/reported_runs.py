"""Small runs that reports are tested on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reasonbench.grading.graders import Graders
from reasonbench.runs import RunStore, SampleKey
from reasonbench.summary import MODEL, PLAN, summarise
from reasonbench.types import Completion, Finish, ModelInfo, Problem, Question, Usage, Verdict
from tests.stored_runs import Drawn, Item

R, W, NO = Drawn(0, True), Drawn(1, False), Drawn(-1, False)
"""Right; wrong with one and the same answer; wrong without an answer."""

ITEMS = {
    "p1": Item([R, R, R, R], level="1", tokens=10),
    "p2": Item([R, W, R, W], level="1", tokens=20),
    "p3": Item([W, W, W, W], level="2", tokens=30),
    "p4": Item([R, W, Drawn(2, False), NO], level="2", tokens=40),
}
"""pass@1 is 1, 1/2, 0, 1/4; maj@4 is 1, 1/2, 0, 1/3; pass@4 is 1, 1, 0, 1."""


def write_texts(
    folder: Path, texts: Mapping[str, Sequence[str]], finish: Finish = "stop"
) -> dict[str, Any]:
    """A run of cot whose responses say these texts, all of them right; returns its results."""
    n = max(map(len, texts.values()))
    plan = {
        "benchmarks": {
            "words": {"completions": {"p": n * len(texts)}, "strategies": {f"cot@{n}": "p"}}
        },
        "deviations": [],
        "notes": [],
    }
    with RunStore.create_or_resume(folder, {"seed": 0}) as store:
        store.set_meta(PLAN, json.dumps(plan))
        store.set_meta(MODEL, json.dumps(asdict(ModelInfo("toy", "toy", "0"))))
        store.add_pool("p", {})
        store.add_problems(Problem(Question(name, "words", f"?{name}"), "0") for name in texts)
        for name, said in texts.items():
            for sample, text in enumerate(said):
                key = SampleKey("words", name, "p", 0, sample)
                usage = Usage(prompt_tokens=1, decode_tokens=3, requests=1)
                store.add_completion(key, Completion((1, 2, 3), text, finish, usage=usage))
                store.add_verdict(key, Verdict("correct", "0", "test", ""), answer_class=0)
        return asyncio.run(summarised(store))


async def summarised(store: RunStore) -> dict[str, Any]:
    """The table of what is stored."""
    graders = Graders()
    try:
        return await summarise(store, graders)
    finally:
        await graders.aclose()


def change_plan(folder: Path, benchmark: Mapping[str, Any], **more: Any) -> None:
    """Let the run say more of its only benchmark, and of itself, and write its table again."""
    with RunStore.open(folder, writable=True) as store:
        plan = json.loads(store.meta(PLAN) or "{}")
        for task in plan["benchmarks"].values():
            task.update(benchmark)
        store.set_meta(PLAN, json.dumps(plan | more))
        store.flush()
        asyncio.run(summarised(store))
