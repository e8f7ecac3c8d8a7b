"""`reasonbench train`: trains models whose checkpoints are evaluated here."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from reasonbench.cli.train_evaluation import (
    check_option,
    evaluation_options,
    needs_benchmark,
    take_evaluation,
)
from reasonbench.cli.train_grpo import add_commands as add_grpo
from reasonbench.cli.train_preference import add_commands as add_preference_commands
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


@click.group()
def train() -> None:
    """Train models whose checkpoints are evaluated here."""


command = train
add_grpo(train)
add_preference_commands(train)


@train.command()
@click.option("--recipe", help="A recipe that comes with reasonbench (`builtin`), or a TOML file.")
@click.option("--data", help="A JSONL file of `messages`, or of `prompt` and `completion`.")
@click.option("--model", help="The model folder, or hub name, to start from.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where the model goes."
)
@click.option(
    "--lora",
    type=click.IntRange(min=1),
    metavar="RANK",
    help="Train adapters of this rank instead of the weights; `eval --lora OUT` reads them.",
)
@click.option("--merge", is_flag=True, help="Add the adapters to the model in the end.")
@click.option("--save-every", type=int, help="Updates between two checkpoints.")
@evaluation_options
@check_option
@click.option(
    "--log", multiple=True, metavar="NAME",
    help="Also log to tensorboard, wandb or trackio. Repeats."
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting: optimizer.lr=1e-4."
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def sft(
    recipe: str | None,
    data: str | None,
    model: str | None,
    out: Path | None,
    lora: int | None,
    merge: bool,
    save_every: int | None,
    log: tuple[str, ...],
    settings: tuple[str, ...],
    resume: bool,
    quiet: bool,
    **evaluation: Any,
) -> None:
    """Supervised fine-tuning on answers.

    `reasonbench train sft --recipe builtin` makes the built-in policy anew, from random weights.

    On several GPUs: `torchrun --nproc-per-node 8 -m reasonbench train sft …`.
    """
    from reasonbench.trainers.config import load_recipe, parse_config

    if recipe is None and (data is None or model is None):
        raise UsageError("give --recipe NAME, or --data FILE.jsonl and --model DIR")
    values = load_recipe(recipe) if recipe else {}
    values |= {k: v for k, v in (("data", data), ("model", model)) if v is not None}
    if model is not None:
        values.pop("init", None)
        values.pop("tokenizer", None)
    if lora is not None:
        table(values, "lora").update(rank=lora, alpha=2.0 * lora)
    if merge:
        if not values.get("lora"):
            raise UsageError("--merge adds adapters to the model: give --lora RANK with it")
        table(values, "lora")["merge"] = True
    if save_every is not None:
        values["checkpoint_every"] = save_every
    if log:
        values["log"] = list(log)
    take_evaluation(values, evaluation)
    for setting in settings:
        assign(values, setting)
    needs_benchmark(values)
    config = parse_config(values)
    folder = out or Path("runs") / f"sft-{Path(recipe or model or 'model').stem}"
    main = is_first()
    if main:  # the others come to a folder that it has already begun
        _check_folder(folder, resume)
    _check_torch()

    from transformers.utils import logging as transformers_logging

    from reasonbench.cli.loss_progress import LossProgress
    from reasonbench.cli.terminal import terminal
    from reasonbench.engines.base import EngineError
    from reasonbench.trainers.sft import TrainingDiverged
    from reasonbench.trainers.sft import train as run
    from reasonbench.trainers.verify import StaleEngineError

    # its bars for files of a few megabytes would break into the progress lines
    transformers_logging.disable_progress_bar()
    quiet = quiet or not main
    kept = folder / "checkpoint.pt"
    with LossProgress(terminal(stderr=True, quiet=quiet), quiet=quiet) as progress:
        try:
            run(config, folder, on_log=progress, resume=resume, on_eval=progress.evaluated)
        except TrainingDiverged as error:
            left = f" {kept} holds the last checkpoint." if kept.is_file() else ""
            raise click.ClickException(f"{error}: lower the learning rate.{left}") from error
        except (StaleEngineError, EngineError) as error:
            left = f" {kept} holds the last checkpoint." if kept.is_file() else ""
            raise click.ClickException(f"{str(error).rstrip('.')}.{left}") from error
        except KeyboardInterrupt:
            left = "add --resume to the command to go on" if kept.is_file() else "nothing is kept"
            click.echo(f"stopped; {left}.", err=True)
            raise SystemExit(130) from None
    if not quiet:
        click.echo(f"wrote {folder}")


def _reward_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that both kinds of reward take."""
    for option in reversed(
        (
            click.option("--recipe", help="A recipe that comes with reasonbench, or a TOML file."),
            click.option(
                "--data",
                help="A file of step labels, or of rows whose form their fields tell; step labels "
                "are made anew when left out.",
            ),
            click.option("--model", help="The model folder, or hub name, to start from."),
            click.option(
                "--benchmark",
                "-b",
                help="Problems to make step labels of: a name, or a file of your own.",
            ),
            click.option("--policy", help="The model that solves them: a folder or hub name."),
            click.option(
                "--out",
                type=click.Path(file_okay=False, path_type=Path),
                help="Where the model goes, and the labels that are made for it.",
            ),
            click.option(
                "--save-every", type=int, help="Updates between two checkpoints (100); 0: none."
            ),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="KEY=VALUE",
                help="A setting: labels.problems=1000.",
            ),
            click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out."),
            click.option("--quiet", is_flag=True, help="Print nothing but errors."),
        )
    ):
        command = option(command)
    return command


