"""Memory does not grow with the number of samples of a log."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from reasonbench.imports import open_log
from tests.imports.logs import inspect_sample, lm_eval_row, write_inspect, write_inspect_json

PADDING = "so " * 4000


def peak(path: Path) -> int:
    """Most bytes held while a log is recognised and read."""
    tracemalloc.start()
    try:
        assert sum(1 for _ in open_log(path).samples()) >= 20
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["lm-eval", "lm-eval array", "inspect", "inspect json"])
def test_ten_times_the_samples_take_the_same_memory(tmp_path: Path, kind: str) -> None:
    found = []
    for count in (40, 400):
        if kind.startswith("lm-eval"):
            rows = [lm_eval_row(0, [PADDING], {"exact_match": 1.0}) for _ in range(count)]
            path = tmp_path / f"{count}.jsonl"
            text = json.dumps(rows) if "array" in kind else "\n".join(map(json.dumps, rows))
            path.write_text(text, encoding="utf-8")
        else:
            samples = [inspect_sample(0, epoch, PADDING, "C") for epoch in range(1, count + 1)]
            if kind == "inspect":
                path = write_inspect(tmp_path / f"{count}.eval", samples)
            else:
                path = write_inspect_json(tmp_path / f"{count}.json", samples)
        found.append(peak(path))
    small, large = found
    # an archive's directory is read whole: some hundred bytes an entry
    assert large < 1.5 * small + 400 * 1000, found
