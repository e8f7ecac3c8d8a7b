"""`reasonbench eval`: models × strategies × benchmarks → a run and a table."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reasonbench.config import EvalConfig, make, read_recipe
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.evaluate import Evaluated


DATA = "REASONBENCH_DATA"
"""Environment variable that names the folder of benchmark files where nothing else does."""


@click.command(name="eval")
@click.argument("recipe", required=False)
@click.option(
    "--model", "-m", multiple=True, help="Folder, hub id, 'builtin' or openai:NAME. Repeats."
)
@click.option("--benchmark", "-b", multiple=True, help="Name, or a file of your own. Repeats.")
@click.option("--strategy", "-s", multiple=True, help="name@n:option=value,… Repeats.")
@click.option("-n", "n", type=int, help="Samples of strategies without @n.")
@click.option("--protocol", help="Preset of sampling settings (list protocols).")
@click.option("--data", type=click.Path(path_type=Path),
              help="Folder of local benchmark files (or REASONBENCH_DATA).")  # fmt: skip
@click.option("--prompt-field", help="Field of the problem in a file of your own.")
@click.option("--answer-field", help="Field of the gold answer in it.")
@click.option("--id-field", help="Field of the problem's id in it.")
@click.option("--level-field", help="Field of the difficulty in it.")
@click.option("--subject-field", help="Field of the category in it.")
@click.option("--limit", type=int, help="Take the fixed subset of this many problems.")
@click.option("--shard", metavar="I/N", help="Ask the I-th of N parts (see `merge`).")
@click.option("--seed", type=int, help="Seed of the run (default 0).")
@click.option("--system", help="System prompt.")
@click.option("--chat/--no-chat", default=None, help="Chat template, or plain text.")
@click.option("--engine", help="auto, vllm, transformers, replay, openai or ray.")
@click.option("--replicas", type=int, help="vLLMs that serve the model, one per Ray actor.")
@click.option("--ray", metavar="ADDRESS", help="Ray cluster: HOST:PORT or auto (one started here).")
@click.option(
    "--base-url", multiple=True, help="URL of a served model (openai:NAME), or several. Repeats."
)
@click.option("--api-key-env", help="Variable that holds the servers' key (OPENAI_API_KEY).")
@click.option("--tokenizer", help="Folder or hub id of the tokenizer, if not the model's own.")
@click.option("--revision", help="Revision of a hub model.")
@click.option("--dtype", help="Number format of computation.")
@click.option("--quantization", help="Quantisation method to load with.")
@click.option("--lora", help="Folder of a LoRA adapter.")
@click.option("--max-model-len", type=int, help="Most tokens of prompt and completion.")
@click.option(
    "--engine-arg", multiple=True, metavar="KEY=VALUE", help="Backend option as it is. Repeats."
)
@click.option("--trust-remote-code", is_flag=True, default=None, help="Run a hub model's code.")
@click.option("--reward", help="Model that judges: builtin-prm, builtin-orm, folder or hub id.")
@click.option("--reward-kind", help="How it is spoken to (list rewards); recognised by default.")
@click.option("--reward-engine", help="auto, vllm or transformers.")
@click.option("--reward-revision", help="Revision of a hub reward.")
@click.option(
    "--reward-arg", multiple=True, metavar="KEY=VALUE", help="Option of the reward. Repeats."
)
@click.option("--reward-memory", type=float, help="Its share of a GPU's memory.")
@click.option(
    "--budget", type=int, help="Policy-equivalent tokens a problem that stop every strategy."
)
@click.option("--grading-workers", type=int, help="Processes for symbolic grading.")
@click.option("--gpu-price", type=float, help="US dollars per GPU-hour.")
@click.option("--gpus", type=int, help="GPUs that the price counts for.")
@click.option("--price-in", type=float, help="US dollars per million prompt tokens (served).")
@click.option("--price-out", type=float, help="US dollars per million generated tokens.")
@click.option("--max-in-flight", type=int, help="Requests given to the engine at once.")
@click.option(
    "--max-minutes", type=float, help="Stop generating after this many minutes; resumable."
)
@click.option("--max-usd", type=float, help="Stop when this call has spent so much; resumable.")
@click.option("--watch", type=click.Path(path_type=Path),
              help="Evaluate each checkpoint that a trainer writes below this folder.")  # fmt: skip
@click.option("--watch-until", type=int, help="Stop after the checkpoint of this step.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder (runs/<time>-<model>).")
@click.option("--dry-run", is_flag=True, help="Print the configuration and what it would take.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no table.")
def command(
    recipe: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Evaluate models with strategies on benchmarks.

    Without arguments: the built-in model on the built-in benchmarks, offline. RECIPE is @FILE.toml
    with any of the settings; options override it. Running the same command again into the same
    --out resumes it.
    """
    config = configuration(recipe, options)
    out, folders = run_folders(config, out)
    if dry_run:
        _dry_run(config, folders, as_json)
        return 0
    if config.watch is not None:
        from reasonbench.cli.watch import watch

        return asyncio.run(watch(config, out, as_json=as_json, quiet=quiet))
    return asyncio.run(_evaluate(config, out, folders, as_json=as_json, quiet=quiet))


