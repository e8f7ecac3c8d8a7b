"""Reinforcement learning of a policy: GRPO and its family, PPO.

Each step writes a batch of roll-outs with the live engine, updates the policy, pushes its weights
to the engine and checks that they arrived. With `asynchronous` the next batch is written while
this one is trained on, by weights that are then one step old.

Left out on purpose: tools and turns within a roll-out, and roll-outs that outlive a push (each is
written by one version of the weights).

Under `torchrun` the policy is sharded over processes (`rl_team`): the first one writes, judges and
keeps the record, an update is computed by all.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import torch

from reasonbench.engines.base import LiveEngine
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.in_loop import EvalPoint, InLoop
from reasonbench.open_run import open_run
from reasonbench.runs import RunStore, atomic_write
from reasonbench.trainers import checkpoint, parallel, ranks, rl_metrics
from reasonbench.trainers.contaminated import keep
from reasonbench.trainers.evaluated import as_plain, is_new_best, keep_best, shortest
from reasonbench.trainers.grpo_config import VOLATILE, GrpoConfig
from reasonbench.trainers.loggers import Loggers, open_loggers
from reasonbench.trainers.policy_update import Learner
from reasonbench.trainers.push import push
from reasonbench.trainers.rl_checkpoint import Place
from reasonbench.trainers.rl_cores import cpu_seconds
from reasonbench.trainers.rl_metrics import Spent
from reasonbench.trainers.rl_open import Opened, open_all, prepare
from reasonbench.trainers.rl_problems import Cursor, stream
from reasonbench.trainers.rl_samples import Samples
from reasonbench.trainers.rl_sums import Sums
from reasonbench.trainers.rl_team import LeaderLostError, Team, follow
from reasonbench.trainers.rl_watch import Silent, StepRow, Trained, Watcher
from reasonbench.trainers.rollouts import Rollouts, Sampler
from reasonbench.trainers.verify import Sample, Tolerance, default_tolerance, verify


def train(
    config: GrpoConfig,
    out: Path,
    watcher: Watcher | None = None,
    *,
    resume: bool = False,
) -> Trained:
    """Trains; see `train_async`. Under `torchrun` every process calls it and gets the result.

    Raises:
        LeaderLostError: the first process failed; it says why.
    """
    with parallel.joined(config.device):
        if parallel.is_main():
            return asyncio.run(train_async(config, out, watcher, resume=resume))
        found = follow(config, out)
    if found is None:
        raise LeaderLostError("the first process has failed")
    return found


async def train_async(
    config: GrpoConfig,
    out: Path,
    watcher: Watcher | None = None,
    *,
    resume: bool = False,
    stop: asyncio.Event | None = None,
    engine: LiveEngine | None = None,
) -> Trained:
    """Trains and writes the model folder to `out`, which is also the run's folder.

    Of several processes the first calls it, the others call `rl_team.follow`.

    Args:
        config: the whole run.
        out: gets `config.toml`, `run.db`, `rollouts.jsonl`, the model's files, `best/`, and
            `checkpoint.pt` while the run lasts.
        watcher: is told of every step.
        resume: go on from the checkpoint in `out`; from the beginning where the run ended before
            the first.
        stop: set it to stop after the step in progress, with a checkpoint.
        engine: write with this one, which serves the model to start from at version 0, instead
            of opening one (it stays open).

    Raises:
        UsageError: anything the user can mend, before anything is overwritten.
        TrainingDiverged: a loss, a gradient or a ratio is out of bounds.
        StaleEngineError: the engine does not serve the weights that were pushed.
        EngineDeadError, EngineError: the engine died, or takes no request.
            After any of these `out` keeps the last checkpoint.
    """
    begun = cpu_seconds()
    watcher = watcher or Silent()
    _check_start(out)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    async with AsyncExitStack() as stack:
        team = Team(config, out)
        stack.callback(team.end)
        graders = Graders()
        stack.push_async_callback(graders.aclose)
        prepared = prepare(config, graders)
        settings = config.model_dump(mode="json", exclude_none=True)
        store = stack.enter_context(open_run(out, {"train": "grpo", **settings}, VOLATILE))
        place = Place(0, 0, None, Spent())
        learner = team.begin(
            prepared.algorithm,
            prepared.model,
            prepared.tokenizer,
            prepared.pad_id,
            prepared.multiple,
        )
        if resume and (out / checkpoint.FILE).is_file():
            place = team.resume()
        loggers = open_loggers(config.log, out, settings, after=place.step or None)
        stack.callback(loggers.close)
        store.rewind(place.step, place.step)
        watcher.starting(config.model)
        opened = await open_all(stack, config, prepared, engine)
        found = prepared.contamination
        keep(found, out)
        overlaps = found.warnings() if found else ()
        for sentence in (*prepared.notices, *overlaps, opened.engine.notice):
            if sentence:
                watcher.noticed(sentence)
        in_loop = None
        if config.evaluation is not None:
            in_loop = InLoop(store, config.evaluation, graders, model=config.model)
            stack.push_async_callback(in_loop.aclose)
        run = _Run(
            config, out, store, opened, learner, team, in_loop, place, watcher, stop, begun, loggers
        )
        trained = await run.loop()
        team.end(trained)
        return trained


def _check_start(out: Path) -> None:
    """Raises:
    UsageError: the folder's run has ended.
    """
    if (out / "training.json").is_file() and not (out / checkpoint.FILE).is_file():
        raise UsageError(f"the run in {out} has ended: choose another folder")


class _Run:
    """One session of a run."""

    def __init__(
        self,
        config: GrpoConfig,
        out: Path,
        store: RunStore,
        opened: Opened,
        learner: Learner,
        team: Team,
        in_loop: InLoop | None,
        place: Place,
        watcher: Watcher,
        stop: asyncio.Event | None,
        begun: float,
        loggers: Loggers,
    ) -> None:
        """Args: as `train_async` has them; begun: `cpu_seconds` at its start; loggers."""
        self.loggers = loggers
        self.config, self.out, self.store = config, out, store
        self.learner, self.team = learner, team
        self.engine, self.in_loop, self.place, self.watcher = opened.engine, in_loop, place, watcher
        self.stop = stop or asyncio.Event()
        prepared = opened.prepared
        self.model = prepared.model
        problems = stream(prepared.sources, config.seed, config.levels)
        self.cursor = Cursor(problems, place.position)
        self.sampler = Sampler(
            config, self.engine, self.cursor, prepared.judge, prepared.algorithm.filter_groups
        )
        self.samples = Samples(out, config.keep_groups, place.step)
        # one thread, so that torch computes as in a process of its own while requests are served
        self.thread = ThreadPoolExecutor(1, "trainer", initializer=opened.bind)
        self.metrics: dict[str, float] = {}
        self.cpu_before = begun - place.spent.cpu_seconds
        self.step_seconds = 0.0
        self.first = place.step
        self.told_empty = False
        self.on_gpu = self.model.device.type == "cuda"
        self.gpus = max(config.gpus, ranks.world_size())

    async def loop(self) -> Trained:
        """From the place to the end."""
        try:
            if self.place.step:
                await self._push(self.place.pending)
            await self._evaluate()
            while self.place.step < self.config.steps and not self._ended():
                await self._step()
        finally:
            self.thread.shutdown(cancel_futures=True)
        best = self.in_loop.best if self.in_loop else None
        evaluated = self.in_loop is None or self.in_loop.evaluated(self.place.step)
        last = self.place.step == self.config.steps
        if self.stop.is_set() and not (last and evaluated):
            await self._save()
            return Trained(self.out, self.place.step, "interrupted", best, self.metrics)
        self.team.save(self.out)
        self._summary(best)
        (self.out / checkpoint.FILE).unlink(missing_ok=True)
        why = "done" if self.place.step >= self.config.steps else "patience"
        return Trained(self.out, self.place.step, why, best, self.metrics)

    def _ended(self) -> bool:
        return self.stop.is_set() or (self.in_loop is not None and self.in_loop.should_stop)

    async def _step(self) -> None:
        """Roll-outs, updates, push, verification, evaluation, log, checkpoint."""
        place, config = self.place, self.config
        started = time.perf_counter()
        batch = place.pending or await self.sampler.batch(place.step)
        place.pending = None
        following: asyncio.Task[Rollouts] | None = None
        if config.asynchronous and place.step + 1 < config.steps:
            following = asyncio.create_task(self.sampler.batch(place.step))
        elif self.on_gpu:
            # one GPU for both: the engine's memory is the trainer's until the push
            await self.engine.sleep(discard=True)
        learning = time.perf_counter()
        try:
            sums = await asyncio.get_running_loop().run_in_executor(
                self.thread, self.team.learn, batch, place.step
            )
            if self.team.asked_to_stop:
                self.stop.set()
            train_seconds = time.perf_counter() - learning
            if following is not None:
                place.pending = await following
        except BaseException:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            raise
        staleness = place.step - batch.version
        place.step += 1
        checked = await self._push(batch)
        seconds = time.perf_counter() - started
        metrics = self._measure(batch, sums, seconds)
        metrics |= {"staleness": float(staleness), **checked}
        metrics |= {"rollout_seconds": batch.seconds, "train_seconds": train_seconds}
        self.store.add_training(place.step, metrics, weight_version=place.step)
        self.loggers.log(place.step, metrics)
        if not (sums.updates or sums.critic_updates or self.told_empty):
            self.told_empty = True
            self.watcher.noticed(
                f"step {place.step}: no group had rewards that differ: nothing was learned"
            )
        self.samples.add(place.step, batch)
        self.metrics = metrics
        self._tell(metrics, batch, sums, seconds)
        better = await self._evaluate()
        # with a new best, so that a kill takes back no evaluation whose model BEST holds
        due = bool(config.save_every) and (better or place.step % config.save_every == 0)
        if due and place.step < config.steps:
            await self._save()

    async def _push(self, batch: Rollouts | None) -> dict[str, float]:
        """Give the engine the weights of now and compare what it has with the trainer's."""
        version = self.place.step
        report = await push(self.engine, self.team.weights(), version)
        found = await verify(
            self.engine,
            self.model,
            checked_with(batch),
            self._tolerance(),
            version=version,
            expect=self.team.expected,
        )
        gaps = {"verify_gap": found.mean, "verify_gap_max": found.max} if found.tokens else {}
        return {"push_seconds": report.seconds, "verify_seconds": found.seconds, **gaps}

    def _tolerance(self) -> Tolerance | None:
        if self.config.tolerance is None:
            return None
        usual = default_tolerance(self.engine.info.dtype or "float32", self.config.dtype)
        return usual._replace(mean=self.config.tolerance)

    def _measure(self, batch: Rollouts, sums: Sums, seconds: float) -> dict[str, float]:
        """The step's metrics, and what the run has used so far."""
        spent, info = self.place.spent, self.engine.info
        spent.tokens_rollout += batch.usage.decode_tokens
        spent.tokens_trained += sums.tokens
        spent.flops += batch.flops + rl_metrics.training_flops(sums, batch, info)
        spent.seconds += seconds
        spent.cpu_seconds = cpu_seconds() - self.cpu_before
        return {
            **rl_metrics.of_rollouts(batch),
            **rl_metrics.of_update(sums, self.learner.lr(self.place.step - 1)),
            "tokens_rollout": float(spent.tokens_rollout),
            "tokens_trained": float(spent.tokens_trained),
            "tokens": float(spent.tokens),
            "flops": spent.flops,
            "seconds": spent.seconds,
            "cpu_seconds": spent.cpu_seconds,
            "weight_version": float(self.place.step),
            **({"gpu_seconds": spent.seconds * self.gpus} if self.on_gpu else {}),
        }

    def _tell(
        self, metrics: Mapping[str, float], batch: Rollouts, sums: Sums, seconds: float
    ) -> None:
        place, steps = self.place, self.config.steps
        self.step_seconds += seconds
        pace = self.step_seconds / (place.step - self.first)
        speed = (batch.usage.decode_tokens + sums.tokens) / max(1e-9, seconds)
        self.watcher.stepped(
            StepRow(place.step, steps, metrics, speed, pace * (steps - place.step))
        )

    async def _evaluate(self) -> bool:
        """Evaluate the weights of now where it is due, and at the end; whether they are the best,
        which are kept.
        """
        loop, step = self.in_loop, self.place.step
        if loop is None or not (loop.is_due(step) or step == self.config.steps):
            return False
        points = await loop.evaluate(self.engine, step=step, version=step, stop=self.stop)
        if points:
            self.watcher.evaluated(points)
        found = {f"eval/{p.benchmark}/{p.strategy}": p.accuracy for p in points}
        self.loggers.log(step, found)
        if not is_new_best(loop, step) or loop.best is None:
            return False
        keep_best(self.out, loop.best, self.team.save)
        return True

    async def _save(self) -> None:
        """The checkpoint; what is logged until now is on disk before it."""
        self.place.position = self.cursor.position
        self.store.flush()
        await asyncio.to_thread(self.team.checkpoint, self.place)

    def _summary(self, best: EvalPoint | None) -> None:
        """`training.json`, as every trainer writes it."""
        summary: dict[str, Any] = {
            "config": self.config.model_dump(mode="json"),
            "steps": self.place.step,
            "last": self.metrics,
        }
        if best is not None:
            summary["best"] = as_plain(best)
        atomic_write(self.out / "training.json", json.dumps(summary, indent=1) + "\n")


def checked_with(batch: Rollouts | None) -> list[Sample]:
    """Roll-outs to check a push with: the shortest ones of several groups, their starts."""
    if batch is None:
        return []
    found: list[Sample] = []
    for group in batch.groups:
        pairs = [(r.prompt.token_ids, r.completion.token_ids) for r in group]
        if pairs := [pair for pair in pairs if pair[1]]:
            found.append(min(pairs, key=lambda pair: len(pair[0]) + len(pair[1])))
    return shortest(found)
