"""The server's contract: answers, errors, limits and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.errors import UsageError
from reasonbench.server.app import Limits
from reasonbench.server.ask import read
from reasonbench.server.catalogue import Catalogue
from reasonbench.server.errors import ApiError
from reasonbench.server.listen import Listener, is_local
from reasonbench.types import Message, RequestKey, SamplingParams
from tests.server.served import ASKED, Served, Words, chunks, never, saying, serving

SAYS = ("3 + 4 = 7 so \\boxed{7}", "it is \\boxed{8}", "\\boxed{7.0}", "no idea")


@pytest.fixture(scope="module")
def idle() -> Iterator[Served]:
    """A server that never answers, for calls that are refused."""
    with serving(Words(never), patience=1) as served:
        yield served
        assert served.service.calls == 0
        assert served.service.engine.running == 0


def client(served: Served, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)


def test_the_answer_is_that_of_the_majority() -> None:
    with serving(Words(saying("\\boxed{8}", *SAYS))) as served:
        answer = served.post({**ASKED, "model": "maj@5", "candidates": True})
    found = answer.json()
    assert answer.status_code == 200
    (choice,) = found["choices"]
    # two against two: either may win, and the first of its answers speaks
    assert choice["message"]["content"] in ("\\boxed{8}", SAYS[0])
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "stop"
    assert [c["answer"] for c in found["candidates"]] == ["8", "7", "8", "7.0", None]
    assert [c["answer_class"] for c in found["candidates"]] == [0, 1, 0, 1, -1]
    assert sum(c["chosen"] for c in found["candidates"]) == 1


def test_usage_counts_the_prompt_once_and_every_sample() -> None:
    with serving(Words(saying(*SAYS))) as served:
        usage = served.post(ASKED).json()["usage"]
    words = sum(len(text.split(" ")) for text in SAYS)
    assert usage["prompt_tokens"] == 6
    assert usage["completion_tokens"] == words
    assert usage["total_tokens"] == 6 + words == usage["policy_tokens"]
    assert usage["answer_tokens"] in (len(SAYS[0].split()), len(SAYS[2].split()))
    assert usage["requests"] == 4
    assert usage["reward_tokens"] == 0


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


def test_a_stream_ends_with_candidates_where_they_are_asked_for() -> None:
    with serving(Words(saying(*SAYS))) as served:
        found = chunks(served.post({**ASKED, "stream": True, "candidates": True}))
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len(found[-1]["candidates"]) == 4
    assert "usage" not in found[-1]


def test_a_stream_tells_an_error() -> None:
    async def refusing(key: RequestKey, params: SamplingParams) -> str:
        raise EngineError("too tired.")

    with serving(Words(refusing)) as served:
        assert served.post(ASKED).status_code == 502
        found = chunks(served.post({**ASKED, "stream": True}))
    assert found == [
        {
            "error": {
                "message": "the engine refused every request: too tired.",
                "type": "server_error",
                "param": None,
                "code": "engine_error",
            }
        }
    ]


def test_one_failed_request_costs_one_sample() -> None:
    async def some(key: RequestKey, params: SamplingParams) -> str:
        if key.path == (1,):
            raise EngineError("no.")
        return "\\boxed{7}"

    with serving(Words(some)) as served:
        found = served.post({**ASKED, "candidates": True}).json()
    assert found["choices"][0]["message"]["content"] == "\\boxed{7}"
    assert [c["finish_reason"] for c in found["candidates"]] == ["stop", "aborted", "stop", "stop"]


def test_the_same_call_has_the_same_answer_and_another_seed_another() -> None:
    engine = Words(saying(*SAYS))
    with serving(engine) as served:
        for more in ({}, {}, {"seed": 5}, {"temperature": 0.1}):
            served.post({**ASKED, "model": "cot@1", **more})
    seeds = [params.seed for _, params in engine.asked]
    assert seeds[0] == seeds[1] == seeds[3] != seeds[2]
    assert [params.temperature for _, params in engine.asked] == [1, 1, 1, 0.1]


def test_a_call_says_how_it_is_sampled_before_the_strategy_does() -> None:
    engine = Words(saying(*SAYS))
    with serving(engine) as served:
        for more in ({}, {"temperature": 0, "top_p": 0.5, "max_tokens": 9, "top_k": 3}):
            served.post({**ASKED, "model": "cot@1:temperature=0.7,max_tokens=11", **more})
    first, second = (params for _, params in engine.asked)
    assert (first.temperature, first.top_p, first.max_tokens) == (0.7, 1, 11)
    assert (second.temperature, second.top_p, second.max_tokens, second.top_k) == (0, 0.5, 9, 3)


def test_stop_strings_are_left_out_of_the_answer() -> None:
    with serving(Words(saying("one two STOP three"))) as served:
        found = served.post({**ASKED, "stop": "STOP"}).json()
    assert found["choices"][0]["message"]["content"] == "one two "


def test_thinking_is_told_apart() -> None:
    with serving(Words(saying("<think>hm</think>\n\\boxed{7}"))) as served:
        message = served.post(ASKED).json()["choices"][0]["message"]
        streamed = chunks(served.post({**ASKED, "stream": True}))
    assert (message["reasoning_content"], message["content"]) == ("hm", "\\boxed{7}")
    deltas = [c["choices"][0]["delta"] for c in streamed]
    assert {"reasoning_content": "hm"} in deltas


def test_what_has_no_form_in_json_is_replaced() -> None:
    with serving(Words(saying("\ud800 half \\boxed{7}"))) as served:
        found = served.post(ASKED).json()
    assert found["choices"][0]["message"]["content"] == "\ufffd half \\boxed{7}"


def test_thinking_that_the_template_opened_is_no_answer() -> None:
    with serving(Words(saying("I wonder"))) as served:
        asked = {**ASKED, "messages": [{"role": "user", "content": "think aloud"}]}
        message = served.post(asked).json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("I wonder", "")


def test_conversations_are_rendered_whole() -> None:
    engine = Words(saying(*SAYS))
    turns = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("hi", "you")]},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "3 + 4?"},
    ]  # fmt: skip
    with serving(engine, system="be kind") as served:
        served.post({**ASKED, "messages": turns})
        served.post(ASKED)
    assert engine.rendered[0] == (
        Message("system", "be brief"),
        Message("user", "hi\nyou"),
        Message("assistant", "hello"),
        Message("user", "3 + 4?"),
    )
    assert engine.rendered[1][0] == Message("system", "be kind")


def test_a_budget_pays_for_the_first_samples_only() -> None:
    engine = Words(saying("a b c \\boxed{1}"))
    with serving(engine) as served:
        found = served.post({**ASKED, "model": "maj@16", "budget": 20, "candidates": True}).json()
    # the prompt takes 6, three samples 12; the fourth does not end within the 2 that are left
    assert len(found["candidates"]) == 3
    assert found["usage"]["policy_tokens"] <= 20


def test_a_budget_that_ends_in_the_first_sample_cuts_it() -> None:
    with serving(Words(saying("a b c \\boxed{1}"))) as served:
        found = served.post({**ASKED, "budget": 8}).json()
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["choices"][0]["message"]["content"] == "a b"


def test_adaptive_strategies_draw_what_they_need() -> None:
    engine = Words(saying("\\boxed{7}"))
    with serving(engine) as served:
        plain = served.post({**ASKED, "model": "asc@40", "candidates": True}).json()
        within = served.post({**ASKED, "model": "asc@40", "candidates": True, "budget": 99}).json()
    assert plain["choices"][0]["message"]["content"] == "\\boxed{7}"
    assert 2 < len(plain["candidates"]) < 10
    assert within["candidates"] == plain["candidates"]


@pytest.mark.parametrize(
    ("more", "param", "said"),
    [
        ({"n": 2}, "n", "stands in the model's name"),
        ({"n": True}, "n", "not served"),
        ({"tools": [{"type": "function"}]}, "tools", "not served"),
        ({"logprobs": True}, "logprobs", "not served"),
        ({"response_format": {"type": "json_object"}}, "response_format", "not served"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "not served"),
        ({"temprature": 1}, "temprature", "did you mean 'temperature'?"),
        ({"temperature": -1}, "temperature", "at least 0"),
        ({"temperature": 2.5}, "temperature", "at most 2"),
        ({"temperature": "hot"}, "temperature", 'got "hot"'),
        ({"top_p": 0}, "top_p", "above 0"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"max_tokens": 1.5}, "max_tokens", "whole number"),
        ({"budget": -3}, "budget", "at least 1"),
        ({"candidates": 1}, "candidates", "true or false"),
        ({"grader": "vibes"}, "grader", "math, integer, choice"),
        ({"stop": ["a"] * 5}, "stop", "at most four"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "for streams"),
        ({"messages": []}, "messages", "at least one message"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "system, user"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages", "of the user"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "must be text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         "messages[0].content", "images"),
        ({"model": 3}, "model", "must name a strategy"),
        ({"model": "oracle@4"}, "model", "needs the reference answer"),
        ({"model": "beam@4"}, "model", "--reward"),
        ({"model": "codet@4"}, "model", "code"),
        ({"model": "maj@4:filter=public"}, "model", "code"),
        ({"model": "maj@65"}, "model", "at most 64"),
        ({"model": "cot@1:exemplars=/etc/passwd"}, "model", "operator"),
        ({"messages": [{"role": "user", "content": "word " * 400}]}, "messages", "401 tokens"),
    ],
)  # fmt: skip
def test_what_is_not_served_is_told_in_a_sentence(
    idle: Served, more: dict[str, Any], param: str, said: str
) -> None:
    answer = idle.post({**ASKED, **more})
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert error["param"] == param
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"model": ' + b"9" * 9999 + b"}"],
)
def test_broken_json_is_told(idle: Served, body: bytes) -> None:
    answer = idle.send(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_lone_surrogate_is_told() -> None:
    with pytest.raises(ApiError, match="lone surrogate"):
        read(b'{"model": "maj", "messages": [{"role": "user", "content": "\\ud800"}]}')


@pytest.mark.parametrize(
    "model", ["maj@0", "nothing@4", "maj@x", "maj@4:colour=red", "@", "a" * 999]
)
def test_an_unknown_model_is_404(idle: Served, model: str) -> None:
    answer = idle.post({**ASKED, "model": model})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_only_listed_strategies_are_served_however_they_are_spelled() -> None:
    with serving(Words(saying(*SAYS)), "maj@4:temperature=0.5") as served:
        assert served.post({**ASKED, "model": "maj@4:temperature=0.5"}).status_code == 200
        assert served.post({**ASKED, "model": "maj@4:temperature=.50"}).status_code == 200
        assert served.post({**ASKED, "model": "maj@4"}).status_code == 404
        assert [m["id"] for m in served.get("/v1/models").json()["data"]] == [
            "maj@4:temperature=0.5"
        ]


@pytest.mark.parametrize(
    "spec", ["oracle@4", "bon@4:scorer=reward", "codet@4", "maj@4:inputs=model"]
)
def test_a_listed_strategy_that_cannot_be_served_is_told_at_the_start(spec: str) -> None:
    with pytest.raises(UsageError):
        Catalogue([spec], reward=False)


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic s3cret", "Bearer ключ"])
def test_a_wrong_key_is_401_everywhere_but_on_health(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    with serving(Words(never), key="s3cret") as served:
        answers = [
            served.post(ASKED, headers=headers),
            served.get("/v1/models", headers=headers),
            served.get("/metrics", headers=headers),
        ]
        assert served.get("/health").status_code == 200
        right = {"Authorization": "Bearer s3cret"}
        assert served.get("/v1/models", headers=right).status_code == 200
    assert [a.status_code for a in answers] == [401, 401, 401]
    assert answers[0].json()["error"]["type"] == "authentication_error"
    assert answers[0].headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_413(chunked: bool) -> None:
    body = json.dumps({**ASKED, "padding": "x" * 5000}).encode()
    parts = (body[i : i + 512] for i in range(0, len(body), 512))
    with serving(Words(never), limits=Limits(body=4096)) as served:
        answer = served.send(parts if chunked else body)
        assert served.service.calls == 0
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


def test_a_form_is_no_json(idle: Served) -> None:
    answer = idle.send(b"model=maj", "application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


def test_unknown_paths_and_methods_have_openais_shape(idle: Served) -> None:
    assert idle.get("/v1/embeddings").json()["error"]["message"].startswith("there is no")
    assert idle.get("/v1/chat/completions").status_code == 405
    assert idle.get("/v1/models/nothing").status_code == 404


def test_a_full_server_says_when_to_come_again() -> None:
    limits = Limits(calls=2)
    with (
        serving(Words(never), limits=limits, patience=1) as served,
        ThreadPoolExecutor(2) as pool,
    ):
        for _ in range(2):
            pool.submit(served.post, ASKED)
        served.until(lambda: served.service.calls == 2)
        answer = served.post(ASKED)
        served.listener.stop()
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_frees_the_engine(stream: bool) -> None:
    body = json.dumps({**ASKED, "stream": stream}).encode()
    with serving(Words(never)) as served:
        hanging = socket.create_connection(("127.0.0.1", served.listener.port))
        hanging.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        served.until(lambda: served.service.engine.running == 4)
        hanging.close()
        served.until(lambda: served.service.engine.running == 0)
        served.until(lambda: served.service.calls == 0)
        metrics = served.get("/metrics").text
    assert 'reasonbench_calls_total{status="gone",strategy="maj"} 1.0' in metrics
    assert "reasonbench_engine_requests_in_flight 0.0" in metrics


def test_metrics_count_calls_and_tokens() -> None:
    with serving(Words(saying("\\boxed{7}"))) as served:
        served.post(ASKED)
        served.post({**ASKED, "model": "gpt"})
        metrics = served.get("/metrics").text
    assert 'reasonbench_calls_total{status="200",strategy="maj"} 1.0' in metrics
    assert 'reasonbench_calls_total{status="404",strategy="none"} 1.0' in metrics
    assert 'reasonbench_tokens_total{kind="decode",strategy="maj"} 4.0' in metrics
    assert 'reasonbench_call_seconds_count{strategy="maj"} 1.0' in metrics


def test_calls_in_flight_end_before_the_server_does() -> None:
    going = threading.Event()

    async def slowly(key: RequestKey, params: SamplingParams) -> str:
        while not going.is_set():
            await asyncio.sleep(0)
        return "\\boxed{7}"

    with serving(Words(slowly)) as served, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(served.post, ASKED)
        served.until(lambda: served.service.engine.running == 4)
        served.listener.stop()
        going.set()
        assert answer.result().json()["choices"][0]["message"]["content"] == "\\boxed{7}"


def test_calls_that_take_too_long_are_aborted_at_the_end() -> None:
    with ThreadPoolExecutor(1) as pool:
        with serving(Words(never), patience=1) as served:
            answer = pool.submit(served.post, ASKED)
            served.until(lambda: served.service.engine.running == 4)
        assert served.service.engine.running == 0
        with pytest.raises(httpx.HTTPError):
            answer.result()


def test_a_dead_engine_is_told_and_ends_the_server() -> None:
    async def dying(key: RequestKey, params: SamplingParams) -> str:
        raise EngineDeadError("out of memory")

    with serving(Words(dying)) as served:
        told: list[str] = []
        served.service.died = told.append
        assert served.post(ASKED).status_code == 503
        assert served.get("/health").status_code == 503
        assert served.post(ASKED).json()["error"]["code"] == "engine_dead"
    assert told == ["out of memory"]


def test_a_fault_of_ours_is_500_and_tells_nothing_of_the_inside() -> None:
    async def broken(key: RequestKey, params: SamplingParams) -> str:
        raise ZeroDivisionError("/secret/path")

    with serving(Words(broken)) as served:
        answer = served.post(ASKED)
        assert served.service.calls == 0
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_many_clients_at_once_lose_nothing() -> None:
    with serving(Words(saying(*SAYS))) as served:

        async def ask(http: httpx.AsyncClient, i: int) -> tuple[int, str]:
            body = {**ASKED, "messages": [{"role": "user", "content": f"{i} + 4?"}]}
            answer = await http.post(f"{served.url}/v1/chat/completions", json=body)
            return answer.status_code, answer.json()["choices"][0]["finish_reason"]

        async def all_of_them() -> set[tuple[int, str]]:
            limits = httpx.Limits(max_connections=64)
            async with httpx.AsyncClient(timeout=60, limits=limits) as http:
                return set(await asyncio.gather(*(ask(http, i) for i in range(200))))

        assert asyncio.run(all_of_them()) == {(200, "stop")}
        assert served.service.calls == served.service.engine.running == 0


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("127.3.2.1", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_local(host) == local


def test_an_address_that_is_taken_is_told() -> None:
    with serving(Words(never)) as served, pytest.raises(UsageError, match="cannot listen on"):
        Listener(None, "127.0.0.1", served.listener.port)
