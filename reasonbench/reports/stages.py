"""Several trainings, each on the weights of the one before, as one line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from reasonbench.reports.panels import CLOCKS
from reasonbench.reports.training import Evaluated, Stage, Step, Training

RECIPE = "recipe.toml"
"""What a chain of stages keeps of its recipe, in its folder."""

_NO_SUM = frozenset({"weight_version"})


def stage_order(folder: Path) -> list[str]:
    """Names of a chain's stages, which are names of folders in it; none where it is no chain."""
    try:
        recipe = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))
        return [str(stage["name"]) for stage in recipe["stage"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def joined(stages: Sequence[Training], name: str) -> Training:
    """One training of several, in their order.

    Steps and clocks of each stage go on where the last one ended. A clock that some stage with
    steps does not log is left out: nothing says how long that stage took.

    Args:
        name: in legends.
    """
    logged = [set(stage.metrics) for stage in stages if stage.steps]
    clocks = {c for c in CLOCKS - _NO_SUM if all(c in metrics for metrics in logged)}
    steps: list[Step] = []
    evaluations: list[Evaluated] = []
    marks: list[Stage] = []
    before = dict.fromkeys(clocks, 0.0)
    first = 0
    for stage in stages:
        marks.append(Stage(first, stage.name))
        ends = dict(before)
        for step in stage.steps:
            metrics = {k: v for k, v in step.metrics.items() if k not in CLOCKS}
            for clock in clocks & step.metrics.keys():
                metrics[clock] = ends[clock] = before[clock] + step.metrics[clock]
            steps.append(Step(first + step.step, step.weight_version, metrics))
        evaluations += (e._replace(step=first + e.step) for e in stage.evaluations)
        last = [s.step for s in stage.steps[-1:]] + [e.step for e in stage.evaluations[-1:]]
        first, before = first + max(last, default=0), ends
    return Training(
        name,
        _without_repeats(steps),
        tuple(evaluations),
        next((s.gpu_price for s in stages if s.gpu_price is not None), None),
        any(stage.filtered for stage in stages),
        tuple(marks),
    )


def _without_repeats(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Step 0 of a stage (its first evaluation) is the last step of the one before."""
    found: dict[int, Step] = {}
    for step in steps:
        earlier = found.get(step.step)
        if earlier is not None:
            step = step._replace(metrics={**earlier.metrics, **step.metrics})
        found[step.step] = step
    return tuple(found.values())