@train.command()
@_reward_options
@check_option
def prm(**given: Any) -> None:
    """A process reward: a score at the end of every step.

    `reasonbench train prm --recipe builtin-prm` makes the built-in one anew: step labels by
    roll-outs of the built-in policy (a killed run goes on with them), then the training.
    """
    _reward("prm", **given)


@train.command()
@_reward_options
@check_option
@click.option("--run", "runs", multiple=True, help="A run whose graded samples are learned from.")
def orm(**given: Any) -> None:
    """An outcome reward: one score for a whole solution.

    `reasonbench train orm --recipe builtin-orm` makes the built-in one anew. It also learns from
    rows: pairs, rankings, good and bad responses, grades.
    """
    _reward("orm", **given)


def _reward(
    kind: Literal["prm", "orm"],
    recipe: str | None,
    data: str | None,
    model: str | None,
    benchmark: str | None,
    policy: str | None,
    out: Path | None,
    save_every: int | None,
    settings: tuple[str, ...],
    resume: bool,
    quiet: bool,
    runs: tuple[str, ...] = (),
    **checks: Any,
) -> None:
    from reasonbench.trainers.config import load_recipe

    if recipe is None and model is None:
        raise UsageError("give --recipe NAME, or --model DIR and --data FILE.jsonl")
    values = load_recipe(recipe) if recipe else {}
    values |= {k: v for k, v in (("data", data), ("model", model)) if v is not None}
    if runs:
        values["runs"] = runs
    if save_every is not None:
        values["checkpoint_every"] = save_every
    take_evaluation(values, checks)
    for key, value in (("benchmark", benchmark), ("policy", policy)):
        if value is not None:
            table(values, "labels")[key] = value
    for setting in settings:
        assign(values, setting)
    folder = out or Path("runs") / f"{kind}-{Path(recipe or model or 'model').stem}"
    _check_torch()

    from transformers.utils import logging as transformers_logging

    from reasonbench.cli.loss_progress import LossProgress
    from reasonbench.cli.terminal import terminal
    from reasonbench.trainers import orm as outcome
    from reasonbench.trainers import prm as process
    from reasonbench.trainers.reward_config import parse_reward
    from reasonbench.trainers.sft import TrainingDiverged

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    quiet = quiet or not is_first()
    with LossProgress(terminal(stderr=True, quiet=quiet), quiet=quiet) as progress:
        try:
            if kind == "prm":
                config = parse_reward(process.PrmConfig, values)
                if is_first():
                    _check_folder(folder, resume)
                found = process.train(config, folder, progress, progress.labelled, resume)
            else:
                chosen = parse_reward(outcome.OrmConfig, values)
                if is_first():
                    _check_folder(folder, resume)
                found = outcome.train(chosen, folder, progress, progress.labelled, resume)
        except TrainingDiverged as error:
            raise click.ClickException(str(error)) from error
    if not quiet:
        if "auc" in found:
            click.echo(f"held out: AUC {found['auc']:.3f} over {found['steps']:,.0f} scores")
        elif found:
            click.echo(f"held out: accuracy {found['accuracy']:.1%}, loss {found['loss']:.4f}")
        click.echo(f"wrote {folder}")


def assign(values: dict[str, Any], setting: str) -> None:
    """Puts `a.b=value` into nested settings; the value is TOML, or else text."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {setting}: write it as KEY=VALUE, for example optimizer.lr=1e-4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.strip().split(".")
    for part in path:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {setting}: {part} is no table of settings")
        values = inner
    values[last] = value


def table(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings inside a table of settings, to be added to; a new one where there is none."""
    inner = values.setdefault(name, {})
    if not isinstance(inner, dict):
        raise UsageError(f"{name} is {inner!r}, not a table of settings: write [{name}]")
    return inner


def _check_folder(folder: Path, resume: bool) -> None:
    """Nothing that exists is overwritten; whether the folder can be written is seen at once."""
    checkpoint = folder / "checkpoint.pt"
    if resume and not checkpoint.is_file():
        raise UsageError(f"there is no checkpoint to resume in {folder}")
    if not resume and checkpoint.is_file():
        raise UsageError(f"{folder} holds an unfinished run: add --resume, or choose another --out")
    written = ("model.safetensors", "adapter_model.safetensors")
    if not resume and any((folder / name).exists() for name in written):
        raise UsageError(f"{folder} already holds a model: choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error


def is_first() -> bool:
    """Whether this process is the one of those that torchrun started that writes and talks."""
    return int(os.environ.get("RANK", "0")) == 0


def _check_torch() -> None:
    try:
        import torch  # noqa: F401 - only whether it is there
        import transformers  # noqa: F401 - likewise
    except ImportError as error:
        raise UsageError(
            f"training needs {error.name}: install it with `pip install 'reasonbench[train]'`"
        ) from error
