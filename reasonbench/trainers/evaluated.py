"""Evaluation in the loop of trainers that write nothing themselves: supervised, on preferences.

A live engine beside the trainer gets the weights of now when an evaluation is due. The folder of
the model is then a run's folder too: completions, verdicts, points and the trainer's log are kept
in its store, as reinforcement learning keeps them.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from reasonbench.engines import EngineConfig, open_engine
from reasonbench.engines.base import LiveEngine
from reasonbench.grading.graders import Graders
from reasonbench.in_loop import EvalPoint, InLoop, LoopEval
from reasonbench.open_run import open_run
from reasonbench.runs import RunStore, atomic_write
from reasonbench.trainers import parallel
from reasonbench.trainers.checkpoint import RESUMABLE
from reasonbench.trainers.push import for_training, live, push, weights
from reasonbench.trainers.start import save_model
from reasonbench.trainers.verify import (
    Expected,
    Sample,
    compare,
    default_tolerance,
    expected,
    score,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BEST = "best"
"""Folder below the run's with the model that evaluated best."""

START = "start"
"""Folder below the run's with a model that was made of nothing, while the run lasts: the engine
starts from it."""

CHECKED = 8
"""Texts that each push is checked with."""

CHECKED_TOKENS = 64
"""Tokens at the start of what follows each of their prompts."""


class Settings(Protocol):
    """What is asked of a trainer's configuration."""

    @property
    def dtype(self) -> str:
        """Of the computation."""

    @property
    def engine(self) -> str:
        """What writes: vllm, transformers, or auto."""

    @property
    def engine_args(self) -> Mapping[str, Any]:
        """Options of its backend."""

    @property
    def evaluation(self) -> LoopEval | None:
        """What is evaluated; nothing by default."""

    def model_dump(self, *, mode: str, exclude_none: bool) -> dict[str, Any]:
        """All settings as plain values."""


