"""`reasonbench distill`: what a teacher writes and a grader accepts, as training data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reasonbench.cli.eval import command as eval_command
from reasonbench.cli.eval import how_to_resume, overridden, run_folder, stop_on_interrupt
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.distill import DistillConfig, Distilled

TEACHER = (
    "model", "benchmark", "strategy", "n", "protocol", "data", "prompt_field", "answer_field",
    "id_field", "level_field", "subject_field", "limit", "seed", "system", "chat", "engine",
    "revision", "dtype", "quantization", "lora", "max_model_len", "engine_arg",
    "trust_remote_code", "base_url", "api_key_env", "tokenizer", "reward", "reward_kind",
    "reward_engine", "reward_revision", "reward_arg", "reward_memory", "budget", "grading_workers",
    "price_in", "price_out", "max_in_flight", "max_minutes", "max_usd",
)  # fmt: skip
"""Options of `reasonbench eval` that say what the teacher is asked; they mean the same here."""

_ALONE = ("data", "grading_workers")
"""Options of these that do not ask for anything to be sampled."""


def _teacher_options(command: Callable[..., int]) -> Callable[..., int]:
    known = {param.name: param for param in eval_command.params}
    params: list[click.Parameter] = [known[name] for name in TEACHER]
    own: list[click.Parameter] = getattr(command, "__click_params__", [])
    # click lists decorated options last to first
    # click keeps them on the function until it makes a command of it
    command.__click_params__ = [*own, *reversed(params)]  # type: ignore[attr-defined]
    return command


@click.group(name="distill", invoke_without_command=True, subcommand_metavar="[export|import]")
@_teacher_options
@click.option("--recipe", type=click.Path(path_type=Path), help="TOML file of settings.")
@click.option("--run", multiple=True, type=click.Path(path_type=Path),
              help="Read this run too; alone, nothing is sampled. Repeats.")  # fmt: skip
@click.option("--exemplars", type=click.Path(path_type=Path),
              help="File of long worked examples for few-shot prompts.")  # fmt: skip
@click.option("--shots", type=int, help="How many of them stand before a question.")
@click.option("--cap", type=int, help="Most rows of a problem (default 4; 0: all).")
@click.option("--prefer", help="random, first, shortest, longest or diverse.")
@click.option("--near", type=float, help="n-gram similarity of near duplicates (default 0.8).")
@click.option("--readable", is_flag=True, help="Keep what a person can read (docs).")
@click.option("--rewrite-model", help="Second model that reformats into <think> and a summary.")
@click.option("--rewrite-engine", help="auto, vllm, transformers, replay or openai.")
@click.option("--rewrite-base-url", multiple=True,
              help="URL of a served second model (the teacher's). Repeats.")  # fmt: skip
@click.option("--rewrite-prompt", type=click.Path(path_type=Path),
              help="File with its request ({question}, {response}).")  # fmt: skip
@click.option("--journey", is_flag=True, help="Also walk wrong branches of searches.")
@click.option("--ask", help="A row's prompt: step, bare or sampled.")
@click.option("--form", help="A row's form: auto, messages or prompt.")
@click.option("--student", help="Model to be trained: its chat template decides the form.")
@click.option("--mix", multiple=True, metavar="FILE:SHARE", help="General data. Repeats.")
@click.option("--against", multiple=True, metavar="BENCHMARK",
              help="Warn of problems that overlap with it. Repeats.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Any setting: select.ngram=8, readable.summary=false. Repeats.")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder (runs/<time>-distill-<model>)."
)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no table.")
def command(**options: Any) -> int:
    """Make training data of what a teacher writes and the grader accepts.

    Without arguments: the built-in model on training problems of built-in arithmetic. Writes
    OUT/data.jsonl, which `reasonbench train sft --data` reads, OUT/rejects.jsonl with a reason for
    each, and OUT/summary.json. Running the same command again goes on where it was killed; other
    settings of the selection sample nothing anew.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return 0
    config = configuration(options)
    out: Path | None = options["out"]
    if out is None:
        model = config.run[0].name if config.generate is None else config.generate.model[0]
        out = run_folder(f"distill-{Path(model).name or 'model'}")
    quiet, as_json = options["quiet"], options["as_json"]
    return asyncio.run(_distill(config, out, as_json=as_json, quiet=quiet))