def configuration(recipe: str | None, options: Mapping[str, Any]) -> EvalConfig:
    """The recipe's settings under the options that were given."""
    return make(overridden({} if recipe is None else _recipe(recipe), options))


def overridden(values: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under those of the command line's options that were given."""
    fields = _table(values, "fields")
    for name in ("prompt", "answer", "id", "level", "subject"):
        if (value := options.get(f"{name}_field")) is not None:
            fields[name] = value
    if fields:
        values["fields"] = fields
    for name, value in options.items():
        if name.endswith("_field") or value is None or value == ():
            continue
        if name in ("engine_arg", "reward_arg"):
            pairs = (_key_value(name, text) for text in value)
            values[name] = _table(values, name) | dict(pairs)
        else:
            values[name] = list(value) if isinstance(value, tuple) else value
    if DATA in os.environ:
        values.setdefault("data", os.environ[DATA])
    return values


def _recipe(argument: str) -> dict[str, Any]:
    if not argument.startswith("@"):
        raise UsageError(f"unexpected argument {argument!r}: a recipe is given as @FILE.toml.")
    return read_recipe(Path(argument[1:]))


def _table(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name, {})
    if not isinstance(found, Mapping):
        raise UsageError(f"{name} should be a table of settings (got {found!r}).")
    return dict(found)


def _key_value(option: str, text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value read as JSON where it is JSON and as text elsewhere."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        option = option.replace("_", "-")
        raise UsageError(f"--{option} {text!r} is not of the form KEY=VALUE.")
    try:
        return key.replace("-", "_"), json.loads(value)
    except json.JSONDecodeError:
        return key.replace("-", "_"), value


def run_folders(config: EvalConfig, out: Path | None) -> tuple[Path, list[Path]]:
    """OUT, and each model's run: OUT itself for one, a folder below it for each of several.

    Raises:
        UsageError: several models below a folder that is a run itself.
    """
    names = [_slug(model) for model in config.model]
    if out is None:
        name = names[0] if len(names) == 1 else f"{len(names)}-models"
        shard = "" if config.shard is None else f"-{config.shard.replace('/', '-of-')}"
        out = run_folder(name + shard)
    if len(names) == 1:
        return out, [out]
    from reasonbench.runs import is_run

    if is_run(out):
        raise UsageError(f"{out} is the run of one model: give another folder for several.")
    if len(set(names)) < len(names):
        names = [f"{index + 1}-{name}" for index, name in enumerate(names)]
    return out, [out / name for name in names]


def run_folder(name: str) -> Path:
    """A new folder below runs/, named by the time and what is run."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{_slug(name)}"
    folder, count = Path("runs") / stem, 2
    while folder.exists():
        folder, count = Path("runs") / f"{stem}-{count}", count + 1
    return folder


def _slug(model: str) -> str:
    parts = [p for p in model.strip("/").split("/") if p]
    return re.sub(r"[^\w.-]+", "-", parts[-1] if parts else "model").strip("-.") or "model"


async def _evaluate(
    config: EvalConfig, out: Path, folders: Sequence[Path], *, as_json: bool, quiet: bool
) -> int:
    from reasonbench.cli.progress import EvalProgress
    from reasonbench.cli.table import print_results
    from reasonbench.cli.terminal import terminal
    from reasonbench.engines.base import EngineDeadError
    from reasonbench.evaluate import check_models, evaluate, spending_of

    spending = spending_of(config)
    if len(folders) > 1:
        check_models(config)
    console = terminal(quiet=quiet or as_json)
    said = terminal(stderr=True, quiet=quiet)
    stop = asyncio.Event()
    generating = asyncio.Event()
    stop_on_interrupt(stop, generating)
    results: list[Mapping[str, Any]] = []
    ended: str | None = None
    failure: UsageError | EngineDeadError | None = None
    for model, folder in zip(config.model, folders, strict=True):
        one = config.model_copy(update={"model": [model]})
        with EvalProgress(said, generating, quiet=quiet) as progress:
            try:
                done = await evaluate(one, folder, progress, stop=stop, spending=spending)
            except (UsageError, EngineDeadError) as error:
                failure = error
                break
        results.append(done.results)
        for sentence in _told(done):
            said.print(sentence, style="dim", soft_wrap=True)
        if done.outcome.stopped:
            ended = done.outcome.stopped
            break
    if as_json and results:
        click.echo(json.dumps(results[0] if len(folders) == 1 else results, ensure_ascii=False))
    elif results:
        console.print()
        print_results(console, results)
        console.print(f"\nwritten to {out}", soft_wrap=True)
    if isinstance(failure, EngineDeadError):
        click.echo(f"reasonbench: the engine died: {failure} {how_to_resume(out)}", err=True)
        return 1
    if failure is not None:
        at = f"{config.model[len(results)]}: " if len(folders) > 1 else ""
        raise UsageError(f"{at}{failure}")
    if ended is None:
        return 0
    if ended == "interrupted" or not quiet:
        click.echo(f"stopped early ({ended}). {how_to_resume(out)}", err=True)
    return 130 if ended == "interrupted" else 0


def _told(done: Evaluated) -> Iterator[str]:
    """What is said of a run besides its table."""
    if done.notice:
        yield f"note: {done.notice}"
    spent, model = done.outcome, done.results["model"]
    if done.startup_seconds is None:
        yield f"every completion is in {done.folder} already"
        return
    speed = ""
    if spent.seconds and spent.usage.decode_tokens:
        speed = f" ({spent.usage.decode_tokens / spent.seconds:,.0f} tokens/s)"
    yield (
        f"engine {model['engine']} {model['engine_version']} ready in "
        f"{done.startup_seconds:.1f} s; {spent.usage.requests:,} requests, "
        f"{spent.usage.decode_tokens:,} tokens in {spent.seconds:.1f} s{speed}"
    )
    if spent.usage.reward_tokens:
        yield (
            f"reward {done.results['reward']['name']}: {spent.usage.reward_tokens:,} tokens "
            f"computed, {spent.usage.reward_cached_tokens:,} read from its cache"
        )
    if spent.failed:
        failed = "1 request" if spent.failed == 1 else f"{spent.failed:,} requests"
        yield f"note: {failed} failed and are ungraded ({spent.failure})."
    if spent.searches_failed:
        searches = (
            "1 search" if spent.searches_failed == 1 else f"{spent.searches_failed:,} searches"
        )
        yield f"note: {searches} failed and are ungraded ({spent.search_failure})."
    if spent.unscored:
        refused = "1 completion" if spent.unscored == 1 else f"{spent.unscored:,} completions"
        yield f"note: the reward could not score {refused} ({spent.unscored_why})."


def stop_on_interrupt(stop: asyncio.Event, generating: asyncio.Event) -> None:
    """The first Ctrl-C or SIGTERM stops cleanly; a second one, or one at start-up, ends it all."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def first(which: signal.Signals) -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        if not generating.is_set():  # nothing is finished yet, and an engine cannot be hurried
            signal.raise_signal(which)
            return
        stop.set()
        click.echo("stopping: finished completions are being written …", err=True)

    for each in signals:
        loop.add_signal_handler(each, first, each)


def how_to_resume(folder: Path) -> str:
    """The same command, with the folder that it made or was given."""
    words = sys.argv[1:]
    if not any(w == "--out" or w.startswith("--out=") for w in words):
        words += ["--out", str(folder)]
    return f"Resume with: reasonbench {shlex.join(words)}"


def _dry_run(config: EvalConfig, folders: Sequence[Path], as_json: bool) -> None:
    import tomli_w

    from reasonbench import plan
    from reasonbench.config import as_toml
    from reasonbench.strategies import spell

    said: list[dict[str, Any]] = []
    for model, folder in zip(config.model, folders, strict=True):
        for task in plan.make(config, model):
            prompt = sum(len(p.question.text) for p in task.problems) / 4
            said.append(
                {
                    "model": model,
                    "out": str(folder),
                    "benchmark": task.benchmark.name,
                    "source": task.loaded.source,
                    "problems": len(task.problems),
                    "protocol": task.protocol,
                    "strategies": [spell(s) for s, _ in task.strategies],
                    "pools": {p.id: {**p.recorded, "n": p.n} for p in task.pools},
                    "deviations": list(task.deviations),
                    "notes": list(task.notes),
                    "requests": task.requests,
                    "searches": task.searches,
                    "prompt_tokens_estimated": round(prompt) * len(task.pools),
                    "decode_tokens_at_most": sum(
                        p.n * p.sampling.max_tokens * len(task.problems) for p in task.pools
                    ),
                }
            )
    if as_json:
        click.echo(json.dumps({"config": as_toml(config), "plan": said}, ensure_ascii=False))
        return
    click.echo(tomli_w.dumps(as_toml(config)))
    for item in said:
        click.echo(
            f"{item['model']} on {item['benchmark']}: {item['problems']} problems "
            f"({item['source']}), {item['requests']:,} requests, "
            + (f"{item['searches']:,} searches, " if item["searches"] else "")
            + "about "
            f"{item['prompt_tokens_estimated']:,} prompt tokens before templates, at most "
            f"{item['decode_tokens_at_most']:,} decoded tokens -> {item['out']}"
        )
        for sentence in item["deviations"]:
            click.echo(f"  note: deviates from {sentence}")
        for sentence in item["notes"]:
            click.echo(f"  note: {sentence}")
