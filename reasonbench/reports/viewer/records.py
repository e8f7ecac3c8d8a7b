"""What a viewer shows of one problem: its text, its prompts, its samples and its searches.

A record is [problem's number, source's index (−1: the problem itself), kind, content]. All texts in
it are ready to be shown (`reasonbench.reports.shown`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reasonbench.reports.shown import shown
from reasonbench.reports.viewer.tally import tokens_of
from reasonbench.runs import RunStore
from reasonbench.runs.stored import Scores, StoredSample
from reasonbench.steps import Boundary, read, split
from reasonbench.text.reflection import reflection_spans
from reasonbench.tree import ROLL_OUT
from reasonbench.types import Completion, Problem

Path = tuple[int, ...]
Record = tuple[int, int, str, Any]

PROBLEM = -1
"""In a record's second place: it is about the problem, whatever was drawn for it."""

_BOOKKEEPING = ("taken:", "behaviour:")
"""Stored like scores, but nobody's judgement (docs/strategies.md, "What is stored")."""
_WHOLE_ONLY = ("public", "codet:")
"""Of these only the number for the whole is a score."""
_STEP = "|step="
_NODES_AT_ONCE = 64


def problem_record(number: int, problem: Problem) -> Record:
    """The problem as its source words it, with its reference answer."""
    question = problem.question
    return (
        number,
        PROBLEM,
        "problem",
        {
            "text": shown(question.text),
            "instruction": shown(question.instruction),
            "kind": question.kind,
            "gold": None if problem.gold is None else shown(problem.gold),
            "data": shown(json.dumps(question.data, ensure_ascii=False, indent=1))
            if question.data
            else None,
        },
    )


def unit_records(
    number: int,
    place: int,
    store: RunStore,
    where: tuple[str, str, str, int],
    samples: Sequence[StoredSample],
    letters: str,
    *,
    ends_known: bool = True,
) -> Iterator[Record]:
    """What was drawn for one problem: the prompt, every sample, and the search, if it was one.

    Args:
        number: of the problem.
        place: index of the source.
        where: benchmark, problem id, pool, weight version.
        samples: read with their texts.
        letters: of their tally.
        ends_known: False where a log that does not say what a limit cut holds them.
    """
    prompt = store.prompt(*where[:3])
    trace: Mapping[str, Any] = store.trace(*where) or {}
    nodes = _nodes(trace, store.nodes(*where)) if trace.get("nodes") else {}
    head: dict[str, Any] = {"prompt": None if prompt is None else shown(prompt.prompt.text)}
    if nodes:
        head["search"] = {"state": shown(str(trace["state"])), "nodes": len(nodes)}
    yield number, place, "head", head
    paths = [tuple(path) for path in trace.get("candidates", ())]
    for sample in samples:
        line = _line(nodes, paths[sample.sample]) if sample.sample < len(paths) else ()
        found = _sample(sample, letters[sample.sample], line)
        if not ends_known and "finish" in found:
            found["finish"] = "unknown"
        yield number, place, "sample", found
    numbered = {path: sample for sample, path in enumerate(paths)}
    waiting: list[dict[str, Any]] = []
    for path, node in nodes.items():
        waiting.append(_node(path, node, numbered))
        if len(waiting) == _NODES_AT_ONCE:
            yield number, place, "nodes", waiting
            waiting = []
    if waiting:
        yield number, place, "nodes", waiting