class Checks:
    """Evaluations of a run; of one without any, nothing ever happens.

    Of several processes each has to call `evaluate` at the same places.

    Attributes:
        best: the best evaluation, whose model lies in `best/`; None before the first.
        should_stop: no evaluation was better for long (`patience`).
        seconds: that evaluations of this session took.
    """

    def __init__(self) -> None:
        self.best: EvalPoint | None = None
        self.should_stop = False
        self.seconds = 0.0

    def due(self, step: int, last: bool = False) -> bool:
        """Whether the weights of now are to be evaluated.

        Args:
            step: updates done.
            last: the run ends here.
        """
        return False

    def evaluate(self, step: int, samples: Sequence[Sample]) -> bool:
        """Evaluate the weights of now; whether they are the best, whose model is kept then.

        Args:
            step: updates done; also the version of the weights.
            samples: texts to check the push with; see `shortest`.

        Raises:
            StaleEngineError: the engine does not serve the weights that were pushed.
            EngineError, EngineDeadError: it takes no request.
        """
        return False

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep a row of the trainer's log in the run's store."""


class _Live(Checks):
    """With an engine, in the main process; the others compute their part."""

    def __init__(
        self,
        config: LoopEval,
        settings: Settings,
        out: Path,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        told: Callable[[Sequence[EvalPoint]], None],
    ) -> None:
        super().__init__()
        self.config, self.settings, self.out = config, settings, out
        self.model, self.tokenizer, self.told = model, tokenizer, told
        self.dtype: torch.dtype = getattr(torch, settings.dtype)
        self.group = parallel.orders()
        self.evaluated: int | None = None
        self.store: RunStore | None = None
        self.runner = asyncio.Runner()
        self.engine: LiveEngine | None = None
        self.loop: InLoop | None = None

    def due(self, step: int, last: bool = False) -> bool:
        every = step % self.config.every == 0 and (step > 0 or self.config.at_start)
        return self.evaluated != step and (every or last)

    def evaluate(self, step: int, samples: Sequence[Sample]) -> bool:
        started = time.perf_counter()
        device = self.model.device
        states = random.getstate()
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            better = self._evaluate(step, samples)
        random.setstate(states)
        self.evaluated = step
        self.seconds += time.perf_counter() - started
        return better

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self.store is not None:
            self.store.add_training(step, metrics, weight_version=step)

    def _evaluate(self, step: int, samples: Sequence[Sample]) -> bool:
        state = weights(self.model, dtype=self.dtype)
        own = expected(self.model, samples, self.settings.dtype)
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()  # what the trainer holds in reserve the engine wakes up in
        better = False
        if parallel.is_main():
            points = self.runner.run(self._ask(state, own, samples, step))
            assert self.loop is not None
            self.told(points)
            better = is_new_best(self.loop, step)
            self.best, self.should_stop = self.loop.best, self.loop.should_stop
        better, self.best, self.should_stop = parallel.from_main(
            (better, self.best, self.should_stop), self.group
        )
        if better:
            assert self.best is not None
            keep_best(self.out, self.best, self._save)
        return better

    async def _ask(
        self,
        state: Mapping[str, Tensor],
        own: Expected,
        samples: Sequence[Sample],
        step: int,
    ) -> list[EvalPoint]:
        """Push, verify, evaluate, and give a GPU back to the trainer."""
        engine, loop = self.engine, self.loop
        assert engine is not None
        assert loop is not None
        if step > engine.weight_version:
            await push(engine, state, step)
        started = time.perf_counter()
        compare(
            own,
            await score(engine, samples),
            await engine.held(),
            default_tolerance(engine.info.dtype or "float32", self.settings.dtype),
            version=step,
            stamped=engine.weight_version,
            started=started,
        )
        points = await loop.evaluate(engine, step=step, version=step)
        if self.model.device.type == "cuda":
            await engine.sleep(discard=True)
        return points

    def _save(self, folder: Path) -> None:
        save_model(self.model, self.tokenizer, folder, self.dtype)

    async def open(self, stack: AsyncExitStack, name: str, source: str, store: RunStore) -> None:
        """The engine, from the weights that training starts from."""
        self.store = store
        graders = Graders()
        stack.push_async_callback(graders.aclose)
        self.loop = InLoop(store, self.config, graders, model=name)
        stack.push_async_callback(self.loop.aclose)
        given = EngineConfig(
            model=source,
            engine=self.settings.engine,
            dtype=self.settings.dtype,
            engine_args=dict(self.settings.engine_args),
        )
        self.engine = live(await open_engine(for_training(given, shares_gpu=True)))
        stack.push_async_callback(self.engine.aclose)
        self.best, self.should_stop = self.loop.best, self.loop.should_stop


@contextmanager
def run_folder(settings: Settings, out: Path, kind: str) -> Iterator[RunStore | None]:
    """The run that evaluations are kept in, in the main process, if there are to be any.

    Before anything else is written to the folder.

    Args:
        settings: of the training.
        out: its folder.
        kind: what trains ("sft").

    Raises:
        UsageError: the folder holds something else, or a run of other settings.
    """
    if settings.evaluation is None or not parallel.is_main():
        yield None
        return
    values = settings.model_dump(mode="json", exclude_none=True)
    with open_run(out, {"train": kind, **values}, frozenset(RESUMABLE)) as store:
        yield store


@contextmanager
def checks(
    settings: Settings,
    store: RunStore | None,
    out: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: str | None,
    step: int,
    told: Callable[[Sequence[EvalPoint]], None],
) -> Iterator[Checks]:
    """What evaluates while the block trains.

    Args:
        settings: of the training.
        store: of `run_folder`.
        out: the run's folder.
        model, tokenizer: what is trained; every process gives its part.
        source: folder or hub name of the model that it starts from; None where it was made of
            nothing.
        step: updates done before this session; what was evaluated later is forgotten.
        told: called with the points of every evaluation, in the main process.

    Raises:
        UsageError: an unknown name among what is evaluated, or no engine can be opened.
    """
    if settings.evaluation is None:
        yield Checks()
        return
    found = _Live(settings.evaluation, settings, out, model, tokenizer, told)
    begun = out / START
    if source is None and not (begun / "config.json").is_file():
        save_model(model, tokenizer, begun, found.dtype)
    with ExitStack() as stack:
        if store is not None:
            stack.enter_context(found.runner)
            store.rewind(step, step)
            opened = AsyncExitStack()
            stack.callback(lambda: found.runner.run(opened.aclose()))
            name = str(store.config.get("model") or out.resolve().name)
            found.runner.run(found.open(opened, name, source or str(begun.resolve()), store))
        yield found


def is_new_best(loop: InLoop, step: int) -> bool:
    """Whether the evaluation of a step is the best so far."""
    return loop.best is not None and loop.best.step == step


def keep_best(out: Path, best: EvalPoint, save: Callable[[Path], None]) -> None:
    """Keep the model of now in BEST, with its step in `step.json`; every process calls it.

    Args:
        save: writes the model folder.
    """
    folder = out / BEST
    if parallel.is_main():
        (folder / "step.json").unlink(missing_ok=True)
    save(folder)
    if parallel.is_main():
        atomic_write(folder / "step.json", json.dumps(as_plain(best), indent=1) + "\n")


def as_plain(point: EvalPoint) -> dict[str, Any]:
    """An evaluation as summaries have it."""
    return {
        "benchmark": point.benchmark,
        "strategy": point.strategy,
        "step": point.step,
        "accuracy": point.accuracy,
        "interval": list(point.interval),
    }


def shortest(pairs: Sequence[Sample]) -> list[Sample]:
    """Texts to check a push with: the shortest ones, their starts.

    Memory and time of the check grow with their tokens, what it finds hardly does.

    Args:
        pairs: prompts with what follows them; those that nothing follows are left out.
    """
    chosen = sorted((pair for pair in pairs if pair[0] and pair[1]), key=_length)[:CHECKED]
    return [(prompt, written[:CHECKED_TOKENS]) for prompt, written in chosen]


def _length(sample: Sample) -> int:
    return len(sample[0]) + len(sample[1])
