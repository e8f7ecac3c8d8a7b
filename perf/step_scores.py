"""How well a process reward tells right steps from wrong ones, on the built-in families.

    reasonbench eval --limit 150 --strategy wbon@16 --reward builtin-prm --out runs/judged
    python perf/step_scores.py runs/judged [--samples 16]
    python perf/step_scores.py --labels runs/prm/labels.jsonl

Reads the step scores that the run stored (so the engine that served the reward is that of the
run) and compares them with exact labels (`reasonbench.builtin.steps`). Prints the area under the
ROC curve for each family and for both together: over all steps, over last steps (with the answer)
and over the others. With `--labels` the "score" of a step is what a reward is trained on: the share
of right completions from its end, in a file that `train prm` made for the built-in families.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from reasonbench.benchmarks.builtin_training import FAMILIES as DRAWN
from reasonbench.builtin import arithmetic, code, countdown
from reasonbench.builtin.items import Item
from reasonbench.builtin.steps import right_steps
from reasonbench.metrics.calibration import auc
from reasonbench.runs import RunStore
from reasonbench.steps import Boundary, split

FAMILIES = ("builtin-arithmetic", "builtin-countdown")
Judged = tuple[str, bool, float, bool]
"""Family, whether the step is its solution's last, score, exact label."""


def judged(
    store: RunStore, reward: str, samples: int, items: Mapping[str, Item]
) -> Iterator[Judged]:
    """Every scored step of the first samples of each pool that was drawn (searches left out)."""
    pools = store.pools()
    for series in store.series():
        if series.benchmark not in FAMILIES or pools[series.pool].get("role") is not None:
            continue
        for problem in store.samples(*series, text=True):
            for sample in problem.samples[:samples]:
                scores = sample.scores.get(reward)
                if scores is None or sample.text is None:
                    continue
                steps = split(sample.text, Boundary())
                labels = right_steps(items[problem.problem.id], steps)
                for at, (score, label) in enumerate(zip(scores.steps, labels, strict=True), 1):
                    yield series.benchmark, at == len(steps), score, label


def labelled(path: Path) -> Iterator[Judged]:
    """Every step that was sampled (roll-outs left out) in a file of labels."""
    settings = json.loads(path.with_name(f"{path.stem}.settings.json").read_text())
    # the draws of `training_problems`, whose problems do not hold the steps
    rng = random.Random(f"reward problems {settings['seed']}")
    streams = {
        "arithmetic": arithmetic.training_stream(rng),
        "countdown": countdown.training_stream(rng),
        "code": code.training_stream(rng),
    }
    weights = [settings["families"].get(name, 0.0) for name in DRAWN]
    with path.open(encoding="utf-8") as file:
        for line in file:
            family = rng.choices(DRAWN, weights)[0]
            item, row = next(streams[family]), json.loads(line)
            if item.question != row["question"]:
                raise SystemExit(f"{path}: {row['id']} is not the problem that its settings give")
            for solution in row["solutions"]:
                if family == "code" or solution["rolled_out"]:
                    continue
                exact = right_steps(item, solution["steps"])
                shares = zip(solution["right"], solution["tried"], exact, strict=True)
                for at, (right, tried, label) in enumerate(shares, 1):
                    share = right / tried if tried else 0.0
                    yield row["benchmark"], at == len(exact), share, label


def print_areas(rows: Sequence[Judged]) -> None:
    """The area for each family and kind of step."""
    for name in (*FAMILIES, "both"):
        parts = []
        for what, kind in (("all", None), ("last", True), ("inner", False)):
            chosen = [r for r in rows if name in (r[0], "both") and kind in (None, r[1])]
            if not chosen:
                continue
            area = auc([r[2] for r in chosen], [r[3] for r in chosen])
            parts.append(f"{what} {area:.3f} ({len(chosen):,} steps)")
        print(f"{name}: AUC {', '.join(parts) or 'nothing scored'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--reward", default="builtin-prm")
    parser.add_argument("--samples", type=int, default=16)
    args = parser.parse_args()
    if (args.run is None) == (args.labels is None):
        parser.error("name a run, or a file with --labels")
    if args.labels:
        print_areas(list(labelled(args.labels)))
        return
    items = {item.id: item for item in chain(arithmetic.test_split(), countdown.test_split())}
    with RunStore.open(args.run) as store:
        print_areas(list(judged(store, args.reward, args.samples, items)))


if __name__ == "__main__":
    main()
