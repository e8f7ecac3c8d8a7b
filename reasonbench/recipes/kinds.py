"""What a stage can be: which settings it takes, what runs it, what it makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from reasonbench.errors import UsageError
from reasonbench.recipes import measured

if TYPE_CHECKING:
    from reasonbench.generate import Observer
    from reasonbench.trainers.group_log import GroupRow
    from reasonbench.trainers.reward_labels import LabelRow
    from reasonbench.trainers.rl_watch import Watcher
    from reasonbench.trainers.sft import LogRow

Settings = dict[str, Any]
T = TypeVar("T")


class Progress(Protocol):
    """Who is told how a stage goes."""

    def sampling(self, stop: asyncio.Event) -> AbstractContextManager[Observer]:
        """Completions are written within the block; set `stop` to end it early."""

    def learning(self, steps: int, stop: asyncio.Event) -> AbstractContextManager[Watcher]:
        """Reinforcement learning goes on within the block; set `stop` to end it early."""

    def logged(self, row: LogRow | GroupRow) -> None:
        """So far a trainer has come."""

    def labelled(self, row: LabelRow) -> None:
        """So far step labels have come."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a stage ended.

    Attributes:
        generated: tokens that were sampled for it; None where nobody counts.
        trained: tokens that were trained on; None where nobody counts.
        figures: what else is worth knowing (rows kept, AUC on what was held out).
        rows: evaluations that the stage itself is.
        stopped: why it ended early, with nothing made; None where it is whole.
    """

    generated: int | None = None
    trained: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    stopped: str | None = None


class Kind(NamedTuple):
    """A kind of stage.

    Attributes:
        parse: settings (references resolved) and machine to a checked configuration.
        run: does the stage in a folder, going on where it was killed.
        makes: what comes out.
        main: where that lies below the stage's folder; "" for the folder.
    """

    parse: Callable[[Settings, Mapping[str, Any]], Any]
    run: Callable[[Any, Path, Progress], Done]
    makes: Literal["policy", "reward", "data", "run"]
    main: str = ""


def _with(settings: Settings, machine: Mapping[str, Any], **names: str) -> Settings:
    """The settings over those of the machine, which have other names here and there."""
    return {names[key]: machine[key] for key in names if key in machine} | settings


def _trainer(settings: Settings, machine: Mapping[str, Any]) -> Settings:
    return _with(settings, machine, device="device", dtype="dtype", threads="threads")


def _asked(settings: Settings, machine: Mapping[str, Any]) -> Settings:
    """Settings of an evaluation."""
    given = _with(settings, machine, engine="engine", engine_args="engine_arg")
    if given.get("reward") is not None:
        given = _with(given, machine, engine="reward_engine")
    return given


def _resume(folder: Path) -> bool:
    return (folder / "checkpoint.pt").is_file()


def in_loop(work: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Runs a coroutine that can be stopped by the event that it gets."""

    async def main() -> T:
        return await work(asyncio.Event())

    return asyncio.run(main())


def parse_eval(settings: Settings, machine: Mapping[str, Any]) -> Any:
    """An evaluation of one model."""
    from reasonbench import benchmarks, strategies
    from reasonbench.config import make

    config = make(_asked(settings, machine))
    if len(config.model) != 1:
        raise UsageError("a stage evaluates one model")
    for spec in config.strategy:
        strategies.parse(spec, config.n or 1)
    fields = {f"{k}_field": v for k, v in config.fields.model_dump().items()}
    for name in config.benchmark:
        if not name.endswith((".jsonl", ".json", ".csv", ".parquet", ".toml")):
            benchmarks.resolve(name, **fields)
    return config


def run_eval(config: Any, folder: Path, progress: Progress) -> Done:
    """`reasonbench eval`; the rows are the run's headline rows."""
    from reasonbench.evaluate import evaluate

    async def work(stop: asyncio.Event) -> Any:
        with progress.sampling(stop) as observer:
            return await evaluate(config, folder, observer, stop=stop)

    done = in_loop(work)
    if done.outcome.stopped:
        return Done(stopped=done.outcome.stopped)
    return Done(measured.sampled(folder), rows=measured.rows(done.results))


def _parse_distill(settings: Settings, machine: Mapping[str, Any]) -> Any:
    from reasonbench.distill import parse

    values = dict(settings)
    if "generate" in values:
        values["generate"] = parse_eval(values["generate"], machine).model_dump()
    if "rewrite" in values:
        values["rewrite"] = _with(
            values["rewrite"], machine, engine="engine", engine_args="engine_arg"
        )
    return parse(values)


