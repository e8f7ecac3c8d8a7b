"""`reasonbench train grpo`: reinforcement learning of a policy."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reasonbench.cli.train_evaluation import check_option, evaluation_options, take_evaluation
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.cli.train_progress import TrainProgress
    from reasonbench.trainers.grpo_config import GrpoConfig
    from reasonbench.trainers.rl_watch import Trained, Watcher

PRESETS = ("grpo", "r1-zero", "dr-grpo", "dapo", "gspo", "cispo", "rloo", "ppo")


def add_commands(group: click.Group) -> None:
    """Adds the command to `reasonbench train`."""
    group.add_command(grpo)


@click.command()
@click.option("--recipe", help="A recipe that comes with reasonbench (r1-zero-builtin), or a TOML.")
@click.option("--model", help="The model folder, or hub name, to start from; the built-in one.")
@click.option("--preset", type=click.Choice(PRESETS), help="The algorithm; grpo by default.")
@click.option(
    "--benchmark", multiple=True, help="Problems to train on: builtin-arithmetic, gsm8k-train. "
    "Repeats."
)  # fmt: skip
@click.option("--data", multiple=True, help="A file of problems: question, answer, rules. Repeats.")
@click.option(
    "--rule", "rules", multiple=True, metavar="NAME:WEIGHT",
    help="A reward by rule: accuracy:1, format:0.1. Repeats."
)  # fmt: skip
@click.option("--reward", help="A reward model beside the rules.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where run and model go."
)
@click.option("--steps", type=int, help="Batches of roll-outs.")
@click.option("--save-every", type=int, help="Steps between two checkpoints.")
@click.option("--replicas", type=int, help="vLLMs that write roll-outs, one per Ray actor.")
@click.option("--ray", help="Address of their Ray cluster; one is started here by default.")
@evaluation_options
@check_option
@click.option(
    "--log", multiple=True, metavar="NAME",
    help="Also log to tensorboard, wandb or trackio. Repeats."
)  # fmt: skip
@click.option("--gpu-price", type=float, help="US dollars an hour of a GPU, for the curves.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting: optimizer.lr=1e-6."
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def grpo(context: click.Context, /, **given: Any) -> None:
    """Reinforcement learning: GRPO and its family, and PPO.

    Roll-outs come from the live engine, rewards from the graders' rules and from reward models.

    `reasonbench train grpo --recipe r1-zero-builtin --out DIR` teaches the built-in policy.

    On several GPUs: `torchrun --nproc-per-node 8 -m reasonbench train grpo …`.
    """
    from reasonbench.cli.train import _check_torch, is_first

    _check_torch()
    from transformers.utils import logging as transformers_logging

    from reasonbench.trainers import parallel
    from reasonbench.trainers.grpo_config import parse_grpo

    transformers_logging.disable_progress_bar()
    config = parse_grpo(settings_of(given))
    folder = given["out"] or Path("runs") / f"grpo-{given['recipe'] or Path(config.model).stem}"
    if first := is_first():
        _check_folder(folder, given["resume"])
    with parallel.joined(config.device):
        if first:
            quiet = given["quiet"]
            code = asyncio.run(_train(config, folder, resume=given["resume"], quiet=quiet))
        else:
            code = _follow(config, folder)
    context.exit(code)


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the options spell: the recipe's, those of options, those of --set.

    Raises:
        UsageError: no such recipe, or a --set that cannot be read.
    """
    from reasonbench.cli.train import assign
    from reasonbench.trainers.config import load_recipe

    values = load_recipe(given["recipe"]) if given["recipe"] else {}
    for name in ("model", "preset", "steps", "save_every", "gpu_price", "replicas", "ray"):
        if given[name] is not None:
            values[name] = given[name]
    rewarding = values.get("reward")
    if isinstance(rewarding, str):
        rewarding = values["reward"] = {"model": rewarding}
    if given["reward"]:
        kept = rewarding if isinstance(rewarding, dict) else {}
        values["reward"] = {**kept, "model": given["reward"]}
    if given["benchmark"] or given["data"]:
        values |= {"benchmark": list(given["benchmark"]), "data": list(given["data"])}
    if given["rules"]:
        values["rules"] = list(given["rules"])
    if given["log"]:
        values["log"] = list(given["log"])
    take_evaluation(values, given)
    for setting in given["settings"]:
        assign(values, setting)
    evaluated = values.get("evaluation")
    if isinstance(evaluated, dict) and "benchmarks" not in evaluated:
        names = evaluated_on(values.get("benchmark"), values.get("data"))
        if names:
            evaluated["benchmarks"] = names
    return values


