"""`--max-usd` where tokens have prices: what is counted, and when a run stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reasonbench.costs import TokenPrices
from reasonbench.engines.base import EngineError
from reasonbench.errors import UsageError
from reasonbench.evaluate import Evaluated, evaluate
from reasonbench.rewards import RewardOptions
from reasonbench.rewards.written import WrittenReward
from reasonbench.spending import Billed, Spending
from reasonbench.types import Completion, Message, Prompt, RequestKey, SamplingParams, Usage
from tests.evaluation.toy import Answer, Silent, Toy, configuration, right

DOLLAR = 1e6
"""A price per million that makes a token cost one dollar: a completion of the toy costs 2 + 3."""


def run(
    folder: Path, answer: Answer = right, spending: Spending | None = None, **more: Any
) -> tuple[Toy, Evaluated]:
    toy = Toy(answer)
    config = configuration(folder, **{"price_in": DOLLAR, "price_out": DOLLAR} | more)
    done = evaluate(config, folder / "run", Silent(), engine=toy, spending=spending)
    return toy, asyncio.run(done)


def test_a_run_stops_when_its_tokens_cost_the_limit(tmp_path: Path) -> None:
    toy, done = run(tmp_path, max_usd=22, max_in_flight=1)
    assert done.outcome.stopped == "--max-usd 22"
    assert not done.results["run"]["complete"]
    assert len(toy.served) == 5
    again, done = run(tmp_path, max_usd=22, max_in_flight=1)
    assert len(again.served) == 5
    assert not set(toy.served) & set(again.served)


def test_nothing_is_sent_any_more_when_the_limit_is_reached(tmp_path: Path) -> None:
    toy, _ = run(tmp_path, max_usd=22, max_in_flight=4)
    assert 5 <= len(toy.served) <= 8


def test_a_run_that_costs_less_is_complete(tmp_path: Path) -> None:
    _, done = run(tmp_path, max_usd=81)
    assert done.outcome.stopped is None
    assert done.outcome.complete


def test_models_of_one_command_share_the_limit(tmp_path: Path) -> None:
    priced = {"price_in": DOLLAR, "price_out": DOLLAR, "max_usd": 100, "max_in_flight": 1}
    config = configuration(tmp_path, **priced)
    spending = Spending(100)

    async def both() -> list[Evaluated]:
        return [
            await evaluate(config, tmp_path / name, Silent(), engine=Toy(right), spending=spending)
            for name in ("a", "b")
        ]

    first, second = asyncio.run(both())
    assert first.outcome.complete
    assert second.outcome.stopped == "--max-usd 100"
    assert spending.dollars == pytest.approx(100)


def test_time_of_gpus_counts_beside_other_models(tmp_path: Path) -> None:
    spending = Spending(1000.0)
    priced = {"price_in": None, "price_out": None, "gpu_price": 3600.0, "max_usd": 1000.0}
    _, done = run(tmp_path, spending=spending, **priced)
    assert spending.dollars == pytest.approx(done.outcome.seconds)


def test_a_listed_price_is_the_model_s_own(tmp_path: Path) -> None:
    prices = {"toy": {"input": DOLLAR, "output": 0}, "other": {"input": 0, "output": 0}}
    settings = {"price_in": None, "price_out": None, "prices": prices, "max_usd": 5}
    toy, _ = run(tmp_path, max_in_flight=1, **settings)
    assert len(toy.served) == 3


class Uncounting(Toy):
    """A server that counts no tokens."""

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        made = await super().sample(prompt, params, key)
        return Completion((), made.text, "stop", usage=Usage(requests=1))


class Aborting(Toy):
    """Counts what it had written when a request fails."""

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        self.aborted += Usage(prompt_tokens=7, decode_tokens=2, requests=1)
        raise EngineError("cut.")


def _billed(toy: Toy, text: str = "ab") -> Spending:
    """What one request costs, of one dollar a prompt token and two a generated one."""
    spending = Spending(1e9)
    engine: Any = toy
    billed = Billed(engine, TokenPrices(1.0, 2.0), spending)

    async def ask() -> None:
        key = RequestKey("b", "q1", (0,))
        await billed.sample(Prompt((), text), SamplingParams(max_tokens=50), key)

    with suppress(EngineError):
        asyncio.run(ask())
    return spending


def test_tokens_that_nobody_counted_cost_the_most_they_can_be() -> None:
    assert _billed(Toy(right)).dollars == 2 + 2 * 3
    assert _billed(Uncounting(right), "añb").dollars == 4 + 2 * 50


def test_tokens_of_aborted_requests_are_paid_for_where_they_are_known() -> None:
    assert _billed(Aborting(right)).dollars == 7 + 2 * 2


class Judge(Toy):
    """A toy that can be asked for marks."""

    def encode(self, text: str) -> Sequence[int]:
        return tuple(text.encode())

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        return Prompt((1, 2), messages[-1].content)


def test_a_served_judge_is_paid_for_by_its_own_price(tmp_path: Path) -> None:
    async def mark(key: RequestKey) -> str:
        await asyncio.sleep(0)
        return "[[7]]"

    judge: Any = Judge(mark)
    reward = WrittenReward("openai:j", "judge", judge, RewardOptions(), owned=False)
    spending = Spending(1e9)
    config = configuration(
        tmp_path, strategy=["bon@4"], reward="openai:j", reward_kind="judge", max_usd=1e9,
        prices={"toy": {"input": 0, "output": DOLLAR}, "j": {"input": DOLLAR, "output": 0}},
        base_url=["http://x/v1"],
    )  # fmt: skip
    asyncio.run(
        evaluate(
            config, tmp_path / "run", Silent(), engine=Toy(right), reward=reward, spending=spending
        )
    )
    # equal solutions of a problem are judged once
    assert len(judge.served) == 4
    assert spending.dollars == pytest.approx(16 * 3 + 4 * 2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_usd": 1}, "--price-in"),
        ({"max_usd": 1, "prices": {"other": {"input": 1, "output": 1}}}, "the price of toy"),
        ({"max_usd": 1, "price_in": 1, "price_out": 1, "reward": "openai:j",
          "reward_kind": "judge"}, "the price of openai:j"),
        ({"max_usd": 1, "gpu_price": 1, "model": "builtin", "watch": "."}, "--watch"),
    ],
)  # fmt: skip
def test_a_limit_without_a_price_is_refused(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        configuration(tmp_path, **settings)
