"""The curves of training runs as points: what is drawn together, smoothed or thinned or neither."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from reasonbench.reports.training import Axis, Training

THIN = 800
"""Most points of a drawn line: of more, the least and the greatest of each stretch are kept."""


class Panel(NamedTuple):
    """Metrics that belong into one picture.

    Attributes:
        name: of its file.
        title, unit: what stands above it and beside it.
        metrics: with what they are called; a name that ends in `/` stands for all that begin so.
        form: how numbers stand at the axis (a format of d3), or "" for as they are.
        zero: the axis begins at zero.
        band: metrics come in threes; the first and the third bound a band around the second.
    """

    name: str
    title: str
    unit: str
    metrics: tuple[tuple[str, str], ...]
    form: str = ""
    zero: bool = False
    band: bool = False


PANELS = (
    Panel("reward", "Reward by component", "mean of a roll-out",
          (("reward", "sum"), ("reward/", ""))),
    Panel("accuracy-training", "Accuracy of roll-outs", "share right",
          (("accuracy", "roll-outs"),), form="~%"),
    Panel("length", "Response length: p10, p50, p90", "tokens",
          (("length_p10", "p10"), ("length_p50", "p50"), ("length_p90", "p90")),
          form="~s", zero=True, band=True),
    Panel("length-by-verdict", "Response length by verdict", "mean tokens",
          (("length", "all"), ("length_correct", "right"), ("length_wrong", "wrong"),
           ("length_truncated", "truncated")), form="~s", zero=True),
    Panel("length-spread", "Response length by verdict: p10, p50, p90", "tokens",
          tuple((f"length_{outcome}_p{q}", called)
                for outcome, called in (("correct", "right"), ("wrong", "wrong"),
                                        ("truncated", "truncated"))
                for q in (10, 50, 90)),
          form="~s", zero=True, band=True),
    Panel("truncated", "Truncated responses", "share of roll-outs",
          (("truncated", "truncated"),), form="~%", zero=True),
    Panel("entropy", "Entropy of the policy", "nats a token", (("entropy", "entropy"),)),
    Panel("kl", "Divergence from the reference", "KL, nats a token", (("kl", "KL"),)),
    Panel("clip", "Clipped ratios", "share of tokens",
          (("clip_low", "below"), ("clip_high", "above")), form="~%", zero=True),
    Panel("ratio", "Largest importance ratio", "π / π_old", (("ratio_max", "largest ratio"),)),
    Panel("mismatch", "Engine against trainer", "mean gap, nats a token",
          (("mismatch", "roll-outs"), ("verify_gap", "after a push")), zero=True),
    Panel("groups", "Groups without variance", "share of groups",
          (("groups_flat", "flat groups"),), form="~%", zero=True),
    Panel("reflection", "Reflection words", "a response", (("reflection", "reflection"),),
          zero=True),
    Panel("loss", "Loss", "loss", (("loss", "loss"),)),
    Panel("gradient", "Gradient norm before clipping", "norm", (("grad_norm", "norm"),),
          zero=True),
    Panel("rate", "Learning rate", "rate", (("lr", "rate"),), form="~e", zero=True),
    Panel("seconds", "Time of a step", "seconds",
          (("rollout_seconds", "roll-outs"), ("train_seconds", "update"), ("push_seconds", "push"),
           ("verify_seconds", "verification")), zero=True),
    Panel("staleness", "Staleness of roll-outs", "weight versions", (("staleness", "staleness"),),
          zero=True),
)  # fmt: skip
"""What a trainer logs, as ALGORITHMS of training runs ask for it to be drawn."""

_OF_BATCH = (
    "reward",
    "accuracy-training",
    "length",
    "length-by-verdict",
    "length-spread",
    "truncated",
    "reflection",
)
_KEPT = "of the groups trained on: those without variance are left out"

CLOCKS = frozenset(
    {
        "tokens", "tokens_rollout", "tokens_trained", "flops", "seconds", "gpu_seconds",
        "weight_version", "eval_seconds", "eval_tokens", "cpu_seconds",
    }
)  # fmt: skip
"""Metrics that only count on: curves are drawn against them."""


class Point(NamedTuple):
    """A point of a drawn line."""

    run: str
    series: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    raw: bool = False
    """Of the line behind a smoothed one."""


class Drawn(NamedTuple):
    """One picture's points."""

    panel: Panel
    points: tuple[Point, ...]
    evaluated: bool = False
    """Of evaluations: few, each with an interval or none."""
    note: str = ""
    """What must be known of its numbers."""
    stages: tuple[tuple[float, str], ...] = ()
    """Where stages of training begin, and their names."""

    @property
    def named(self) -> bool:
        """Whether it is one that is looked for, and not of a metric that only this trainer has."""
        return self.evaluated or self.panel in PANELS


def drawn(runs: Sequence[Training], axis: Axis, smooth: int = 1) -> list[Drawn]:
    """Every picture that the runs have points for.

    Args:
        smooth: each point of a metric is the mean of so many logged values up to it; evaluations
            are never smoothed.
    """
    found = [*_evaluations(runs, axis)]
    found += (_metrics(panel, runs, axis, smooth) for panel in panels(runs))
    marks = tuple(
        (place, stage.name)
        for run in runs
        for stage in run.stages
        if (place := run.places(axis)(stage.step)) is not None
    )
    return [picture._replace(stages=marks) for picture in found if picture.points]


