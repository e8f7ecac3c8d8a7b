"""How long a report takes over a large run, and how much memory.

    python perf/report.py [SAMPLES] [FOLDER]

Makes a run of that many samples (1,000,000) in FOLDER (a temporary one) with the schema of the run
store: 64 samples of each problem, 400 characters and 120 tokens each, one in 20 with letters beyond
ASCII, each with the score of an outcome reward. Then reads it as `reasonbench report` does, in a
process of its own, and prints seconds and peak memory. The rows of its results.json are those of
its first 100 problems. A run that is in FOLDER already is read as it is. The page is made without
PNG and SVG of its charts, which do not depend on the samples.
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from reasonbench.costs import Pricing
from reasonbench.results import rows
from reasonbench.runs import RunStore
from reasonbench.strategies import parse
from reasonbench.summary import MODEL, PLAN, REWARD, judged_by, measured_of
from reasonbench.types import ModelInfo, Problem, Question

BENCHMARK, POOL, SCORER = "sums", "drawn", "orm"
SAMPLES_EACH = 64
STRATEGIES = ("cot@64", "maj@64", "wbon@64:scorer=reward", "oracle@64")
TABLED = 100
"""Problems that the rows of results.json are of."""

TOKENS = 120
WORDS = ("add", "the", "two", "numbers", "and", "carry", "one", "so", "that", "sum", "is", "what")
POLICY = ModelInfo("toy", "none", "0", active_parameters=100, layers=1, hidden_size=4)


def make(folder: Path, samples: int) -> None:
    """The run's database by bulk inserts, and its results.json."""
    problems = max(1, samples // SAMPLES_EACH)
    reward = {"name": SCORER, "kind": "outcome", "adapter": "none", "model": asdict(POLICY)}
    task: dict[str, Any] = {
        "source": "generated:sums",
        "problems": problems,
        "completions": {POOL: problems * SAMPLES_EACH},
        "strategies": dict.fromkeys(STRATEGIES, POOL),
    }
    plan = {"benchmarks": {BENCHMARK: task}, "reward": SCORER, "deviations": [], "notes": []}
    with RunStore.create_or_resume(folder, {"model": POLICY.model, "seed": 0}) as store:
        store.set_meta(PLAN, json.dumps(plan))
        store.set_meta(MODEL, json.dumps(asdict(POLICY)))
        store.set_meta(f"{REWARD}:{SCORER}", json.dumps(reward))
        store.add_pool(POOL, {})
        store.add_problems(
            Problem(
                Question(f"p{i:06}", BENCHMARK, f"What is {i} + {i}?"), str(2 * i), str(i % 5 + 1)
            )
            for i in range(problems)
        )
    _fill(folder, problems)
    with RunStore.open(folder) as store:
        judging = judged_by(store, SCORER, POLICY)
        first = list(islice(store.samples(BENCHMARK, POOL), TABLED))
        found: list[dict[str, Any]] = []
        for spelled in STRATEGIES:
            measured = measured_of(store, plan, BENCHMARK, spelled, judging, problems=first)
            made = rows(BENCHMARK, parse(spelled), measured, POLICY, Pricing(1e-4), judging)
            found += [row | {"problems": problems} for row in made]
    results = {
        "schema": 1,
        "run": {"name": folder.name, "graded": problems * SAMPLES_EACH, "complete": True},
        "model": asdict(POLICY),
        "reward": reward,
        "stack": {},
        "protocol": plan,
        "rows": found,
    }
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")


def _fill(folder: Path, problems: int) -> None:
    connection = sqlite3.connect(folder / "run.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN")
    ids = b"H" + array("H", range(TOKENS)).tobytes()
    made = _samples(problems)
    while batch := list(islice(made, 20_000)):
        keys = [(BENCHMARK, f"p{problem:06}", POOL, 0, sample) for problem, sample, *_ in batch]
        connection.executemany(
            f"INSERT INTO completions VALUES ({', '.join('?' * 23)})",
            (
                (*key, "length" if cut else "stop", None, 1, 0, -0.5, None, tokens,
                 20, 0, tokens, 0, 0, 0.01, 1, text, ids, None, None)
                for key, (_, _, cut, tokens, text, *_) in zip(keys, batch, strict=True)
            ),
        )  # fmt: skip
        connection.executemany(
            f"INSERT INTO verdicts VALUES ({', '.join('?' * 10)})",
            (
                (*key, "correct" if right else "incorrect", None if cut else str(answer),
                 "integer", "", -1 if cut else answer)
                for key, (_, _, cut, _, _, right, answer, _) in zip(keys, batch, strict=True)
            ),
        )  # fmt: skip
        connection.executemany(
            f"INSERT INTO step_scores VALUES ({', '.join('?' * 8)})",
            ((*key, SCORER, -1, one[-1]) for key, one in zip(keys, batch, strict=True)),
        )
    connection.execute("COMMIT")
    connection.close()


def _samples(problems: int) -> Iterator[tuple[int, int, bool, int, str, bool, int, float]]:
    """(problem, sample, cut, tokens, text, right, answer class, score)."""
    drawn = random.Random(0)
    texts = [" ".join(drawn.choices(WORDS, k=90))[:400] for _ in range(100)]
    texts[::20] = [text.replace(" is ", " → ") for text in texts[::20]]
    for problem in range(problems):
        ease = drawn.random()
        for sample in range(SAMPLES_EACH):
            right = drawn.random() < ease
            cut = not right and drawn.random() < 0.05
            answer = 0 if right else drawn.randint(1, 9)
            score = min(1.0, max(0.0, drawn.gauss(0.7 if right else 0.4, 0.2)))
            tokens = 2 * TOKENS if cut else drawn.randint(10, 2 * TOKENS - 1)
            yield problem, sample, cut, tokens, drawn.choice(texts), right, answer, score


def read(folder: Path) -> None:
    """Read the run once, as a process of its own, write its page, and print what that took."""
    from reasonbench.reports.charts import report_charts
    from reasonbench.reports.leaderboard import read_report
    from reasonbench.reports.report_page import report_page

    started, busy = time.perf_counter(), time.process_time()
    report = read_report([folder])
    stacked = report.runs[0]
    print(
        f"{stacked.samples:,} samples, {(folder / 'run.db').stat().st_size / 2**20:,.0f} MiB: "
        f"read in {time.perf_counter() - started:.1f} s ({time.process_time() - busy:.1f} s of one "
        f"core), {len(report.entries)} entries; peak {_peak():,.0f} MiB"
    )
    started = time.perf_counter()
    page = report_page(report, report_charts(report))
    print(
        f"page of {len(page.encode()) / 2**20:.1f} MiB in {time.perf_counter() - started:.1f} s; "
        f"peak {_peak():,.0f} MiB"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
        return
    samples = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary) / "large"
        if not (folder / "results.json").is_file():
            started = time.perf_counter()
            make(folder, samples)
            print(f"made in {time.perf_counter() - started:.0f} s")
        # a process of its own, so that making the run is not in its peak
        subprocess.run([sys.executable, __file__, "--read", str(folder)], check=True)


if __name__ == "__main__":
    main()
