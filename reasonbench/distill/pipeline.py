"""`distill`: sample or read, select, reformat, filter, mix, and write; again from where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from reasonbench import strategies
from reasonbench.distill.collect import Origin, found, origin
from reasonbench.distill.config import DistillConfig, as_toml
from reasonbench.distill.draft import Draft, Judged
from reasonbench.distill.journey import Sentences, journeys, read_sentences
from reasonbench.distill.mixing import Mix, checked, parse_mixes
from reasonbench.distill.overlap import Overlap, load_against
from reasonbench.distill.rewrite import CHUNK, Rewriter, beside, prompt_of
from reasonbench.distill.rows import RowMaker, student_tokenizer
from reasonbench.distill.select import Filters, select
from reasonbench.distill.write import Writer
from reasonbench.engines import Engine
from reasonbench.errors import UsageError
from reasonbench.evaluate import Evaluated, evaluate
from reasonbench.generate import Observer
from reasonbench.grading.graders import Graders
from reasonbench.runs import RunStore, atomic_write
from reasonbench.runs.files import is_leftover
from reasonbench.runs.folder import LOCK, FolderLock
from reasonbench.strategies import Search

CONFIG = "distill.toml"
RUN, REWRITE = "run", "rewrite"
"""Folders of the two runs inside the output."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """A distillation after `distill`.

    Attributes:
        folder: with data.jsonl, rejects.jsonl, summary.json, distill.toml and the runs.
        summary: what summary.json holds; None where it was stopped before the end.
        evaluated: how the teacher's run ended; None where only existing runs were read.
        stopped: why it ended early: nothing was written, and the same call goes on.
        rewrite_failed: requests that the second model's engine refused.
    """

    folder: Path
    summary: Mapping[str, Any] | None
    evaluated: Evaluated | None = None
    stopped: str | None = None
    rewrite_failed: int = 0


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is read and checked before anything is sampled."""

    maker: RowMaker
    mixes: tuple[Mix, ...]
    sentences: Sentences
    overlap: Overlap


async def distill(
    config: DistillConfig,
    out: Path,
    observer: Observer,
    *,
    stop: asyncio.Event | None = None,
    engine: Engine | None = None,
    rewriter: Engine | None = None,
) -> Distilled:
    """Make a dataset; the same call goes on where one was killed, and samples nothing twice.

    Settings of the selection may change between calls: the responses stay, the files are made
    anew. Every file is replaced as a whole, summary.json the last.

    Args:
        out: the folder; new, empty, or of an earlier call.
        observer: is told of every completion.
        stop: set it to stop early; what is sampled stays, no file is written.
        engine: the teacher, instead of opening the configured one (it stays open).
        rewriter: the second model, likewise.

    Raises:
        UsageError: anything the user can mend, before anything is overwritten.
        EngineDeadError: an engine died; the same call goes on.
    """
    stop = stop or asyncio.Event()
    prepared = _prepare(config)
    with _folder(out, config):
        done: Evaluated | None = None
        if config.generate is not None:
            done = await evaluate(config.generate, out / RUN, observer, stop=stop, engine=engine)
            if done.outcome.stopped:
                return Distilled(out, None, done, done.outcome.stopped)
        workers = 1 if config.generate is None else config.generate.grading_workers
        graders = Graders(workers=workers)
        try:
            with _origins(config, out) as origins:
                return await _made(
                    config, prepared, origins, out, graders, observer, stop, rewriter, done
                )
        finally:
            await graders.aclose()


def _prepare(config: DistillConfig) -> _Prepared:
    mixes = parse_mixes(config.mix)
    for mix in mixes:
        checked(mix.path)
    if config.rewrite is not None:
        prompt_of(config.rewrite)
        beside(config.rewrite, config.generate)
    sentences = Sentences() if config.journey is None else read_sentences(config.journey)
    if config.journey is not None and not config.run and config.generate is not None:
        specs = config.generate.strategy
        if not any(isinstance(strategies.parse(spec, 1), Search) for spec in specs):
            raise UsageError(
                f"traces are made from searches, and {', '.join(specs)} grows no tree: add one "
                "(mcts@16, beam@16, …) or leave out --journey."
            )
    student = None if config.student is None else student_tokenizer(config.student)
    data = None if config.generate is None else config.generate.data
    overlap = load_against(config.against, data)
    return _Prepared(RowMaker(config.ask, config.form, student), mixes, sentences, overlap)


