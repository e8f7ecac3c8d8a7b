"""Runs a chain: each stage once, killed ones from where they were, and a table of all.

A folder holds for each stage a folder of its name, `evaluations/` with the runs that judged the
models, `records/` with what is known of finished stages, `recipe.toml` with the settings, and
`recipe.json` and `recipe.md` with the summary.
"""

from __future__ import annotations

import gc
import math
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import tomli_w

from reasonbench.errors import UsageError, unknown
from reasonbench.recipes.kinds import KINDS, Progress, parse_eval, run_eval
from reasonbench.recipes.read import BASE, Recipe, Stage, resolve
from reasonbench.recipes.record import Record, Records, digest, fingerprint, write_results
from reasonbench.runs import atomic_write
from reasonbench.runs.folder import LOCK, FolderLock

CONFIG, RECORDS, EVALUATIONS = "recipe.toml", "records", "evaluations"

Places = dict[str, tuple[str, Path | None]]


class Watch(Progress, Protocol):
    """Who is told how a chain goes."""

    def begun(self, name: str, what: str, number: int, total: int) -> None:
        """A stage begins or goes on; `number` from 1, 0 for the base; `what` is being done."""

    def kept(self, record: Record) -> None:
        """A stage was finished by an earlier session."""

    def ended(self, record: Record) -> None:
        """A stage is finished, its evaluation included."""


@dataclass(frozen=True, slots=True)
class Chained:
    """How a chain ended.

    Attributes:
        folder: of the chain.
        records: of the finished stages; the first is the base's where models are evaluated.
        results: what recipe.json holds.
        stopped: the stage in which it was stopped early; None where all are finished.
    """

    folder: Path
    records: tuple[Record, ...]
    results: Mapping[str, Any]
    stopped: str | None = None


def check(recipe: Recipe, out: Path) -> list[tuple[Stage, Any]]:
    """The configurations of all stages, as they will run; nothing is loaded or written.

    Raises:
        UsageError: a setting that does not exist or is out of range, with its stage; a file of
            inputs that is not there.
    """
    places = _places(recipe, out.resolve())
    for name, file in recipe.inputs.items():
        if file and not Path(file).is_file():
            raise UsageError(f"inputs.{name}: there is no file {file}")
    found = [(stage, _parsed(recipe, stage, places)) for stage in recipe.stages]
    if recipe.evaluation:
        _evaluated(recipe, recipe.model)
    return found


def _places(recipe: Recipe, out: Path) -> Places:
    places: Places = {BASE: (recipe.model, None)}
    for name, file in recipe.inputs.items():
        places[name] = (str(Path(file).resolve()), None)
    for stage in recipe.stages:
        main = KINDS[stage.kind].main
        folder = out / stage.name
        places[stage.name] = (str(folder / main) if main else str(folder), folder)
    return places


def _parsed(recipe: Recipe, stage: Stage, places: Places) -> Any:
    try:
        settings = resolve(stage.settings, places)
        return KINDS[stage.kind].parse(settings, recipe.machine)
    except UsageError as error:
        raise UsageError(f"stage {stage.name}: {error}") from error


def _evaluated(recipe: Recipe, model: str) -> Any:
    """The evaluation of one model."""
    try:
        return parse_eval({**recipe.evaluation, "model": [model]}, recipe.machine)
    except UsageError as error:
        raise UsageError(f"evaluation: {error}") from error


def run(recipe: Recipe, out: Path, watch: Watch) -> Chained:
    """Runs what is not finished yet; the same call goes on where one was killed.

    Args:
        recipe: settings of a finished stage, and of those it stands on, must be what they were.
            The evaluation's may change: models are evaluated anew, nothing is trained again.
        out: the folder; new, empty, or of an earlier call.

    Raises:
        UsageError: anything the user can mend; bad settings before anything is written.
        TrainingDiverged, StaleEngineError, EngineError: as the trainers raise them; the stages
            before are finished, and the same call goes on.
    """
    out = out.resolve()
    stages = check(recipe, out)
    entries = {entry.name for entry in out.iterdir()} if out.exists() else set()
    if entries - {LOCK} and CONFIG not in entries:
        raise UsageError(f"{out} is not empty and holds no recipe: give an empty or new folder")
    out.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(out)
    try:
        _refuse_other(recipe, out)
        _use_threads(recipe)
        atomic_write(out / CONFIG, tomli_w.dumps(_plain(recipe)))
        return _run(recipe, stages, out, watch)
    finally:
        lock.release()


def _plain(recipe: Recipe) -> dict[str, Any]:
    values = {key: value for key, value in asdict(recipe).items() if value not in ({}, None)}
    stages = [
        {"name": s.name, "kind": s.kind, "evaluate": s.evaluate, **s.settings}
        for s in recipe.stages
    ]
    del values["stages"], values["name"]
    return {**values, "stage": stages}


def _fingerprints(recipe: Recipe) -> dict[str, str]:
    known = {BASE: recipe.model, **recipe.inputs}
    for stage in recipe.stages:
        known[stage.name] = fingerprint(stage, known)
    return known