def _distill(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.distill import distill

    async def work(stop: asyncio.Event) -> Any:
        with progress.sampling(stop) as observer:
            return await distill(config, folder, observer, stop=stop)

    done = in_loop(work)
    if done.summary is None:
        return Done(stopped=done.stopped or "interrupted")
    told = done.summary
    figures = {
        "rows": told["rows"],
        "problems": told["problems"]["with_rows"],
        "tokens_mean": told["tokens"]["mean"],
    }
    generated = sum(measured.sampled(folder / name) or 0 for name in ("run", "rewrite"))
    return Done(generated, figures=figures)


def _parse_sft(settings: Settings, machine: Mapping[str, Any]) -> Any:
    from reasonbench.trainers.config import parse_config
    from reasonbench.trainers.source import source_of

    values = {"checkpoint_every": 100, **_trainer(settings, machine)}
    if isinstance(values.get("model"), str):
        values["model"] = source_of(values["model"])
    config = parse_config(values)
    if config.lora is not None and not config.lora.merge:
        raise UsageError("later stages need a whole model: set lora.merge = true")
    return config


def _sft(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.trainers.sft import train

    train(config, folder, on_log=progress.logged, resume=_resume(folder))
    return Done(trained=measured.trained_on(config, folder))


def _parse_grpo(settings: Settings, machine: Mapping[str, Any]) -> Any:
    from reasonbench.trainers.grpo_config import parse_grpo

    values = _with(_trainer(settings, machine), machine, engine="engine", engine_args="engine_args")
    reward = values.get("reward")
    if reward is not None:
        given = {"model": reward} if isinstance(reward, str) else reward
        values["reward"] = _with(given, machine, engine="engine")
    return parse_grpo(values)


def _grpo(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.runs import is_run
    from reasonbench.trainers.grpo import train_async

    if (folder / "training.json").is_file() and not _resume(folder):
        return measured.learned(folder)  # killed between its end and its record

    async def work(stop: asyncio.Event) -> Any:
        with progress.learning(config.steps, stop) as watcher:
            resume = is_run(folder)
            return await train_async(config, folder, watcher, resume=resume, stop=stop)

    done = in_loop(work)
    if done.why == "interrupted":
        return Done(stopped="interrupted")
    return measured.learned(folder)


def _parse_preference(method: str) -> Callable[[Settings, Mapping[str, Any]], Any]:
    def parse(settings: Settings, machine: Mapping[str, Any]) -> Any:
        from reasonbench.trainers.preference_config import parse_preference

        values = {"checkpoint_every": 100, **_trainer(settings, machine), "method": method}
        return parse_preference(values)

    return parse


def _preference(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.trainers.preference import train

    found = train(config, folder, progress.logged, _resume(folder))
    after = found["held_out"].get("after", {})
    return Done(figures={k: v for k, v in after.items() if k == "reward_accuracy"})


def _parse_reward(kind: Literal["prm", "orm"]) -> Callable[[Settings, Mapping[str, Any]], Any]:
    def parse(settings: Settings, machine: Mapping[str, Any]) -> Any:
        from reasonbench.trainers.orm import OrmConfig
        from reasonbench.trainers.prm import PrmConfig
        from reasonbench.trainers.reward_config import parse_reward

        values = {"checkpoint_every": 100, **_trainer(settings, machine)}
        if values.get("device") == "auto":
            values["device"] = measured.device()
        if "data" not in values and "runs" not in values:
            values["labels"] = _labelling(values.get("labels", {}), machine)
        return parse_reward(PrmConfig if kind == "prm" else OrmConfig, values)

    return parse


def _reward(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.trainers import orm, prm

    train: Any = prm.train if isinstance(config, prm.PrmConfig) else orm.train
    found = train(config, folder, progress.logged, progress.labelled, _resume(folder))
    generated = measured.labelled(folder / "labels.jsonl")
    kept = ("auc", "accuracy", "error")
    return Done(generated, figures={k: v for k, v in found.items() if k in kept})


def _labelling(settings: Settings, machine: Mapping[str, Any]) -> Settings:
    return _with(settings, machine, engine="engine", engine_args="engine_args")


def _parse_labels(settings: Settings, machine: Mapping[str, Any]) -> Any:
    from reasonbench.recipes.problems import checked
    from reasonbench.trainers.reward_labels import LabelsConfig

    return checked(LabelsConfig, _labelling(settings, machine))


def _labels(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.trainers.reward_labels import make_labels

    folder.mkdir(parents=True, exist_ok=True)
    file = make_labels(config, folder / "labels.jsonl", progress.labelled)
    return Done(measured.labelled(file), figures=measured.label_figures(file))


def _parse_problems(settings: Settings, machine: Mapping[str, Any]) -> Any:
    from reasonbench.recipes.problems import ProblemsConfig, checked

    return checked(ProblemsConfig, settings)


def _problems(config: Any, folder: Path, progress: Progress) -> Done:
    from reasonbench.recipes.problems import write

    return Done(0, figures={"rows": write(config, folder / "problems.jsonl")})


KINDS: Mapping[str, Kind] = {
    "sft": Kind(_parse_sft, _sft, "policy"),
    "distill": Kind(_parse_distill, _distill, "data", "data.jsonl"),
    "grpo": Kind(_parse_grpo, _grpo, "policy"),
    **{
        name: Kind(_parse_preference(name), _preference, "policy")
        for name in ("dpo", "ipo", "kto", "orpo")
    },
    "orm": Kind(_parse_reward("orm"), _reward, "reward"),
    "prm": Kind(_parse_reward("prm"), _reward, "reward"),
    "labels": Kind(_parse_labels, _labels, "data", "labels.jsonl"),
    "problems": Kind(_parse_problems, _problems, "data", "problems.jsonl"),
    "eval": Kind(parse_eval, run_eval, "run"),
}
"""By name. `labels` makes step labels, `problems` a file of problems with the rewards that judge
them; the others are commands of their own."""