def marks(text: str) -> list[list[int]]:
    """[start, length] of every reflection phrase, in UTF-16 units as JavaScript counts them."""
    spans = reflection_spans(text)
    if not spans:
        return []
    if text.isascii() or max(text) <= "\uffff":
        return [[start, end - start] for start, end in spans]
    return [[_units(text[:start]), _units(text[start:end])] for start, end in spans]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _sample(sample: StoredSample, letter: str, line: Sequence[str]) -> dict[str, Any]:
    text = sample.text or ""
    scores = {
        name: Scores() if name.startswith(_BOOKKEEPING) else one
        for name, one in sample.scores.items()
    }
    steps = [shown(step) for step in _steps(text, scores, line)]
    marked = [[place, *mark] for place, step in enumerate(steps) for mark in marks(step)]
    found: dict[str, Any] = {
        "i": sample.sample,
        "as": letter,
        "steps": steps,
        "marks": marked,
        "finish": sample.finish,
        "stop": _text(sample.stop_reason),
        "tokens": tokens_of(sample),
        "seed": None if sample.seed is None else str(sample.seed),
        "logprob": _number(sample.mean_logprob),
        "certainty": _number(sample.self_certainty),
        "verdict": sample.verdict,
        "answer": _text(sample.answer),
        "layer": _text(sample.layer),
        "reason": _text(sample.reason),
        "class": sample.answer_class,
        "scores": {shown(name): _scores(name, one) for name, one in scores.items() if any(one)},
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def _scores(name: str, scores: Scores) -> list[Any]:
    """[of the whole, [of each step]]; null where the reward gave no number."""
    steps = () if name.startswith(_WHOLE_ONLY) else scores.steps
    return [_number(scores.whole), [_number(score) for score in steps]]


def _steps(text: str, scores: Mapping[str, Scores], line: Sequence[str]) -> Sequence[str]:
    """The steps of a solution: those that a reward scored, else those of the search, else blank
    lines part them. Together they are the text."""
    whole = split(text, Boundary())
    ways: list[Sequence[str]] = [line] if "".join(line) == text and line else []
    for name, one in scores.items():
        if one.steps and not name.startswith(_WHOLE_ONLY):
            own = split(text, Boundary(read(name.split(_STEP, 1)[1]))) if _STEP in name else whole
            for steps in (*ways, own):
                if len(steps) == len(one.steps):
                    return steps
    return ways[0] if ways else whole


def _nodes(
    trace: Mapping[str, Any], sampled: Mapping[Path, Completion]
) -> dict[Path, dict[str, Any]]:
    """Every node by its path, with the text that was sampled; parents first, roll-outs last."""
    found: dict[Path, dict[str, Any]] = {}
    for node in (*trace["nodes"], *trace.get("roll_outs", ())):
        path = tuple(node["path"])
        completion = sampled.get(path)
        said = node.get("given", "") + ("" if completion is None else completion.text)
        found[path] = {**node, "text": said}
    return found


def _line(nodes: Mapping[Path, Mapping[str, Any]], path: Path) -> tuple[str, ...]:
    """The texts of the steps from the root to a node."""
    steps: list[str] = []
    at: Path | None = path
    while at is not None and (node := nodes.get(at)) is not None and not node.get("root"):
        steps.append(node["text"])
        at = above(at)
    return tuple(reversed(steps))


def above(path: Path) -> Path | None:
    """The path of the node above; None for a root's."""
    if not path:
        return None
    return path[:-2] if len(path) > 1 and path[-2] == ROLL_OUT else path[:-1]


def _node(path: Path, node: Mapping[str, Any], numbered: Mapping[Path, int]) -> dict[str, Any]:
    text = shown(node["text"])
    found: dict[str, Any] = {
        "root": node.get("root"),
        "text": text,
        "marks": marks(text),
        "score": _number(node.get("score")),
        "visits": node.get("visits"),
        "value": _number(node.get("value")),
        "end": node.get("end"),
        "dropped": _text(node.get("dropped")),
        "error": _text(node.get("error")),
        "tokens": node.get("tokens"),
        "sample": numbered.get(path),
    }
    known = {name: value for name, value in found.items() if value not in (None, "", [])}
    return {"path": list(path), **known}


def _text(text: str | None) -> str | None:
    return None if text is None else shown(text)


def _number(value: float | None) -> float | None:
    """Five digits that count; JSON has no NaN and no infinity: they become null."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
