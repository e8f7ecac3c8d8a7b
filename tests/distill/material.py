"""Drafts, runs and searches that need no model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reasonbench.distill import DistillConfig, Distilled, distill, parse
from reasonbench.distill.draft import Draft
from reasonbench.engines.base import Watch
from reasonbench.types import (
    Completion,
    Finish,
    Problem,
    Prompt,
    Question,
    RequestKey,
    SamplingParams,
    Usage,
    VerdictKind,
)
from tests.evaluation.toy import Silent, Toy
from tests.evaluation.toy import configuration as sums

PROBLEM = Problem(Question("q1", "sums", "What is 1 + 1?", "Box it.", kind="integer"), "2")


def draft(
    response: str,
    sample: int = 0,
    *,
    verdict: VerdictKind = "correct",
    layer: str = "integer",
    finish: Finish = "stop",
    tokens: int | None = None,
    problem: Problem = PROBLEM,
) -> Draft:
    """A response of a problem; its tokens are its words where not given."""
    return Draft(
        id=f"run/{problem.id}/{sample}",
        problem=problem,
        response=response,
        verdict=verdict,
        answer="2",
        layer=layer,
        finish=finish,
        tokens=len(response.split()) if tokens is None else tokens,
        source={"kind": "sampled", "run": "run"},
    )


class Writing(Toy):
    """Writes what a function says of problem and sample: the text, or text and how it finished.

    Attributes:
        served: (problem, sample) of every completion.
    """

    def __init__(
        self,
        said: Callable[[str, int], str | tuple[str, Finish]],
        stop_at: int | None = None,
    ) -> None:
        async def unused(key: RequestKey) -> str:
            raise AssertionError

        super().__init__(unused)
        self.said = said
        self.stop = asyncio.Event()
        self.stop_at = stop_at

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        await asyncio.sleep(0)
        if self.stop_at is not None and len(self.served) >= self.stop_at:
            self.stop.set()
            await asyncio.Event().wait()
        said = self.said(key.problem_id, key.path[0])
        text, finish = said if isinstance(said, tuple) else (said, "stop")
        self.served.append((key.problem_id, key.path[0]))
        return Completion(tuple(range(len(text.split()))), text, finish, usage=Usage(requests=1))


def config(folder: Path, generate: Mapping[str, Any] | None = None, **more: Any) -> DistillConfig:
    """A distillation of a few sums (What is i + i? for i from 1 to 4)."""
    teacher = sums(folder, **{"strategy": ["cot@4"], **(generate or {})})
    return parse({"generate": teacher.model_dump(), **more})


def run(
    config: DistillConfig,
    out: Path,
    engine: Any = None,
    rewriter: Any = None,
) -> Distilled:
    """Distil in this thread; the model that has a `stop_at` interrupts."""
    models = (engine, rewriter)
    stop = next((m.stop for m in models if getattr(m, "stop_at", None) is not None), None)
    return asyncio.run(distill(config, out, Silent(), stop=stop, engine=engine, rewriter=rewriter))


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def responses(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the assistant says in each."""
    return [row["messages"][-1]["content"] for row in found]


def sum_of(problem: str) -> int:
    """The right answer to a sum."""
    return 2 * int(problem[1:])
