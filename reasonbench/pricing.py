"""What seconds and tokens of a run cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonbench.costs import JudgedBy, Pricing, TokenPrices
from reasonbench.engines import SERVED
from reasonbench.generate import GENERATION_SECONDS
from reasonbench.runs import RunStore


def price(store: RunStore, config: Mapping[str, Any], judging: JudgedBy | None) -> Pricing:
    """Seconds and dollars of a decoded token: generation's wall-clock, shared out by tokens.

    Tokens of a reward count with its share of the policy's parameters.
    """
    tokens_cost = token_prices(config)
    seconds = float(store.meta(GENERATION_SECONDS) or 0.0)
    used = store.usage()
    tokens = used.decode_tokens + used.reward_tokens * (judging.share if judging else 0.0)
    if not seconds or not tokens:
        return Pricing(tokens=tokens_cost)
    hourly = config.get("gpu_price")
    rate = None if hourly is None else hourly * config.get("gpus", 1) / 3600
    return Pricing(seconds / tokens, rate, tokens_cost)


def token_prices(config: Mapping[str, Any]) -> TokenPrices | None:
    """What a served model's tokens cost, where the configuration says."""
    read, written = config.get("price_in"), config.get("price_out")
    if read is None or written is None:
        return listed_prices(config, next(iter(config.get("model", ())), ""))
    return TokenPrices(float(read) / 1e6, float(written) / 1e6)


def listed_prices(config: Mapping[str, Any], model: str) -> TokenPrices | None:
    """What a model's tokens cost by the configuration's table of prices."""
    listed = config.get("prices", {})
    named = listed.get(model) or listed.get(model.removeprefix(SERVED)) or {}
    given = (named.get("input"), named.get("output"))
    if given[0] is None or given[1] is None:
        return None
    return TokenPrices(float(given[0]) / 1e6, float(given[1]) / 1e6)
