"""A distillation in a process that can be killed, with a log of what both models finished.

python -m tests.distill.slow_distill FOLDER OUT LOG
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from reasonbench.engines.base import Watch
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams
from tests.distill.material import Writing, config, run, sum_of

ANSWERED = "<rewritten><think>\nI add.\n</think>\n\nBoth numbers make \\boxed{N}</rewritten>"


class Slow(Writing):
    """Takes its time, and writes a line before the evaluator sees a completion."""

    log: int

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        await asyncio.sleep(0.02)
        completion = await super().sample(prompt, params, key, watch)
        os.write(self.log, f"{key.problem_id} {key.path}\n".encode())
        return completion


def main(folder: Path, out: Path, log: Path) -> None:
    teacher = Slow(lambda problem, i: f"{i} \\boxed{{{sum_of(problem) + i % 2}}}")
    second = Slow(lambda problem, i: ANSWERED.replace("N", str(sum_of(problem.split("/")[2]))))
    teacher.in_flight = second.in_flight = 2
    Slow.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    asked = config(folder, {"strategy": ["cot@8"]}, rewrite={"model": "toy"}, readable={})
    run(asked, out, teacher, second)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
