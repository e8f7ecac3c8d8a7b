"""Details of Hugging Face's lighteval: `details_TASK_DATE.parquet`.

Written against version 0.13.1.dev0 (commit 3fd1526, `src/lighteval/logging/evaluation_tracker.py`,
`logging/info_loggers.py`, `models/model_output.py`): columns `doc`, `model_response`, `metric`.
Before 0.10 the columns were `full_prompt`, `example`, `predictions`, `gold`, `metrics` and others,
up to about 0.6 each as the text of a Python value; these are read too (0.4.0, 0.6.0, 0.9.2 were
looked at). `results/MODEL/results_DATE.json`, in the folder that holds `details`, has the settings.
A response's end is not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonbench import literals
from reasonbench.errors import UsageError
from reasonbench.imports import bounded
from reasonbench.imports.samples import Imported, Log, Origin, count, named, number, texts, verdict

HARNESS = "lighteval"

ROWS_AT_ONCE = 16

LONGEST = 4 << 20
"""Characters of a Python value that is read: its syntax tree is many times as large."""

_NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")
NEW = frozenset({"doc", "model_response"})
OLD = frozenset({"full_prompt", "predictions"})

_NAME = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)")
_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_new_tokens": "max_tokens",
    "seed": "seed",
}
_COLUMNS = ("doc", "model_response", "metric", "metrics", "example", "full_prompt", "predictions",
            "gold", "choices", "gold_index", "input_tokens", "cont_tokens")  # fmt: skip


def read(path: Path, metric: str | None = None) -> Log:
    """A file of details.

    Args:
        metric: whose verdict counts as the harness's; the first that is 0 or 1 by default.

    Raises:
        UsageError: it is no parquet file, or has other columns.
    """
    columns = set(_opened(path).schema_arrow.names)
    if not (columns >= NEW or columns >= OLD):
        raise UsageError(
            f"{path}: no details of {HARNESS} (columns {', '.join(sorted(columns))[:200]})."
        )
    match = _NAME.fullmatch(path.stem)
    task = named(match["task"] if match else path.stem)
    old = not columns >= NEW
    return Log(path, _origin(path, match["date"] if match else None, old),
               lambda: _samples(path, task, metric, old=old))  # fmt: skip


def _opened(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        return parquet.ParquetFile(
            path,
            # of the footer, before anything else is known of the file
            thrift_string_size_limit=bounded.LARGEST,
            thrift_container_size_limit=1_000_000,
        )
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"{path} is no readable parquet file: {_first(error)}.") from None


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow

    file = _opened(path)
    for group in range(file.num_row_groups):
        about = file.metadata.row_group(group)
        for column in range(about.num_columns):
            size = about.column(column).total_uncompressed_size
            if size > 8 * bounded.LARGEST:
                raise UsageError(f"{path}, row group {group}: a column is larger than "
                                 f"{8 * bounded.LARGEST >> 20} MB.")  # fmt: skip
    wanted = [name for name in file.schema_arrow.names if name in _COLUMNS]
    done = 0
    try:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted):
            for row in batch.to_pylist():
                done += 1
                yield done, row
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged after row {done}: {_first(error)}.") from None


def _samples(path: Path, task: str, metric: str | None, *, old: bool) -> Iterator[Imported]:
    for at, row in _rows(path):
        where = f"{path}, row {at}"
        if old:
            yield from _of_old(row, where, task, at, metric)
            continue
        doc, response = row.get("doc"), row.get("model_response")
        if not isinstance(doc, dict) or not isinstance(response, dict):
            raise UsageError(f"{where}: doc or model_response is empty.")
        golds = _golds(doc.get("choices"), doc.get("gold_index"))
        written = texts(response.get("text"))
        thought = response.get("reasonings") or []
        yield from _of_problem(
            where,
            named(doc.get("task_name") or task),
            named(doc.get("id") or at - 1),
            doc.get("original_query") or doc.get("query"),
            golds,
            _options(doc.get("choices"), golds),
            tuple(_with(thought[i] if i < len(thought) else None, text)
                  for i, text in enumerate(written)),
            response.get("input_tokens"),
            response.get("output_tokens"),
            row.get("metric"),
            metric,
        )  # fmt: skip


def _of_old(
    row: Mapping[str, Any], where: str, task: str, at: int, metric: str | None
) -> Iterator[Imported]:
    found = {name: _plain(value, where, name) for name, value in row.items()}
    golds = found.get("gold")
    golds = texts(golds if isinstance(golds, list) else [golds])
    predictions = found.get("predictions")
    while isinstance(predictions, list) and predictions and isinstance(predictions[0], list):
        predictions = predictions[0] if len(predictions) == 1 else None
    asked, written = found.get("input_tokens"), found.get("cont_tokens")
    if isinstance(asked, list) and asked and isinstance(asked[0], list):
        asked = asked[0]
    yield from _of_problem(
        where,
        task,
        str(at - 1),
        found.get("example") or found.get("full_prompt"),
        golds,
        _options(found.get("choices"), golds),
        texts(predictions),
        asked,
        written,
        found.get("metrics"),
        metric,
    )


def _of_problem(
    where: str,
    task: str,
    problem_id: str,
    question: Any,
    golds: tuple[str, ...],
    options: tuple[str, ...],
    written: tuple[str, ...],
    prompt: Any,
    tokens: Any,
    metrics: Any,
    metric: str | None,
) -> Iterator[Imported]:
    asked = count(len(prompt)) if isinstance(prompt, list) else None
    lengths = [len(each) for each in tokens if isinstance(each, list)] if (
        isinstance(tokens, list)) else []  # fmt: skip
    one = Imported(
        where,
        task,
        problem_id,
        question=question if isinstance(question, str) else None,
        target=golds[0].strip() if len(golds) == 1 else None,
        options=options,
    )
    if not written:
        scores, label = _scores(metrics, 0, 1, metric)
        why = "the harness compared log-probabilities of answers, or wrote nothing"
        yield replace(one, failure=why, scores=scores, label=label)
    for sample, text in enumerate(written):
        scores, label = _scores(metrics, sample, len(written), metric)
        yield replace(
            one,
            text=text,
            prompt_tokens=asked,
            decode_tokens=count(lengths[sample]) if len(lengths) == len(written) else None,
            scores=scores,
            label=label,
        )


def _scores(
    metrics: Any, sample: int, of: int, metric: str | None
) -> tuple[dict[str, float], bool | None]:
    """What stands for one of `of` responses; one number for several stays with the first."""
    found: dict[str, float] = {}
    label = None
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        listed = isinstance(value, list) and len(value) == of
        result = number(value[sample] if listed else value)
        if result is None or not (listed or sample == 0):
            continue
        found[named(name if listed or of == 1 else f"{name} (of all {of})")] = result
        if label is None and (listed or of == 1) and str(name).startswith(metric or ""):
            label = verdict(result)
    return found, label


def _golds(choices: Any, index: Any) -> tuple[str, ...]:
    """The reference answers among the choices."""
    places = index if isinstance(index, list) else [index]
    if not isinstance(choices, list):
        return ()
    found = [choices[i] for i in places if isinstance(i, int) and 0 <= i < len(choices)]
    return texts(list(dict.fromkeys(each for each in found if isinstance(each, str))))


def _options(choices: Any, golds: tuple[str, ...]) -> tuple[str, ...]:
    """Texts of options: choices that are letters, or all golds, tell nothing."""
    found = texts(choices)
    return found if len(found) > len(golds) and max(map(len, found)) > 1 else ()


def _with(thought: Any, text: str) -> str:
    """A response with the reasoning that a server gave apart."""
    if not isinstance(thought, str) or not thought or thought in text:
        return text
    return f"<think>{thought}</think>\n{text}"


def _plain(value: Any, where: str, name: str) -> Any:
    """A value that may stand there as the text of a Python value."""
    if not isinstance(value, str) or name in ("example", "full_prompt", "instruction"):
        return value
    text = _NUMPY.sub(r"\1", value) if name == "metrics" else value
    try:
        return literals.read(text, LONGEST)
    except literals.LiteralError:
        if name in ("gold", "predictions") and not value.startswith("["):
            return [value]
        if name == "predictions":
            raise UsageError(f"{where}: its {name} are no Python value.") from None
        return None  # arrays of numbers; a metric that is no number


def _origin(path: Path, date: str | None, old: bool) -> Origin:
    results, folder = _results(path, date)
    general = results.get("config_general") if isinstance(results, dict) else None
    general = general if isinstance(general, dict) else {}
    config = general.get("model_config")
    config = config if isinstance(config, dict) else {}
    asked = config.get("generation_parameters")
    settings = {
        ours: asked[theirs]
        for theirs, ours in _SETTINGS.items()
        if isinstance(asked, dict) and isinstance(asked.get(theirs), int | float)
    }
    if isinstance(general.get("max_samples"), int):
        settings["limit"] = general["max_samples"]
    model = general.get("model_name") or config.get("model_name") or folder
    dtype, revision = config.get("dtype"), config.get("revision")
    sha = general.get("lighteval_sha")
    if not isinstance(sha, str) or sha == "?":
        sha = "before 0.10" if old else ""
    notes = () if results else ("no results_….json was found for it: its settings are unknown",)
    return Origin(
        HARNESS,
        version=sha[:40],
        model=str(model) if model else None,
        revision=revision if isinstance(revision, str) else None,
        dtype=dtype if isinstance(dtype, str) else None,
        settings=settings,
        notes=notes,
    )


def _results(path: Path, date: str | None) -> tuple[Any, str | None]:
    """results_DATE.json, and the model's name as the folders spell it."""
    path = path.absolute()
    for above in path.parents:
        if above.name == "details" and date is not None:
            model = path.parent.relative_to(above).parts[:-1]
            found = above.parent.joinpath("results", *model, f"results_{date}.json")
            return bounded.whole(found) if found.is_file() else None, "/".join(model) or None
    return None, None


def _first(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")[:200]