@contextmanager
def _folder(out: Path, config: DistillConfig) -> Iterator[None]:
    """The folder, locked; one that was new and came to nothing is taken back."""
    new = not out.exists()
    try:
        entries = {e.name for e in out.iterdir() if not is_leftover(e)} if not new else set()
        if entries - {LOCK} and CONFIG not in entries:
            raise UsageError(
                f"{out} is not empty and holds no distillation: give an empty or new folder."
            )
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}.") from error
    lock = FolderLock(out)
    try:
        for entry in out.iterdir():
            if is_leftover(entry):  # of a call that was killed
                entry.unlink(missing_ok=True)
        if not (out / CONFIG).exists():
            atomic_write(out / CONFIG, tomli_w.dumps(as_toml(config)))
        yield
    except BaseException:
        if not entries - {LOCK} and not ((out / RUN).exists() or (out / REWRITE).exists()):
            (out / CONFIG).unlink(missing_ok=True)
            (out / LOCK).unlink(missing_ok=True)
            if new and not any(out.iterdir()):
                out.rmdir()
        raise
    finally:
        lock.release()


@contextmanager
def _origins(config: DistillConfig, out: Path) -> Iterator[list[Origin]]:
    named = [] if config.generate is None else [(RUN, out / RUN)]
    named += [(str(folder), folder) for folder in config.run]
    seen = set[Path]()
    with ExitStack() as opened:
        origins = []
        for name, folder in named:
            if folder.resolve() in seen:
                raise UsageError(f"--run {folder} is given twice.")
            seen.add(folder.resolve())
            store = opened.enter_context(RunStore.open(folder))
            origins.append(origin(name, folder, store))
        if config.journey is not None and not any(one.searched for one in origins):
            raise UsageError("traces are made from searches, and the runs hold none.")
        yield origins


async def _made(
    config: DistillConfig,
    prepared: _Prepared,
    origins: list[Origin],
    out: Path,
    graders: Graders,
    observer: Observer,
    stop: asyncio.Event,
    engine: Engine | None,
    done: Evaluated | None,
) -> Distilled:
    failed = 0
    with Writer(out, prepared.maker, prepared.overlap) as writer:
        stream = _selected(config, prepared.sentences, origins, graders, writer)
        if config.rewrite is None:
            async for judged in stream:
                writer.add(judged)
                if stop.is_set():
                    return Distilled(out, None, done, "interrupted")
        else:
            rewrite = beside(config.rewrite, config.generate)
            async with Rewriter(
                rewrite, out / REWRITE, graders, observer, stop, engine
            ) as rewriter:
                async for judged in _rewritten(stream, rewriter, _filters(config, last=True)):
                    if stop.is_set():
                        return Distilled(out, None, done, "interrupted")
                    writer.add(judged)
                failed = rewriter.failed
        origin_info = [{"name": one.name, "model": one.model} for one in origins]
        summary = writer.finish(
            prepared.mixes, config.select.seed, runs=origin_info, config=as_toml(config)
        )
        atomic_write(out / CONFIG, tomli_w.dumps(as_toml(config)))
    return Distilled(out, summary, done, rewrite_failed=failed)


def _filters(config: DistillConfig, *, last: bool) -> Filters:
    """What responses must pass; before a second model reformats them, their form is free."""
    if last or config.rewrite is None:
        return Filters(config.select, config.readable)
    return Filters(config.select.model_copy(update={"languages": "any"}), None)


async def _selected(
    config: DistillConfig,
    sentences: Sentences,
    origins: list[Origin],
    graders: Graders,
    writer: Writer,
) -> AsyncIterator[Judged]:
    filters, journey = _filters(config, last=False), config.journey
    for one in found(origins):
        writer.problem(one.problem)
        if journey is None or not journey.only:
            for judged in select(one.drafts, filters, config.select.cap):
                yield judged
        if journey is not None:
            traces: list[Draft] = await journeys(one, journey, sentences, graders)
            for judged in select(traces, filters, journey.cap):
                yield judged
        await asyncio.sleep(0)  # Ctrl-C needs its turn


async def _rewritten(
    stream: AsyncIterator[Judged], rewriter: Rewriter, filters: Filters
) -> AsyncIterator[Judged]:
    """What was kept goes through the second model and the filters of the last form."""
    waiting: list[Draft] = []

    async def through() -> AsyncIterator[Judged]:
        async for judged in rewriter.chunk(waiting):
            refused = None if judged.reason else filters.refused(judged.draft)
            yield refused or judged
        waiting.clear()

    async for judged in stream:
        if judged.reason is not None:
            yield judged
            continue
        waiting.append(judged.draft)
        if len(waiting) == CHUNK:
            async for done in through():
                yield done
    if waiting:
        async for done in through():
            yield done
