"""Tokens, requests and seconds of a whole run, as results.json has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonbench.generate import ABORTED_TOKENS, GENERATION_SECONDS
from reasonbench.runs import RunStore


def used(
    store: RunStore, plan: Mapping[str, Any], *, drawn_here: bool, served: bool
) -> dict[str, Any]:
    """What the run really took, all resumptions together.

    None is unknown: nobody counted it, as in completions that were drawn elsewhere.

    Args:
        plan: as reasonbench.summary.PLAN holds it.
        drawn_here: completions are of a model that this run asked, not recorded ones.
        served: the model is behind a server, which may not say how many tokens it wrote.
    """
    total = store.usage()
    pools = [
        spec for task in plan["benchmarks"].values() for spec in task.get("pools", {}).values()
    ]
    imported = [spec for spec in pools if spec.get("imported")]
    here = not imported and drawn_here
    counted = here or (bool(imported) and all(s.get("tokens") == "recorded" for s in imported))
    return {
        "requests": total.requests if counted else None,
        "prompt_tokens": total.prompt_tokens if counted else None,
        "cached_tokens": total.cached_tokens if here else None,
        "decode_tokens": total.decode_tokens if counted else None,
        "aborted_tokens": int(store.meta(ABORTED_TOKENS) or 0) if here else None,
        "reward_tokens": total.reward_tokens,
        "reward_cached_tokens": total.reward_cached_tokens,
        "generation_seconds": float(store.meta(GENERATION_SECONDS) or 0.0) if here else None,
        **({"uncounted": store.uncounted()} if served else {}),
    }
