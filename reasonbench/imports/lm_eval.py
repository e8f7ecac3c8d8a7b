"""Sample logs of EleutherAI's lm-evaluation-harness (`--log_samples`).

Written against version 0.4.13.dev0 (commit 4e7e0d4, `lm_eval/result_schema.py`,
`lm_eval/loggers/evaluation_tracker.py`); reads those since 0.4.0. `samples_TASK_DATE.jsonl` has a
line for every document and filter: `doc`, `doc_id`, `target`, `arguments`, `resps` (requests ×
repeats), `filtered_resps`, `filter` (since 0.4.3; before, a document just comes again), `metrics`
(the same) and the metrics themselves. Logs of 0.4.0 to 0.4.2 can be one JSON array.
`results_DATE.json` beside it names the model and the settings. Neither says how a response ended
nor how many tokens it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.imports import bounded
from reasonbench.imports.samples import Imported, Log, Origin, named, number, texts, verdict

HARNESS = "lm-evaluation-harness"

_NAME = re.compile(
    r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.jsonl?(?:\.gz)?"
)
_FIXED = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
     "doc_hash", "prompt_hash", "target_hash"}
)  # fmt: skip
_QUESTIONS = ("question", "problem", "Question", "Problem", "prompt", "text", "query", "input")
_IDS = ("task_id", "unique_id", "question_id", "Record ID", "id")
_GENERATION = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_gen_toks": "max_tokens",
    "max_tokens": "max_tokens",
    "do_sample": "do_sample",
}


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is a sample of this harness."""
    return row.keys() >= {"doc_id", "doc", "resps"}


def read(path: Path, metric: str | None = None) -> Log:
    """A file of samples.

    Args:
        metric: whose verdict counts as the harness's ("exact_match", or
            "exact_match,flexible-extract" with the filter); the first that is 0 or 1 by default.

    Raises:
        UsageError: the file of results beside it is broken.
    """
    match = _NAME.fullmatch(path.name)
    task = named(match["task"] if match else path.name.removesuffix(".gz").rpartition(".")[0])
    results = path.with_name(f"results_{match['date']}.json") if match else None
    found = bounded.whole(results) if results is not None and results.is_file() else None
    origin = _origin(found if isinstance(found, dict) else {}, task)
    if found is None:
        origin = Origin(HARNESS, notes=("no results_….json lies beside it: its model and settings "
                                        "are known only as far as its samples say",),
                        settings=_asked(path))  # fmt: skip
    return Log(path, origin, lambda: _samples(path, task, metric))


def rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of JSONL, or of one JSON array."""
    return bounded.elements(path) if bounded.begins(path) == "[" else bounded.lines(path)


def _samples(path: Path, task: str, metric: str | None) -> Iterator[Imported]:
    wanted, comma, chosen = (metric or "").partition(",")
    first: str | None = chosen if comma else None
    seen: set[str] = set()
    for line, row in rows(path):
        where = f"{path}, line {line}"
        if not isinstance(row, dict) or not recognises(row):
            raise UsageError(f"{where}: no sample of {HARNESS} (it needs doc, doc_id and resps).")
        filtered = row.get("filter")
        key = named(row["doc_id"])
        if filtered is not None:
            first = first or str(filtered)
        again = key in seen if filtered is None else str(filtered) != first
        if not again:
            seen.add(key)
        yield from _of_row(row, where, task, key, wanted, again=again)


def _of_row(
    row: Mapping[str, Any], where: str, task: str, key: str, wanted: str, *, again: bool
) -> Iterator[Imported]:
    doc = row["doc"] if isinstance(row["doc"], dict) else {}
    scores = _scores(row)
    one = Imported(
        where,
        task,
        key,
        ids=tuple(named(doc[k]) for k in _IDS if isinstance(doc.get(k), str | int)),
        question=next((doc[k] for k in _QUESTIONS if isinstance(doc.get(k), str)), None),
        target=_target(row.get("target")),
        options=_options(doc),
        document=doc,
    )
    written, failure = _responses(row)
    for sample in range(max(1, len(written))):
        own, label = _of_sample(scores, sample, max(1, len(written)), wanted)
        if again:
            yield replace(one, scores=own, again=sample)
        elif failure is not None:
            yield replace(one, failure=failure, scores=own, label=label)
        else:
            yield replace(one, text=written[sample], scores=own, label=label)


def _responses(row: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """The texts of a document's one request, or why there are none."""
    resps = row["resps"]
    if not isinstance(resps, list) or not resps:
        return [], "the log holds no response"
    found = resps[0] if isinstance(resps[0], list) else resps[:1]
    if any(isinstance(each, list) for each in found) or _is_scored(row.get("arguments")):
        return [], "the harness compared log-probabilities of answers; nothing was written"
    if len(resps) > 1:
        return [], "the harness made several requests for one problem"
    if not found or not texts(found):
        return [], "the log holds no response"
    return found, None


