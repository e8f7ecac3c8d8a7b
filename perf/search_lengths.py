"""Steps as long as real ones, for `perf/search.py`."""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonbench.engines.base import Engine, Watch
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams


class Lengths:
    """An engine whose steps are as long as real ones, whatever the policy would have written.

    Args:
        engine: with a policy that does not end by itself.
        median, spread: of the log-normal number of tokens of a step.
        steps: the fewest and the most steps of a path, drawn evenly for each problem.
    """

    def __init__(
        self, engine: Engine, median: float, spread: float, steps: tuple[int, int]
    ) -> None:
        self.engine = engine
        self.middle, self.spread, self.steps = math.log(median), spread, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        draw = random.Random(params.seed)
        drawn = round(draw.lognormvariate(self.middle, self.spread))
        count = max(2, min(drawn, params.max_tokens))
        wanted = random.Random(key.problem_id).randint(*self.steps)
        last = len(key.path) >= wanted + draw.choice((-1, 0, 1))
        step = replace(params, max_tokens=count, stop=(), stop_pattern=None)
        made = await self.engine.sample(prompt, step, key, watch)
        return replace(made, finish="stop", stop_reason=None if last else params.stop[0])


@contextmanager
def endless(folder: Path) -> Iterator[Path]:
    """A copy of a model that has no token to end with."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "policy"
        shutil.copytree(folder, copy)
        for file in ("config.json", "generation_config.json", "tokenizer_config.json"):
            if (path := copy / file).is_file():
                settings = json.loads(path.read_text(encoding="utf-8"))
                for key in ("eos_token_id", "eos_token"):
                    settings.pop(key, None)
                path.write_text(json.dumps(settings), encoding="utf-8")
        yield copy
