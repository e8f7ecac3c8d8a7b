"""`reasonbench train dpo|ipo|kto|orpo`: training on preferences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reasonbench.cli.train_evaluation import (
    check_option,
    evaluation_options,
    needs_benchmark,
    take_evaluation,
)
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.trainers.preference_config import Method

METHODS: dict[Method, str] = {
    "dpo": "Direct preference optimisation: pairs, or rankings (Rafailov et al. 2023).",
    "ipo": "Identity preference optimisation: pairs (Azar et al. 2023).",
    "kto": "Kahneman-Tversky optimisation: good and bad responses (Ethayarajh et al. 2024).",
    "orpo": "Odds-ratio preference optimisation: pairs, no reference model (Hong et al. 2024).",
}


def add_commands(group: click.Group) -> None:
    """Adds one command for each method to `reasonbench train`."""
    for method, what in METHODS.items():
        group.command(name=method, help=f"{what}\n\n{_FORMS}")(_options(_command(method)))


_FORMS = """Preferences come from a JSONL file whose rows have one of these sets of fields: prompt,
chosen, rejected; prompt, response_a, response_b, preference; prompt, response, label; prompt,
responses, ranking. Or the harness makes them of a run's graded samples (--run)."""


def _command(method: Method) -> Callable[..., None]:
    def run(**given: Any) -> None:
        _train(method, **given)

    return run


def _options(command: Callable[..., None]) -> Callable[..., None]:
    folder = click.Path(file_okay=False, path_type=Path)
    for option in reversed(
        (
            click.option("--recipe", help="A TOML file of settings."),
            click.option("--data", help="A JSONL file of preferences."),
            click.option("--run", "runs", multiple=True, help="A run's folder. Repeats."),
            click.option(
                "--pairs",
                type=click.Choice(["right-wrong", "short-long", "label"]),
                help="What is made of runs: right against wrong; the shortest right against the "
                "longest right; each solution by itself.",
            ),
            click.option("--model", help="The model folder, or hub name, to start from."),
            click.option("--out", type=folder, help="Where the model goes."),
            click.option(
                "--save-every", type=int, help="Updates between two checkpoints (100); 0: none."
            ),
            click.option(
                "--set", "settings", multiple=True, metavar="KEY=VALUE",
                help="A setting: optimizer.adamw_lr=1e-6.",
            ),
            click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out."),
            click.option("--quiet", is_flag=True, help="Print nothing but errors."),
        )
    ):  # fmt: skip
        command = option(command)
    return evaluation_options(check_option(command))


def _train(
    method: Method,
    recipe: str | None,
    data: str | None,
    runs: tuple[str, ...],
    pairs: str | None,
    model: str | None,
    out: Path | None,
    save_every: int | None,
    settings: tuple[str, ...],
    resume: bool,
    quiet: bool,
    **evaluation: Any,
) -> None:
    from reasonbench.cli.train import _check_folder, _check_torch, assign, is_first, table
    from reasonbench.trainers.config import load_recipe

    if recipe is None and data is None and not runs:
        raise UsageError("give --data FILE.jsonl, or --run DIR to make preferences of its samples")
    values = load_recipe(recipe) if recipe else {}
    values["method"] = method
    if data is not None or runs:
        values |= {"data": data, "runs": runs}
    if model is not None:
        values["model"] = model
    if save_every is not None:
        values["checkpoint_every"] = save_every
    if pairs is not None:
        table(values, "pairs")["kind"] = pairs
    take_evaluation(values, evaluation)
    for setting in settings:
        assign(values, setting)
    needs_benchmark(values)
    _check_torch()

    from transformers.utils import logging as transformers_logging

    from reasonbench.cli.loss_progress import LossProgress
    from reasonbench.cli.terminal import terminal
    from reasonbench.engines.base import EngineError
    from reasonbench.trainers.preference import train
    from reasonbench.trainers.preference_config import parse_preference
    from reasonbench.trainers.sft import TrainingDiverged
    from reasonbench.trainers.verify import StaleEngineError

    # its bars for files of a few megabytes would break into the progress lines
    transformers_logging.disable_progress_bar()
    config = parse_preference(values)
    folder = out or Path("runs") / f"{method}-{Path(config.model).stem}"
    if is_first():  # the others come to a folder that it has already begun
        _check_folder(folder, resume)
    quiet = quiet or not is_first()
    with LossProgress(terminal(stderr=True, quiet=quiet), quiet=quiet) as progress:
        try:
            found = train(config, folder, progress, resume, progress.evaluated)
        except (TrainingDiverged, StaleEngineError, EngineError) as error:
            raise click.ClickException(str(error)) from error
    if quiet:
        return
    for when in ("before", "after"):
        if measured := found["held_out"].get(when):
            click.echo(
                f"held out, {when}: loss {measured['loss']:.4f}, "
                f"accuracy {measured['reward_accuracy']:.1%}"
            )
    click.echo(f"wrote {folder}")