def evaluated_on(benchmark: Any, data: Any) -> list[str]:
    """What a run evaluates where nobody says: the test splits of the families it trains on.

    Args:
        benchmark, data: the settings, still unchecked.

    Returns:
        Nothing where nothing is trained on, or the settings are wrong: the check says so.

    Raises:
        UsageError: none of what is trained on has a test split that is known here.
    """
    from reasonbench.benchmarks.builtin_training import FAMILIES

    given = [benchmark] if isinstance(benchmark, str) else benchmark
    named = [str(name) for name in given] if isinstance(given, (list, tuple)) else []
    families = [name.partition(":")[0].removesuffix("-train") for name in named]
    splits = {f"builtin-{family}" for family in FAMILIES}
    found = list(dict.fromkeys(name for name in families if name in splits))
    if (named or data) and not found:
        raise UsageError("say what to evaluate on: --eval-benchmark NAME")
    return found


async def _train(config: GrpoConfig, folder: Path, *, resume: bool, quiet: bool) -> int:
    """Trains and tells how it ended; the exit code."""
    from reasonbench.cli.terminal import terminal
    from reasonbench.cli.train_progress import TrainProgress
    from reasonbench.engines.base import EngineError
    from reasonbench.trainers.grpo import train_async
    from reasonbench.trainers.sft import TrainingDiverged
    from reasonbench.trainers.verify import StaleEngineError

    stop = asyncio.Event()
    with TrainProgress(terminal(stderr=True, quiet=quiet), config.steps, quiet=quiet) as progress:
        _stop_on_interrupt(stop, progress)
        watcher: Watcher = progress
        try:
            done = await train_async(config, folder, watcher, resume=resume, stop=stop)
        except (TrainingDiverged, StaleEngineError, EngineError) as error:
            kept = folder / "checkpoint.pt"
            left = f" {kept} holds the last checkpoint." if kept.is_file() else ""
            raise click.ClickException(f"{str(error).rstrip('.')}.{left}") from error
    if done.why == "interrupted":
        click.echo(f"stopped after step {done.steps}. {_how_to_resume(folder)}", err=True)
        return 130
    if not quiet:
        click.echo(_said(done))
    return 0


def _follow(config: GrpoConfig, folder: Path) -> int:
    """What the other processes of several do; the exit code.

    A signal is passed on to the first one, which stops after its step; a broken connection ends
    everybody.
    """
    from reasonbench.trainers.rl_team import LeaderLostError, follow

    seen: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: seen.append(number))
    try:
        done = follow(config, folder, lambda: bool(seen))
    except LeaderLostError:
        return 1  # it has said why
    return int(done is None)


def _said(done: Trained) -> str:
    """How the run ended, in a sentence or two."""
    ended = f"wrote {done.folder} after {done.steps} steps"
    if done.why == "patience":
        ended += " (no evaluation was better for long)"
    if done.best is None:
        return ended
    best = done.best
    return (
        f"{ended}\nbest: {best.benchmark} {best.strategy} {100 * best.accuracy:.1f} % at step "
        f"{best.step}, kept in {done.folder / 'best'}"
    )


def _stop_on_interrupt(stop: asyncio.Event, progress: TrainProgress) -> None:
    """The first Ctrl-C or SIGTERM stops after the step in progress; a second one ends it all.

    Under `torchrun`, which sends what it gets and kills half a minute later, only the latter does.
    """
    from reasonbench.trainers.ranks import world_size

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    alone = world_size() == 1

    def first(which: signal.Signals) -> None:
        for each in signals if alone or not progress.started else ():
            loop.remove_signal_handler(each)
        if not progress.started:  # nothing is done yet, and an engine cannot be hurried
            signal.raise_signal(which)
            return
        if not stop.is_set():
            click.echo("stopping after this step …", err=True)
        stop.set()

    for each in signals:
        loop.add_signal_handler(each, first, each)


def _check_folder(folder: Path, resume: bool) -> None:
    """Nothing that exists is overwritten, and a run that can go on is not begun anew.

    Raises:
        UsageError: with what to do.
    """
    from reasonbench.runs import is_run

    if resume and not is_run(folder):
        raise UsageError(f"there is no run to resume in {folder}")
    if not resume and (folder / "checkpoint.pt").is_file():
        raise UsageError(f"{folder} holds an unfinished run: add --resume, or choose another --out")
    trained = [*folder.glob("*.safetensors*"), *folder.glob("training.json")]
    if trained and not (folder / "checkpoint.pt").is_file():
        raise UsageError(f"{folder} already holds a trained model: choose another --out")


def _how_to_resume(folder: Path) -> str:
    """The same command, with the folder that it made or was given."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    if not any(w == "--out" or w.startswith("--out=") for w in words):
        words += ["--out", str(folder)]
    return f"Resume with: reasonbench {shlex.join([*words, '--resume'])}"
