"""The real Python client of OpenAI's API against the server."""

from __future__ import annotations

import openai
import pytest

from reasonbench.engines.base import EngineError
from reasonbench.server.app import Limits
from reasonbench.types import RequestKey, SamplingParams
from tests.server.served import SAYS, Served, Words, never, saying, serving


def client(served: Served, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)


def test_the_openai_client_gets_its_answer() -> None:
    with serving(Words(saying(*SAYS))) as served:
        found = client(served).chat.completions.create(
            model="maj@4",
            messages=[{"role": "user", "content": "What is 3 + 4?"}],
            temperature=0.5,
            max_tokens=20,
            extra_body={"candidates": True},
        )
    assert found.choices[0].message.content in (SAYS[0], SAYS[2])
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.model_extra is not None
    assert found.usage.model_extra["requests"] == 4
    assert found.model_extra is not None
    assert len(found.model_extra["candidates"]) == 4


def test_the_openai_client_streams() -> None:
    long = " ".join(f"word{i}\n" for i in range(40)) + "\\boxed{7}"
    with serving(Words(saying(long))) as served:
        stream = client(served).chat.completions.create(
            model="maj@4",
            messages=[{"role": "user", "content": "What is 3 + 4?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        found = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in found if c.choices) == long
    assert len(found) > 5
    assert [c.choices[0].finish_reason for c in found if c.choices][-1] == "stop"
    assert found[-1].usage is not None
    assert found[-1].usage.completion_tokens == 4 * len(long.split(" "))
    assert {c.object for c in found} == {"chat.completion.chunk"}


def test_the_openai_client_raises_what_a_stream_says() -> None:
    async def refusing(key: RequestKey, params: SamplingParams) -> str:
        raise EngineError("too tired.")

    with serving(Words(refusing)) as served:
        stream = client(served).chat.completions.create(
            model="maj@4", messages=[{"role": "user", "content": "What is 3 + 4?"}], stream=True
        )
        with pytest.raises(openai.APIError, match="too tired"):
            list(stream)


def test_the_openai_client_is_told_when_to_come_again() -> None:
    with (
        serving(Words(never), limits=Limits(calls=0)) as served,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client(served).chat.completions.create(
            model="maj@4", messages=[{"role": "user", "content": "What is 3 + 4?"}]
        )
    assert caught.value.response.headers["retry-after"] == "1"


def test_the_openai_client_lists_models_and_reads_errors() -> None:
    with serving(Words(saying(*SAYS)), "maj@4", "cot@1", key="k") as served:
        assert [m.id for m in client(served, "k").models.list()] == ["maj@4", "cot@1"]
        assert client(served, "k").models.retrieve("maj@4").id == "maj@4"
        with pytest.raises(openai.AuthenticationError):
            client(served, "wrong").models.list()
        with pytest.raises(openai.NotFoundError, match="no model"):
            client(served, "k").chat.completions.create(
                model="gpt", messages=[{"role": "user", "content": "x"}]
            )
