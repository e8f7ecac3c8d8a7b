"""Rows of results.json as entries of the leaderboard, curves over k, and groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from reasonbench.errors import UsageError
from reasonbench.reports.chart_data import Accuracy, Curve, CurvePoint
from reasonbench.reports.data import Entry, GroupAccuracy
from reasonbench.results import RELIABILITY
from reasonbench.runs.tables import is_headline, model_label, strategy_label

Row = Mapping[str, Any]

NEEDED = frozenset(
    {
        "benchmark", "strategy", "options", "metric", "reward", "n", "k", "level", "subject",
        "accuracy", "interval", "bounds", "problems", "problems_dropped", "truncated",
        "no_answer", "ungraded",
    }
)  # fmt: skip
"""Fields that every row has; what others hold is unknown where an older version left them out."""


def checked_rows(folder: Path, results: Mapping[str, Any]) -> list[Row]:
    """The rows of results.json; of the step evaluated last, where several were.

    Raises:
        UsageError: something else wrote the file, or an old version of this.
    """
    rows = results.get("rows")
    whole = isinstance(rows, list) and all(isinstance(r, dict) and r.keys() >= NEEDED for r in rows)
    if not whole or not all(isinstance(results.get(k), dict) for k in ("run", "model", "protocol")):
        raise UsageError(
            f"{folder}/results.json does not hold a run's results: write it again with "
            f"`reasonbench score {folder} --regrade`."
        )
    assert isinstance(rows, list)
    last = last_step(rows)
    return [row for row in rows if row.get("step") == last]


def last_step(rows: Sequence[Row]) -> int | None:
    """The trainer's step whose rows count; None where no trainer made them."""
    return max((row["step"] for row in rows if row.get("step") is not None), default=None)


def entries(run: str, model: Mapping[str, Any], rows: Sequence[Row], complete: bool) -> list[Entry]:
    """The headline rows, numbered within the run; neither ranked nor looked at for languages.

    A strategy that was asked for in two spellings has one entry.
    """
    headline = {(r["benchmark"], strategy_label(r)): r for r in rows if is_headline(r)}
    return [
        Entry(
            id=f"{run}/{number}",
            run=run,
            model=model_label(model),
            benchmark=row["benchmark"],
            strategy=strategy_label(row),
            name=row["strategy"],
            metric=metric_label(row),
            ceiling=is_ceiling(row),
            selector=row.get("selector"),
            reward=row["reward"],
            n=row["n"],
            k=row["k"],
            weight_version=row.get("weight_version", 0),
            step=row.get("step"),
            accuracy=accuracy_of(row),
            bounds=_bounds(row),
            mc_stderr=row.get("mc_stderr"),
            rank=None,
            ranking=None,
            problems=row["problems"],
            dropped=row["problems_dropped"],
            capped=row.get("problems_capped", 0),
            truncated=row["truncated"],
            no_answer=row["no_answer"],
            ungraded=row["ungraded"],
            unscored=row.get("unscored"),
            completed_accuracy=row.get("completed_accuracy"),
            mixed=None,
            decode_tokens=row.get("decode_tokens"),
            prompt_tokens=row.get("prompt_tokens"),
            reward_tokens=row.get("reward_tokens"),
            policy_tokens=row.get("policy_tokens"),
            tokens_mean=row.get("tokens_mean"),
            tokens_p50=row.get("tokens_p50"),
            tokens_p95=row.get("tokens_p95"),
            flops=row.get("flops"),
            seconds=row.get("seconds"),
            dollars=row.get("dollars"),
            complete=complete,
        )
        for number, row in enumerate(headline.values())
    ]


def groups(found: Sequence[Entry], rows: Sequence[Row]) -> Iterator[GroupAccuracy]:
    """The accuracy of the entries of one run on each level and subject."""
    by_row = {(entry.benchmark, entry.strategy): entry.id for entry in found}
    for row in rows:
        by: Literal["level", "subject"] = "level" if row["level"] is not None else "subject"
        whole = {**row, "level": None, "subject": None}
        entry = by_row.get((row["benchmark"], strategy_label(row)))
        if row[by] is None or entry is None or not is_headline(whole):
            continue
        yield GroupAccuracy(
            entry=entry,
            by=by,
            group=str(row[by]),
            accuracy=accuracy_of(row),
            problems=row["problems"],
            truncated=row["truncated"],
            no_answer=row["no_answer"],
            ungraded=row["ungraded"],
        )


def curves(run: str, model: Mapping[str, Any], rows: Sequence[Row]) -> list[Curve]:
    """Accuracy over k of every strategy.

    Of strategies that differ in n alone the one with most samples estimates every k best, and
    where it has several k the others are left out: one estimate from fewer samples between two
    from more would let even pass@k fall. Of searches each n is one of its own.
    """
    found: dict[tuple[str, str, str], dict[int, Row]] = {}
    for row in sorted(rows, key=lambda r: r["n"]):
        if row["level"] is None and row["subject"] is None and row["accuracy"] is not None:
            key = (row["benchmark"], series_label(row), row["metric"])
            found.setdefault(key, {})[row["k"]] = row
    for key, points in found.items():
        most = max(row["n"] for row in points.values())
        largest = {k: row for k, row in points.items() if row["n"] == most}
        if len(largest) > 1:
            found[key] = largest
    order = list(dict.fromkeys((r["benchmark"], series_label(r), r["metric"]) for r in rows))
    return [
        Curve(
            run=run,
            model=model_label(model),
            benchmark=benchmark,
            series=series,
            metric=metric,
            kind=_kind(next(iter(found[benchmark, series, metric].values()))),
            points=tuple(
                CurvePoint(k, accuracy, row.get("mc_stderr") or 0.0, row.get("policy_tokens"))
                for k, row in sorted(found[benchmark, series, metric].items())
                if (accuracy := accuracy_of(row)) is not None
            ),
        )
        for benchmark, series, metric in order
        if (benchmark, series, metric) in found
    ]


def metric_label(row: Row) -> str:
    """ "maj@16" of the metric maj@k at k = 16; "asc@≤40" where at most so many were drawn."""
    name: str = row["metric"]
    at = "@≤" if row.get("samples_used") is not None else "@"
    return name.replace("@k", f"{at}{row['k']}").replace("^k", f"^{row['k']}")


def series_label(row: Row) -> str:
    """The strategy with its options, without its size."""
    name, _, options = strategy_label(row).partition(":")
    return name.partition("@")[0] + (f":{options}" if options else "")


def accuracy_of(row: Row) -> Accuracy | None:
    """None where nothing is graded or nothing scored."""
    low, high = row["interval"]
    if row["accuracy"] is None or low is None or high is None:
        return None
    return Accuracy(row["accuracy"], low, high, row.get("interval_kind", ""))


def is_ceiling(row: Row) -> bool:
    """Whether it takes the gold answer to choose so."""
    return bool(row["metric"] == "pass@k" and row["strategy"] != "cot" and row["k"] > 1)


def _kind(row: Row) -> Literal["answer", "ceiling", "reliability"]:
    if row["metric"] in RELIABILITY:
        return "reliability"
    return "ceiling" if row["metric"] == "pass@k" and row["strategy"] != "cot" else "answer"


def _bounds(row: Row) -> tuple[float, float] | None:
    low, high = row["bounds"]
    return None if low is None or high is None else (low, high)
