"""The command line: one file per command, loaded when it is called."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import click

from reasonbench import __version__
from reasonbench.errors import UsageError

COMMANDS = {
    "eval": ("reasonbench.cli.eval", "Evaluate models with strategies on benchmarks."),
    "score": ("reasonbench.cli.score", "Grade recorded completions, without any model."),
    "import": ("reasonbench.cli.import_", "Make a run of another harness's outputs."),
    "merge": ("reasonbench.cli.merge", "Make one run of the shards of an evaluation."),
    "show": ("reasonbench.cli.show", "Print a run: its table and its accuracy over k."),
    "frontier": (
        "reasonbench.cli.frontier",
        "Accuracy against compute: the Pareto set, and the optimal choice by difficulty.",
    ),
    "report": (
        "reasonbench.cli.report",
        "Write a report: leaderboard, charts and protocols as one HTML page.",
    ),
    "compare": (
        "reasonbench.cli.compare",
        "Compare two runs, steps or strategies on the same problems.",
    ),
    "curves": ("reasonbench.cli.curves", "Draw training runs: accuracy, length, reward, loss."),
    "view": ("reasonbench.cli.view", "Look at problems, solutions and searches in a browser."),
    "list": ("reasonbench.cli.list", "List benchmarks, strategies, engines or protocols."),
    "export": ("reasonbench.cli.export", "Write a run's table or samples to a file."),
    "serve": (
        "reasonbench.cli.serve",
        "Serve strategies as models to clients of OpenAI's API.",
    ),
    "doctor": ("reasonbench.cli.doctor", "Say what this machine offers, the sandbox included."),
    "distill": (
        "reasonbench.cli.distill",
        "Make training data of what a teacher writes and the grader accepts.",
    ),
    "train": ("reasonbench.cli.train", "Train models whose checkpoints are evaluated here."),
    "recipe": ("reasonbench.cli.recipe", "Run a chain of training stages, and evaluate each."),
}


class _Lazy(click.Group):
    """A group that imports a command only when it is used, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from reasonbench.errors import unknown

            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="reasonbench")
def cli() -> None:
    """Inference-time scaling and reasoning evaluation.

    `reasonbench eval` without arguments evaluates the built-in model, offline.
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line; errors of the user become one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # answers in any script must not end a command whose terminal cannot show them
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for word in sys.argv[1:] if argv is None else argv:
        if not word.isprintable() and any("\udc80" <= char <= "\udcff" for char in word):
            _fail(f"the argument {word!r} is not UTF-8, which is all that a run can write down.")
    try:
        code: Any = cli.main(args=argv, standalone_mode=False)
    except UsageError as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        _fail(_sentence(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `reasonbench … | head`
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:  # a full disk, a name that is too long
        where = f" {str(error.filename)[:200]!r}" if error.filename else ""
        _fail(f"the system refuses{where}: {error.strerror or error}.")
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: click.ClickException) -> str:
    """click's own message, on one line."""
    where = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split())
    hint = f" See `{where.command_path} --help`." if where is not None else ""
    return message + hint


def _fail(message: str) -> None:
    click.echo(f"reasonbench: {message}", err=True)
    sys.exit(2)