def _is_scored(arguments: Any) -> bool:
    """Whether a request asked for the log-probability of a text.

    One that generates has its settings beside the prompt; the log-probability of a whole document
    is written as a number in quotes, which would pass for a response.
    """
    if isinstance(arguments, list):  # before 0.4.3
        request = arguments[0] if arguments else None
        return isinstance(request, list) and not any(map(_is, request))
    request = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    return isinstance(request, dict) and not any(map(_is, request.values()))


def _scores(row: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a row, with the filter behind their names."""
    listed = texts(row.get("metrics")) or tuple(k for k in row if k not in _FIXED)
    suffix = f",{row['filter']}" if isinstance(row.get("filter"), str) else ""
    return {named(f"{name}{suffix}"): row[name] for name in listed if name in row}


def _of_sample(
    scores: Mapping[str, Any], sample: int, of: int, wanted: str = ""
) -> tuple[dict[str, float], bool | None]:
    """What stands for one of `of` responses, and which of it is the harness's verdict.

    One number for several responses says something of the problem: it stays with the first.
    """
    own: dict[str, float] = {}
    label = None
    for name, value in scores.items():
        listed = isinstance(value, list) and len(value) == of
        found = number(value[sample] if listed else value)
        if found is None or not (listed or sample == 0):
            continue
        own[name if listed or of == 1 else f"{name} (of all {of})"] = found
        if label is None and (listed or of == 1) and name.partition(",")[0].startswith(wanted):
            label = verdict(found)
    return own, label


def _target(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None if value is None else str(value)


def _options(doc: Mapping[str, Any]) -> tuple[str, ...]:
    choices = doc.get("choices", doc.get("options"))
    return texts(choices.get("text") if isinstance(choices, dict) else choices)


def _origin(results: Mapping[str, Any], task: str) -> Origin:
    config = _object(results, "config")
    of_task = _object(_object(results, "configs"), task)
    settings = _generation(of_task.get("generation_kwargs"))
    settings |= _generation(config.get("gen_kwargs"))
    for name, value in (
        ("n", of_task.get("repeats")),
        ("few_shot", _object(results, "n-shot").get(task)),
        ("task_version", _object(results, "versions").get(task)),
        ("limit", config.get("limit")),
        ("filters", [f.get("name") for f in of_task.get("filter_list") or () if _is(f)] or None),
        ("chat_template", bool(results["chat_template"]) if "chat_template" in results else None),
        ("backend", config.get("model")),
    ):
        if value is not None:
            settings[name] = value
    size = config.get("model_num_parameters")
    return Origin(
        HARNESS,
        version=_text(results.get("lm_eval_version")) or "",
        model=_text(results.get("model_name")),
        revision=_text(config.get("model_sha")) or _text(config.get("model_revision")),
        dtype=(_text(config.get("model_dtype")) or "").removeprefix("torch.") or None,
        parameters=size if isinstance(size, int) and size > 0 else None,
        settings=settings,
    )


def _asked(path: Path) -> dict[str, Any]:
    """The settings that the first sample's request names."""
    _, row = next(iter(rows(path)), (0, None))
    arguments = _object(row, "arguments") if isinstance(row, dict) else {}
    return _generation(_object(arguments, "gen_args_0").get("arg_1"))


def _generation(found: Any) -> dict[str, Any]:
    if isinstance(found, str):  # "temperature=0.6,max_gen_toks=1024"
        pairs = (part.split("=", 1) for part in found.split(",") if "=" in part)
        found = {name: _scalar(value) for name, value in pairs}
    if not isinstance(found, dict):
        return {}
    return {
        ours: found[theirs]
        for theirs, ours in _GENERATION.items()
        if isinstance(found.get(theirs), str | int | float)
    }


def _scalar(text: str) -> str | float | bool:
    """A number or a truth value as such."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return float(text)
    except ValueError:
        return text


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _is(value: Any) -> bool:
    return isinstance(value, dict)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
