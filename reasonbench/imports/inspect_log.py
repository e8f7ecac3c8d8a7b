"""Logs of inspect_ai: `.eval` archives and `.json` files.

Written against version 0.3.260 (commit 499e615, `src/inspect_ai/log/_log.py`,
`log/_recorders/eval.py`, `log/_recorders/chunked/format.py`, log format 2); reads those since log
format 1 (`score` instead of `scores`, `"length"` as a stop reason, `reasoning` beside `content`).
An archive has `header.json` (`_journal/start.json` alone where the evaluation did not end) and
`samples/ID_epoch_N.json`, or `samples/ID_epoch_N/sample.json` where large samples are chunked. A
`.json` log is the header with the list `samples` in it. Epochs are the samples of a problem.

A sample that a limit ended is truncated, whichever limit it was; one that failed, or that was
invalidated, has nothing to grade. Reasoning stands in `<think>` before the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.imports import archive, bounded
from reasonbench.imports.samples import Imported, Log, Origin, count, named, number, texts, verdict
from reasonbench.runs.rows import reading
from reasonbench.types import Finish

HARNESS = "inspect_ai"

_ENTRY = re.compile(r"samples/(?P<id>.+)_epoch_(?P<epoch>\d{1,9})(?:\.json|/sample\.json)")
_ATTACHED = "attachment://"
_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "tool_calls": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "length": "length",
    "content_filter": "aborted",
}
_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "num_choices": "num_choices",
    "reasoning_effort": "reasoning_effort",
    "reasoning_tokens": "reasoning_tokens",
    "seed": "seed",
}


def read(path: Path, metric: str | None = None) -> Log:
    """A log.

    Args:
        metric: the scorer whose verdict counts; the first that is right or wrong by default.

    Raises:
        UsageError: it is damaged, or no log.
    """
    zipped = is_archive(path)
    header = _archive_header(path) if zipped else _file_header(path)
    spec = header.get("eval")
    if not isinstance(spec, dict) or not isinstance(spec.get("task"), str):
        raise UsageError(f"{path}: no log of {HARNESS} (its header names no task).")
    task, model = named(spec["task"]), spec.get("model")

    def samples() -> Iterator[Imported]:
        found = _archive_samples(path) if zipped else _file_samples(path)
        return (_sample(row, where, task, model, metric) for where, row in found)

    return Log(path, _origin(header, spec), samples)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, by its first bytes."""
    with reading(path) as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _archive_header(path: Path) -> Mapping[str, Any]:
    with archive.opened(path) as zipped:
        for name in ("header.json", "_journal/start.json"):
            if name in zipped.names:
                found = zipped.json(name)
                if isinstance(found, dict):
                    return {"status": "started", **found}
    raise UsageError(f"{path}: no log of {HARNESS} (there is no header.json in it).")


def _archive_samples(path: Path) -> Iterator[tuple[str, Any]]:
    with archive.opened(path) as zipped:
        found = [(match, name) for name in zipped.names if (match := _ENTRY.fullmatch(name))]
        # as they were finished they stand there: by id and epoch is the same order every time
        for _, name in sorted(found, key=lambda f: (f[0]["id"], int(f[0]["epoch"]), f[1])):
            yield f"{path}, {named(name)}", zipped.json(name)


def _file_header(path: Path) -> Mapping[str, Any]:
    header = {}
    for name, _, value in bounded.members(path, "samples", "reductions"):
        if name in ("samples", "reductions"):
            if "eval" in header and "plan" in header:
                break  # the header stands before the samples
        else:
            header[name] = value
    return header


def _file_samples(path: Path) -> Iterator[tuple[str, Any]]:
    for name, line, value in bounded.members(path, "samples", "reductions"):
        if name == "samples":
            yield f"{path}, line {line}", value


def _sample(row: Any, where: str, task: str, model: Any, metric: str | None) -> Imported:
    if not isinstance(row, dict) or "id" not in row or "epoch" not in row:
        raise UsageError(f"{where}: no sample of {HARNESS} (it needs id and epoch).")
    attached = row.get("attachments")
    attached = attached if isinstance(attached, dict) else {}
    text, finish = _response(row, attached)
    failure = _failure(row)
    limit = row.get("limit")
    if failure is None and limit:
        finish, text = "length", text or ""
    if failure is None and text is None:
        failure = "the log holds no response"
    scores, label = _scores(row, metric)
    prompt, written = _usage(row, model)
    if not text:  # a limit came before the first word
        prompt, written = prompt or 0, written or 0
    target = row.get("target")
    if isinstance(target, list):
        target = target[0] if len(target) == 1 else None
    return Imported(
        where=where,
        task=task,
        problem_id=named(row["id"]),
        ids=(named(row["id"]),),
        question=_question(row.get("input"), attached),
        target=target if isinstance(target, str) else None,
        options=texts(row.get("choices")),
        text=None if failure else text,
        failure=failure,
        finish=finish,
        prompt_tokens=prompt,
        decode_tokens=written,
        label=label,
        scores=scores,
    )


