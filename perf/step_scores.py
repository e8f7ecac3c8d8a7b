"""How well a process reward tells right steps from wrong ones, on the built-in families.

    reasonbench eval --limit 150 --strategy wbon@16 --reward builtin-prm --out runs/judged
    python perf/step_scores.py runs/judged [--samples 16]

Reads the step scores that the run stored (so the engine that served the reward is that of the
run) and compares them with exact labels (`reasonbench.builtin.steps`). Prints the area under the
ROC curve for each family and for both together: over all steps, over last steps (with the answer)
and over the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from reasonbench.builtin import arithmetic, countdown
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--reward", default="builtin-prm")
    parser.add_argument("--samples", type=int, default=16)
    args = parser.parse_args()
    items = {item.id: item for item in chain(arithmetic.test_split(), countdown.test_split())}
    with RunStore.open(args.run) as store:
        rows = list(judged(store, args.reward, args.samples, items))
    for name in (*FAMILIES, "both"):
        parts = []
        for what, wanted in (("all", (True, False)), ("last", (True,)), ("inner", (False,))):
            chosen = [r for r in rows if name in (r[0], "both") and r[1] in wanted]
            if not chosen:
                continue
            area = auc([r[2] for r in chosen], [r[3] for r in chosen])
            parts.append(f"{what} {area:.3f} ({len(chosen):,} steps)")
        print(f"{name}: AUC {', '.join(parts) or 'nothing scored'}")


if __name__ == "__main__":
    main()