def _refuse_other(recipe: Recipe, out: Path) -> None:
    """Nothing is made by other settings under a finished stage."""
    known, records = _fingerprints(recipe), Records(out / RECORDS)
    for stage in recipe.stages:
        record = records.get(stage.name)
        if record is not None and record.fingerprint != known[stage.name]:
            raise UsageError(
                f"stage {stage.name} in {out} was made with other settings: choose another --out, "
                f"or make it and what stands on it again with --again {stage.name}"
            )


def _run(recipe: Recipe, stages: list[tuple[Stage, Any]], out: Path, watch: Watch) -> Chained:
    known, records = _fingerprints(recipe), Records(out / RECORDS)
    total = len(stages)
    found = list[Record]()

    def summary(stopped: str | None = None) -> Chained:
        results = write_results(out, recipe.name, recipe.model, found, total)
        return Chained(out, tuple(found), results, stopped)

    if recipe.evaluation:
        base = records.get(BASE) or Record(BASE, "model", digest(recipe.model))
        if base.evaluation != _asked(recipe):
            watch.begun(BASE, "evaluation", 0, total)
        record = _evaluate(recipe, base, recipe.model, out, records, watch)
        if record is None:
            return summary(BASE)
        found.append(record)
    for number, (stage, config) in enumerate(stages, 1):
        record = records.get(stage.name)
        old = record is not None
        if record is None:
            watch.begun(stage.name, stage.kind, number, total)
            record = _made(stage, config, known[stage.name], out, records, watch)
        if record is None:
            return summary(stage.name)
        scored = recipe.evaluation and stage.evaluate and KINDS[stage.kind].makes == "policy"
        if scored and record.evaluation != _asked(recipe):
            old = False
            watch.begun(stage.name, "evaluation", number, total)
            model = str(out / stage.name)
            record = _evaluate(recipe, record, model, out, records, watch)
        if record is None:
            return summary(stage.name)
        found.append(record)
        (watch.kept if old else watch.ended)(record)
        summary()
    return summary()


def _made(
    stage: Stage, config: Any, mark: str, out: Path, records: Records, watch: Watch
) -> Record | None:
    """Runs a stage; None where it was stopped."""
    try:
        with records.clock(stage.name) as clock:
            done = KINDS[stage.kind].run(config, out / stage.name, watch)
    except UsageError as error:
        raise UsageError(f"stage {stage.name}: {error}") from error
    finally:
        _release()
    if done.stopped is not None:
        return None
    record = Record(
        stage.name,
        stage.kind,
        mark,
        round(clock.seconds, 1),
        done.generated,
        done.trained,
        {name: value for name, value in done.figures.items() if math.isfinite(value)},
        done.rows,
    )
    records.keep(record)
    return record


def _asked(recipe: Recipe) -> str:
    return digest(recipe.evaluation)


def _evaluate(
    recipe: Recipe, record: Record, model: str, out: Path, records: Records, watch: Watch
) -> Record | None:
    """The record with what its model scores; None where the evaluation was stopped."""
    asked = _asked(recipe)
    if record.evaluation == asked:
        return record
    name = f"{record.name}-{asked[:6]}"
    folder = out / EVALUATIONS / name
    config = _evaluated(recipe, model)
    try:
        with records.clock(f"evaluation-{name}") as clock:
            done = run_eval(config, folder, watch)
    finally:
        _release()
    if done.stopped is not None:
        return None
    seconds = round(clock.seconds, 1)
    found = replace(record, rows=done.rows, evaluation=asked, evaluation_seconds=seconds)
    records.keep(found)
    return found


def _use_threads(recipe: Recipe) -> None:
    """Engines in this process compute with as many threads as the trainers, from the beginning.

    Trainers set the number for the whole process: what is sampled before and after one would be
    rounded differently, and a resumed chain would begin with another number than an uninterrupted
    one.
    """
    if "threads" in recipe.machine:
        import torch

        torch.set_num_threads(recipe.machine["threads"])


def _release() -> None:
    """The memory of a stage's models is free before the next one opens an engine."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def forget(recipe: Recipe, out: Path, name: str) -> list[str]:
    """Removes what a stage and those that stand on it made, so that the next call makes it again.

    Returns:
        The names of these stages.

    Raises:
        UsageError: there is no such stage, or the folder holds no chain.
    """
    if name not in (known := [stage.name for stage in recipe.stages]):
        raise unknown("stage", name, known)
    if not (out / CONFIG).is_file():
        raise UsageError(f"{out} holds no recipe")
    gone = [name]
    gone += [stage.name for stage in recipe.stages if _stands_on(stage, recipe, name)]
    for one in gone:
        for path in (out / RECORDS).glob(f"{one}.*"):
            path.unlink()
        shutil.rmtree(out / one, ignore_errors=True)
        for folder in (out / EVALUATIONS).glob(f"{one}-??????"):
            shutil.rmtree(folder)
    return gone


def _stands_on(stage: Stage, recipe: Recipe, name: str) -> bool:
    stages = {other.name: other for other in recipe.stages}
    needs = [needed for needed in stage.needs() if needed in stages]
    return name in needs or any(_stands_on(stages[needed], recipe, name) for needed in needs)