def _failure(row: Mapping[str, Any]) -> str | None:
    if row.get("invalidation"):
        return "the log says that the sample is invalid"
    error = row.get("error")
    if error:
        message = error.get("message") if isinstance(error, dict) else error
        return f"the sample failed: {' '.join(str(message).split())[:200]}"
    return None


def _response(
    row: Mapping[str, Any], attached: Mapping[str, Any]
) -> tuple[str | None, Finish | None]:
    """The last thing that the model said, and how it ended."""
    output = row.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        text = _said(choices[0].get("message"), attached)
        return text, _FINISH.get(str(choices[0].get("stop_reason")))
    for message in reversed(row.get("messages") or []):
        if isinstance(message, dict) and message.get("role") == "assistant":
            return _said(message, attached), None
    return None, None


def _said(message: Any, attached: Mapping[str, Any]) -> str | None:
    """A message as text, its reasoning in front."""
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        return None
    thought, said = [message.get("reasoning")], []
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "reasoning":
            thought.append(part.get("summary" if part.get("redacted") else "reasoning"))
        elif isinstance(part, dict) and part.get("type") == "text":
            said.append(part.get("text"))
    thinking = "\n".join(_resolved(t, attached) for t in thought if isinstance(t, str) and t)
    text = "\n".join(_resolved(t, attached) for t in said if isinstance(t, str))
    return f"<think>{thinking}</think>\n{text}" if thinking else text


def _question(asked: Any, attached: Mapping[str, Any]) -> str | None:
    if isinstance(asked, list):  # a conversation: what the user said last
        users = [m for m in asked if isinstance(m, dict) and m.get("role") == "user"]
        return _said({"content": users[-1].get("content")}, attached) if users else None
    if not isinstance(asked, str):
        return None
    found = _resolved(asked, attached)
    return None if found.startswith(_ATTACHED) else found


def _resolved(text: str, attached: Mapping[str, Any]) -> str:
    found = attached.get(text.removeprefix(_ATTACHED)) if text.startswith(_ATTACHED) else None
    return found if isinstance(found, str) else text


def _scores(row: Mapping[str, Any], metric: str | None) -> tuple[dict[str, float], bool | None]:
    given = row.get("scores")
    if given is None and row.get("score") is not None:
        given = {"score": row["score"]}  # log format 1
    found: dict[str, float] = {}
    label = None
    for name, score in given.items() if isinstance(given, dict) else ():
        value = score.get("value") if isinstance(score, dict) else score
        for key, each in value.items() if isinstance(value, dict) else (("", value),):
            result = _value(each)
            if result is None:
                continue
            full = named(f"{name}.{key}" if key else name)
            found[full] = result
            if label is None and full.startswith(metric or ""):
                label = verdict(result)
    return found, label


def _value(value: Any) -> float | None:
    if isinstance(value, str):
        return _VALUES.get(value, _VALUES.get(value.lower()))
    return number(value)


def _usage(row: Mapping[str, Any], model: Any) -> tuple[int | None, int | None]:
    """Tokens of the prompts and of what the model wrote; a grader's own are not counted.

    Where `model_usage` is empty (logs of 2024), the output's own usage covers one request.
    """
    used = row.get("model_usage")
    found = used.get(model) if isinstance(used, dict) else None
    if not used:
        found = _usage_of_one(row)
    if not isinstance(found, dict):
        return None, None
    asked = [count(found.get(f"input_tokens{part}")) for part in ("", "_cache_read",
                                                                "_cache_write")]  # fmt: skip
    return sum(tokens or 0 for tokens in asked) or None, count(found.get("output_tokens"))


def _usage_of_one(row: Mapping[str, Any]) -> Any:
    """The usage of the last request, where there was no other."""
    messages = row.get("messages")
    if not isinstance(messages, list):
        return None
    turns = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"
             and m.get("source", "generate") == "generate"]  # fmt: skip
    output = row.get("output")
    return output.get("usage") if len(turns) == 1 and isinstance(output, dict) else None


def _origin(header: Mapping[str, Any], spec: Mapping[str, Any]) -> Origin:
    settings: dict[str, Any] = {}
    plan = header.get("plan")
    for config in (spec.get("model_generate_config"),
                   plan.get("config") if isinstance(plan, dict) else None):  # fmt: skip
        for theirs, ours in _SETTINGS.items():
            if isinstance(config, dict) and isinstance(config.get(theirs), str | int | float):
                settings[ours] = config[theirs]
    config = spec.get("config")
    for name in ("epochs", "limit", "token_limit", "time_limit", "message_limit"):
        if isinstance(config, dict) and isinstance(config.get(name), int | float):
            settings["n" if name == "epochs" else name] = config[name]
    if isinstance(spec.get("task_version"), int | str):
        settings["task_version"] = spec["task_version"]
    packages = spec.get("packages")
    version = packages.get("inspect_ai") if isinstance(packages, dict) else None
    notes = []
    if header.get("status") != "success":
        notes.append(f"its evaluation did not end well (status {str(header.get('status'))[:40]})")
    if header.get("invalidated"):
        notes.append("samples of it were declared invalid")
    return Origin(
        HARNESS,
        version=str(version or ""),
        model=spec["model"] if isinstance(spec.get("model"), str) else None,
        settings=settings,
        notes=tuple(notes),
    )
