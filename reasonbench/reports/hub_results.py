"""Results for model pages of the Hugging Face hub: `.eval_results/*.yaml`.

The format is that of huggingface.co/docs/hub/eval-results: a list of results, each with the
benchmark's dataset and task, a value (here in per cent), a date and notes. A model has one file for
each way that it was evaluated. Only benchmarks that come from the hub have such a dataset, and the
hub shows a result only where that dataset is registered as a benchmark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from reasonbench.reports.data import Entry, Protocol, Report, RunStack
from reasonbench.reports.shown import distinct

FOLDER = ".eval_results"

TASKS: Mapping[str, str] = {
    "Idavidrein/gpqa": "gpqa_diamond",
    "openai/gsm8k": "gsm8k",
}
"""The task that a dataset's own eval.yaml names, where it is known."""

DEFAULT_TASK = "default"

_HUB = re.compile(r"hub:(?P<id>[^@\s]+)")


def hub_results(report: Report) -> dict[str, str]:
    """YAML files by their path: below a folder of the model's name where there are several models.

    Left out are oracles, runs that are not finished, entries without an accuracy, and benchmarks
    that do not come from the hub.
    """
    asked = {(one.run, one.benchmark): one for one in report.protocols}
    stacks = {one.run: one for one in report.runs}
    models = list(dict.fromkeys(entry.model for entry in report.entries))
    folders = dict(zip(models, distinct(map(_slug, models)), strict=True))
    found: dict[str, str] = {}
    for entry in report.entries:
        protocol = asked.get((entry.run, entry.benchmark))
        if protocol is None or entry.ceiling or entry.accuracy is None or not entry.complete:
            continue
        hub = _HUB.match(protocol.source or "")
        if hub is None:
            continue
        folder = PurePosixPath(folders[entry.model] if len(models) > 1 else "", FOLDER)
        short = _slug(f"{entry.benchmark}-{entry.strategy}")
        names = [short, _slug(f"{short}-{entry.run}")]
        # names in other scripts leave nothing to tell runs apart by
        names += (f"{names[-1]}-{number}" for number in range(2, len(report.entries) + 2))
        path = next(p for name in names if (p := str(folder / f"{name}.yaml")) not in found)
        found[path] = _yaml(entry, protocol, stacks[entry.run], hub["id"])
    return found


def _yaml(entry: Entry, protocol: Protocol, stack: RunStack, dataset: str) -> str:
    assert entry.accuracy is not None
    lines = [
        "- dataset:",
        f"    id: {_quoted(dataset)}",
        f"    task_id: {_quoted(TASKS.get(dataset, DEFAULT_TASK))}",
    ]
    if protocol.revision:
        lines.append(f"    revision: {_quoted(protocol.revision)}")
    lines.append(f"  value: {100 * entry.accuracy.value:.2f}")
    if stack.written:
        lines.append(f"  date: {_quoted(stack.written[:10])}")
    lines.append(f"  notes: {_quoted(_notes(entry, protocol, stack))}")
    return "\n".join(lines) + "\n"


def _notes(entry: Entry, protocol: Protocol, stack: RunStack) -> str:
    """What a reader must know of a value that stands alone."""
    assert entry.accuracy is not None
    low, high = 100 * entry.accuracy.low, 100 * entry.accuracy.high
    said = [
        f"{entry.metric} ({entry.strategy}) in per cent on {entry.problems} problems, "
        f"95 % interval {low:.1f} to {high:.1f}",
        f"model as given: {entry.model}",
    ]
    if entry.truncated is not None:
        said.append(f"{100 * entry.truncated:.1f} % cut by the token limit")
    if protocol.name:
        said.append(f"protocol {protocol.name}")
    said += [f"deviates from {one}" for one in protocol.deviations]
    said.append(f"reasonbench {stack.stack.get('reasonbench', '')}".strip())
    return "; ".join(said)


def _quoted(text: str) -> str:
    """A double-quoted scalar: JSON's, without characters that YAML does not allow."""
    return json.dumps(
        "".join(char if char.isprintable() else " " for char in text), ensure_ascii=False
    )


def _slug(text: str) -> str:
    """A file name: letters, digits, and - . _ alone."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "model"
