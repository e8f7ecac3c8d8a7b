"""The server over a model that is served elsewhere: what that cannot do, and what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reasonbench.engines import Engine, EngineConfig, open_engine
from reasonbench.errors import UsageError
from reasonbench.rewards import RewardOptions
from reasonbench.rewards.written import WrittenReward
from tests.engines.loop import BackgroundLoop
from tests.engines.served_model import ServedModel
from tests.server.served import ASKED, Served, serving


@pytest.fixture
def chat() -> Iterator[ServedModel]:
    """It has no completions, no log-probabilities and no tokenizer."""
    server = ServedModel("chat")
    yield server
    server.close()


@contextmanager
def over(chat: ServedModel, *specs: str, **more: Any) -> Iterator[Served]:
    """Serve what a server of chats serves."""
    loop = BackgroundLoop()
    engine: Engine = loop.run(open_engine(EngineConfig(model="openai:toy", base_url=(chat.url,))))
    try:
        with serving(engine, *specs, loop=loop, **more) as served:
            yield served
    finally:
        loop.run(engine.aclose())
        loop.close()


def test_a_listed_strategy_that_the_engine_cannot_run_is_refused_at_the_start(
    chat: ServedModel,
) -> None:
    with pytest.raises(UsageError, match="conf@4 needs the log-probabilities"):  # noqa: SIM117 - only the inner one is to fail
        with over(chat, "maj@4", "conf@4"):
            raise AssertionError("it was served")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model": "conf@4"}, "needs the log-probabilities"),
        ({"model": "revise@2:select=maj"}, "has a chat route only"),
        ({"top_k": 5}, "samples with top_k"),
        ({"min_p": 0.1}, "samples with top_k or min_p"),
        ({"thinking": True}, "switches thinking"),
        ({"budget": 100}, "counts tokens"),
    ],
)
def test_a_call_that_the_engine_cannot_serve_is_refused(
    chat: ServedModel, more: dict[str, Any], said: str
) -> None:
    with over(chat) as served:
        chat.requests.clear()
        answer = served.post({**ASKED, **more})
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert chat.requests == []


def test_what_cannot_be_run_is_not_listed(chat: ServedModel) -> None:
    with over(chat) as served:
        listed = [model["id"] for model in served.get("/v1/models").json()["data"]]
    assert listed == ["cot@1", "maj@8", "asc@16"]


def test_tokens_are_those_that_the_server_counts(chat: ServedModel) -> None:
    with over(chat) as served:
        found = served.post({**ASKED, "candidates": True}).json()
    usage = found["usage"]
    tokens = [candidate["tokens"] for candidate in found["candidates"]]
    assert all(tokens)
    assert usage["completion_tokens"] == sum(tokens)
    assert usage["answer_tokens"] in tokens
    (message,) = ASKED["messages"]
    assert usage["prompt_tokens"] == len(f"<user>{message['content']}\n<assistant>")
    assert usage["policy_tokens"] == usage["total_tokens"] == usage["prompt_tokens"] + sum(tokens)


def test_tokens_that_nobody_counted_are_null_and_never_0(chat: ServedModel) -> None:
    def uncounted(answer: dict[str, Any]) -> dict[str, Any]:
        details = {"completion_tokens_details": {"reasoning_tokens": None}}
        return answer | {"usage": answer["usage"] | details}

    with over(chat) as served:
        chat.answer = uncounted
        found = served.post({**ASKED, "candidates": True}).json()
        served.until(lambda: served.service.calls == 0)  # a call is counted when it is sent
        metrics = served.get("/metrics").text
    usage = found["usage"]
    unknown = ("completion_tokens", "total_tokens", "answer_tokens", "policy_tokens")
    assert [usage[name] for name in unknown] == [None] * 4
    assert usage["prompt_tokens"] > 0
    assert [candidate["tokens"] for candidate in found["candidates"]] == [None] * 4
    assert 'reasonbench_uncounted_calls_total{strategy="maj"} 1.0' in metrics


def test_a_served_judge_chooses(chat: ServedModel) -> None:
    def mark(answer: dict[str, Any]) -> dict[str, Any]:
        (choice,) = answer["choices"]
        said = {"role": "assistant", "content": "Mark: [[6]] \\boxed{4}"}
        return answer | {"choices": [choice | {"message": said}]}

    loop = BackgroundLoop()
    engine: Engine = loop.run(open_engine(EngineConfig(model="openai:toy", base_url=(chat.url,))))
    chat.answer = mark
    reward = WrittenReward("openai:toy", "judge", engine, RewardOptions(), owned=True)
    with serving(engine, loop=loop, reward=reward) as served:
        found = served.post({**ASKED, "model": "bon@2", "candidates": True}).json()
    loop.run(reward.aclose())
    loop.close()
    assert [candidate["score"] for candidate in found["candidates"]] == [0.6, 0.6]
    assert found["usage"]["reward_tokens"] > 0
