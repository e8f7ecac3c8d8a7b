"""The options of evaluation in the loop, and of the contamination check, which trainers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from reasonbench.errors import UsageError

Command = Callable[..., Any]


def evaluation_options(command: Command) -> Command:
    """Adds `--eval-every`, `--eval-strategy` and `--eval-benchmark`."""
    for option in (
        click.option(
            "--eval-benchmark", "eval_benchmarks", multiple=True, help="A benchmark by name. "
            "Repeats."
        ),
        click.option(
            "--eval-strategy", "eval_strategies", multiple=True, help="A strategy: cot@8. Repeats."
        ),
        click.option("--eval-every", type=int, help="Steps between two evaluations."),
    ):  # fmt: skip
        command = option(command)
    return command


def check_option(command: Command) -> Command:
    """Adds `--check-benchmark`."""
    return click.option(
        "--check-benchmark",
        "check_benchmarks",
        multiple=True,
        help="Warn where the data holds problems of this benchmark, beside those that are "
        "evaluated. Repeats.",
    )(command)


def take_evaluation(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Puts what the options say into the settings.

    Args:
        values: the settings so far, a recipe's.
        given: by name: `eval_every`, `eval_strategies`, `eval_benchmarks`, `check_benchmarks`;
            some may be missing.

    Raises:
        UsageError: the settings' `evaluation` is no table.
    """
    if given.get("check_benchmarks"):
        values["check_benchmarks"] = tuple(given["check_benchmarks"])
    chosen = {
        "every": given.get("eval_every"),
        "strategies": list(given.get("eval_strategies") or ()) or None,
        "benchmarks": list(given.get("eval_benchmarks") or ()) or None,
    }
    if all(value is None for value in chosen.values()):
        return
    evaluation = values.get("evaluation") or {}
    if not isinstance(evaluation, dict):
        raise UsageError(f"evaluation is {evaluation!r}, not a table: write [evaluation]")
    values["evaluation"] = evaluation | {k: v for k, v in chosen.items() if v is not None}


def needs_benchmark(values: Mapping[str, Any]) -> None:
    """For trainers whose data tells nothing of what to evaluate on.

    Raises:
        UsageError: evaluation is asked for, on nothing.
    """
    evaluation = values.get("evaluation")
    if isinstance(evaluation, Mapping) and not evaluation.get("benchmarks"):
        raise UsageError("say what to evaluate on: --eval-benchmark NAME")
