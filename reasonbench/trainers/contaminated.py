"""The contamination check of a training: its texts against the benchmarks that it is judged by.

What was found is written to `contamination.json` in the folder of the training, and said.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from reasonbench import plan
from reasonbench.in_loop import LoopEval, as_eval
from reasonbench.runs.files import atomic_write
from reasonbench.runs.rows import read_rows
from reasonbench.trainers.contamination import Contamination, Index, check, record_text

FILE = "contamination.json"

MOST = 1_000_000
"""Training texts that are looked at."""

log = logging.getLogger(__name__)


def find(
    evaluation: LoopEval | None, benchmarks: Sequence[str], texts: Iterable[str]
) -> Contamination | None:
    """Looks for problems of benchmarks in training texts.

    Args:
        evaluation: whose benchmarks are looked for.
        benchmarks: further ones, by name.
        texts: one for each row of the data; the first `MOST` are looked at.

    Returns:
        What was found; None where there is no benchmark to look for.

    Raises:
        UsageError: an unknown benchmark.
    """
    evaluated = [] if evaluation is None else list(evaluation.benchmarks)
    names = list(dict.fromkeys([*evaluated, *benchmarks]))
    if not names:
        return None
    settings = (evaluation or LoopEval()).model_copy(update={"benchmarks": names})
    tasks = plan.make(as_eval(settings, "model"), "model")
    index = Index(problem for task in tasks for problem in task.problems)
    return check(index, islice(texts, MOST))


def keep(found: Contamination | None, out: Path) -> None:
    """Writes what was found to the folder, if anything was looked for."""
    if found is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found.record(), indent=1, ensure_ascii=False)
        atomic_write(out / FILE, text + "\n")


def check_texts(
    evaluation: LoopEval | None, benchmarks: Sequence[str], texts: Iterable[str], out: Path
) -> None:
    """Looks, writes down and warns; see `find`."""
    found = find(evaluation, benchmarks, texts)
    keep(found, out)
    for sentence in found.warnings() if found else ():
        log.warning("%s", sentence)


def questions(path: Path) -> Iterable[str]:
    """What each row of a file of conversations or preferences asks."""
    return (record_text(row.values) for row in read_rows(path))