def known_axes(runs: Sequence[Training], axes: Sequence[Axis]) -> list[Axis]:
    """The axes on which every run stands somewhere."""
    return [axis for axis in axes if all(run.places(axis)(1 << 62) is not None for run in runs)]


def _evaluations(runs: Sequence[Training], axis: Axis) -> Iterator[Drawn]:
    several = len({e.benchmark for run in runs for e in run.evaluations}) > 1
    accuracy: list[Point] = []
    length: list[Point] = []
    for run in runs:
        place = run.places(axis)
        for e in run.evaluations:
            x, series = place(e.step), f"{e.benchmark} {e.strategy}" if several else e.strategy
            if x is None:
                continue
            accuracy.append(Point(run.name, series, x, e.accuracy, e.low, e.high))
            if e.length is not None:
                length.append(Point(run.name, series, x, e.length))
    named = sorted({e.benchmark for run in runs for e in run.evaluations})
    of = f" on {named[0]}" if len(named) == 1 else ""
    yield Drawn(
        Panel("accuracy", f"Accuracy{of}", "accuracy, 95 % interval", (), form="~%"),
        tuple(accuracy),
        True,
    )
    yield Drawn(
        Panel(
            "accuracy-length",
            f"Length of evaluated answers{of}",
            "mean tokens",
            (),
            form="~s",
            zero=True,
        ),
        tuple(length),
        True,
    )


def panels(runs: Sequence[Training]) -> list[Panel]:
    """Those that are looked for, then one for each metric that none of them has."""
    return [*PANELS, *_others(runs)]


def _others(runs: Sequence[Training]) -> list[Panel]:
    """Panels of metrics that no other panel has: nothing that was logged stays unseen."""
    known = {name for panel in PANELS for name, _ in panel.metrics} | CLOCKS
    prefixes = tuple(name for name in known if name.endswith("/"))
    names = sorted({name for run in runs for name in run.metrics} - known)
    return [
        Panel(name.replace("/", "-"), name.replace("_", " ").capitalize(), "", ((name, name),))
        for name in names
        if not name.startswith(prefixes)
    ]


def _metrics(panel: Panel, runs: Sequence[Training], axis: Axis, smooth: int) -> Drawn:
    points: list[Point] = []
    for run in runs:
        place = run.places(axis)
        starts = [x for stage in run.stages if (x := place(stage.step)) is not None]
        for called, names in series(panel, run):
            lines = [_line(run, name, place) for name in names]
            middle = lines[len(lines) // 2]
            if smooth > 1:
                points += (Point(run.name, called, x, y, raw=True) for x, y in thinned(middle))
                lines = [smoothed(line, smooth, starts) for line in lines]
            points += _band(run, called, lines) if panel.band else (
                Point(run.name, called, x, y) for x, y in thinned(lines[0])
            )  # fmt: skip
    return Drawn(panel, tuple(points), note=note_of(panel, runs))


def note_of(panel: Panel, runs: Sequence[Training]) -> str:
    """What must be known of a panel's numbers."""
    return _KEPT if panel.name in _OF_BATCH and any(run.filtered for run in runs) else ""


def series(panel: Panel, run: Training) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is drawn of a run: what it is called, and its metric, or the three of a band."""
    known = set(run.metrics)
    if panel.band:
        for at in range(0, len(panel.metrics), 3):
            names = tuple(name for name, _ in panel.metrics[at : at + 3])
            if known.issuperset(names):
                yield panel.metrics[at + 1][1], names
        return
    for name, called in panel.metrics:
        if not name.endswith("/"):
            if name in known:
                yield called, (name,)
            continue
        for metric in run.metrics:
            if metric.startswith(name):
                yield metric.removeprefix(name), (metric,)


Line = list[tuple[float, float]]


def _line(run: Training, name: str, place: Callable[[int], float | None]) -> Line:
    found: Line = []
    for step in run.steps:
        y, x = step.metrics.get(name), place(step.step)
        if x is not None and y is not None and math.isfinite(y):
            found.append((x, y))
    return found


def _band(run: Training, called: str, lines: Sequence[Line]) -> Iterator[Point]:
    low, middle, high = (dict(line) for line in lines)
    xs = [x for x in middle if x in low and x in high]
    for x in xs[:: max(1, len(xs) // THIN)]:
        yield Point(run.name, called, x, middle[x], low[x], high[x])


def smoothed(line: Line, span: int, starts: Sequence[float] = ()) -> Line:
    """The mean of the last `span` values at each point, of fewer at the beginning.

    Args:
        starts: where stages begin: no mean reaches back over one.
    """
    found, kept, ahead = Line(), deque[float](maxlen=span), sorted(starts, reverse=True)
    for x, y in line:
        while ahead and x > ahead[-1]:
            ahead.pop()
            kept.clear()
        kept.append(y)
        found.append((x, math.fsum(kept) / len(kept)))
    return found


def thinned(line: Line, most: int = THIN) -> Line:
    """At most about `most` points, peaks and dips among them; the ends stay."""
    if len(line) <= most:
        return line
    size = math.ceil(2 * len(line) / most)
    kept: dict[int, tuple[float, float]] = {0: line[0]}
    for start in range(0, len(line), size):
        stretch = range(start, min(start + size, len(line)))
        for index in sorted({min(stretch, key=_height(line)), max(stretch, key=_height(line))}):
            kept[index] = line[index]
    kept[len(line) - 1] = line[-1]
    return list(kept.values())


def _height(line: Line) -> Callable[[int], float]:
    return lambda index: line[index][1]