@command.command(name="export")
@click.argument("out", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("sheet", type=click.Path(path_type=Path))
@click.option("--rejects", is_flag=True, help="The rejects, to mend them, instead of the rows.")
@click.option("--limit", type=click.IntRange(1), help="The first rows only.")
def export(out: Path, sheet: Path, rejects: bool, limit: int | None) -> None:
    """Write rows to SHEET (.md or .jsonl) for a person to edit."""
    from reasonbench.distill.human import export_sheet

    if sheet.exists():
        raise UsageError(f"{sheet} exists already, perhaps with edits: give another name.")
    count = export_sheet(out, sheet, rejects=rejects, limit=limit)
    click.echo(f"wrote {count:,} rows to {sheet}", err=True)


@command.command(name="import")
@click.argument("out", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("sheet", type=click.Path(path_type=Path))
@click.option("--drop-missing", is_flag=True, help="Drop rows that the sheet does not name.")
@click.option("--grading-workers", type=click.IntRange(1, 256), default=1, help="Processes.")
def import_(out: Path, sheet: Path, drop_missing: bool, grading_workers: int) -> None:
    """Take an edited SHEET back: grade what changed, write OUT/edited.jsonl."""
    from reasonbench.distill.human import import_sheet

    done = asyncio.run(import_sheet(out, sheet, drop_missing=drop_missing, workers=grading_workers))
    said = ", ".join(f"{count:,} {what}" for what, count in done.counts.items())
    click.echo(f"wrote {done.rows:,} rows to {done.file} ({said})", err=True)


def configuration(options: Mapping[str, Any]) -> DistillConfig:
    """The recipe's settings under the options that were given.

    Raises:
        UsageError: an unknown setting, or settings that contradict each other.
    """
    from reasonbench.cli.train import assign
    from reasonbench.config import make
    from reasonbench.distill.config import BENCHMARK, STRATEGY, parse, read

    values = {} if options["recipe"] is None else read(options["recipe"])
    for setting in options["settings"]:
        assign(values, setting)
    _own(values, options)
    teacher = {name: options[name] for name in TEACHER}
    given = {k for k, v in teacher.items() if v not in (None, ()) and k not in _ALONE}
    if "generate" in values or given or not values.get("run"):
        settings = overridden(dict(_table(values, "generate")), teacher)
        settings.setdefault("benchmark", [BENCHMARK])
        settings.setdefault("strategy", [STRATEGY])
        if options["exemplars"] is not None:
            settings["strategy"] = list(
                _few_shot(settings["strategy"], options["exemplars"], options["shots"])
            )
        elif options["shots"] is not None:
            raise UsageError("--shots has no meaning without --exemplars.")
        values["generate"] = make(settings).model_dump()
    return parse(values)


def _own(values: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Puts the options that are distillation's own into the settings."""
    select = _table(values, "select")
    if options["cap"] is not None:
        select["cap"] = options["cap"]
    for name in ("prefer", "near"):
        if options[name] is not None:
            select[name] = options[name]
    if select:
        values["select"] = select
    rewrite = _table(values, "rewrite")
    for name in ("model", "engine", "prompt", "base_url"):
        if options[f"rewrite_{name}"] not in (None, ()):
            rewrite[name] = options[f"rewrite_{name}"]
    if rewrite:
        if "model" not in rewrite:
            raise UsageError("a second model needs a name: give --rewrite-model.")
        values["rewrite"] = rewrite
    for name in ("readable", "journey"):
        if options[name]:
            values.setdefault(name, {})
    for name in ("ask", "form", "student"):
        if options[name] is not None:
            values[name] = options[name]
    for name in ("run", "mix", "against"):
        if options[name]:
            values[name] = options[name]


def _table(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name, {})
    if not isinstance(found, Mapping):
        raise UsageError(f"{name} should be a table of settings (got {found!r}).")
    return dict(found)


def _few_shot(specs: Sequence[str] | str, path: Path, shots: int | None) -> Iterator[str]:
    """The strategies with these exemplars before the question."""
    if "," in str(path):
        raise UsageError(f"--exemplars {path}: a file with a comma in its name cannot be given.")
    options = f"prompt=few-shot,exemplars={path}" + (f",shots={shots}" if shots else "")
    for spec in [specs] if isinstance(specs, str) else specs:
        yield f"{spec}{',' if ':' in spec else ':'}{options}"


async def _distill(config: DistillConfig, out: Path, *, as_json: bool, quiet: bool) -> int:
    from reasonbench.cli.distill_table import print_summary
    from reasonbench.cli.progress import EvalProgress
    from reasonbench.cli.terminal import terminal
    from reasonbench.distill import distill
    from reasonbench.engines.base import EngineDeadError

    said = terminal(stderr=True, quiet=quiet)
    stop, generating = asyncio.Event(), asyncio.Event()
    stop_on_interrupt(stop, generating)
    try:
        with EvalProgress(said, generating, quiet=quiet) as progress:
            done = await distill(config, out, progress, stop=stop)
    except EngineDeadError as error:
        click.echo(f"reasonbench: the engine died: {error} {how_to_resume(out)}", err=True)
        return 1
    for sentence in _told(done):
        said.print(f"note: {sentence}", style="yellow", soft_wrap=True)
    if done.summary is None:
        click.echo(f"stopped early ({done.stopped}). {how_to_resume(out)}", err=True)
        return 130 if done.stopped == "interrupted" else 0
    if as_json:
        click.echo(json.dumps(done.summary, ensure_ascii=False))
    else:
        print_summary(terminal(quiet=quiet), done.summary, out)
    return 0


def _told(done: Distilled) -> Iterator[str]:
    """What the user should know besides the numbers."""
    if done.evaluated is not None:
        outcome = done.evaluated.outcome
        if done.evaluated.notice:
            yield done.evaluated.notice
        if outcome.failed:
            yield f"{outcome.failed:,} requests failed ({outcome.failure})."
        if outcome.searches_failed:
            yield f"{outcome.searches_failed:,} searches failed ({outcome.search_failure})."
    if done.rewrite_failed:
        yield f"{done.rewrite_failed:,} requests to the second model failed."
    if done.summary is None:
        return
    for one in done.summary["mixed"]:
        if one["rows"] == one["of"] and one["share"] < one["asked"] - 0.005:
            yield (
                f"{one['file']} has only {one['of']:,} rows: they make {100 * one['share']:.1f} % "
                f"instead of {100 * one['asked']:.1f} %."
            )
    if done.summary["overlap"]:
        yield from done.summary["overlap"]["warnings"]
