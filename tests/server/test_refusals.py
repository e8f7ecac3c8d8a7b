"""What is refused, and in which words: fields, models, keys, bodies, paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.server.app import Limits
from reasonbench.server.ask import read
from reasonbench.server.catalogue import Catalogue
from reasonbench.server.errors import ApiError
from tests.server.served import ASKED, SAYS, Served, Words, never, saying, serving


@pytest.fixture(scope="module")
def idle() -> Iterator[Served]:
    """A server that never answers, for calls that are refused."""
    with serving(Words(never), patience=1) as served:
        yield served
        assert served.service.calls == 0
        assert served.service.engine.running == 0


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
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options", "an object"),
        ({"stream": True, "stream_options": {"every": 2}}, "stream_options", 'no "every"'),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options", ""),
        ({"temperature": 10**400}, "temperature", "at most 2"),
        ({"top_p": float("nan")}, "top_p", "got NaN"),
        ({"messages": [{"role": "user", "content": "x", "name": "Tom"}]}, "messages[0].name",
         "not served"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]},
                       {"role": "user", "content": "y"}]}, "messages[0].tool_calls", "not served"),
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
    # httpx writes no NaN
    answer = idle.send(json.dumps({**ASKED, **more}).encode())
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


def test_a_key_of_other_letters_is_a_key() -> None:
    headers = {"Authorization": "Bearer ключ".encode()}
    with serving(Words(saying("\\boxed{7}")), key="ключ") as served:
        assert served.get("/v1/models", headers=headers).status_code == 200
        assert served.get("/v1/models", headers={"Authorization": "Bearer k"}).status_code == 401


def test_calls_with_a_wrong_key_are_counted() -> None:
    with serving(Words(never), key="s3cret") as served:
        served.post(ASKED)
        metrics = served.get("/metrics", headers={"Authorization": "Bearer s3cret"}).text
    assert 'reasonbench_calls_total{status="401",strategy="none"} 1.0' in metrics


def test_what_a_client_sends_back_of_an_answer_is_taken() -> None:
    said = {"role": "assistant", "content": "7", "reasoning_content": "hm"}
    echoed = {**said, "refusal": None, "annotations": [], "tool_calls": None}
    turns = [*ASKED["messages"], echoed, {"role": "user", "content": "And 4 + 4?"}]
    with serving(Words(saying("\\boxed{8}"))) as served:
        assert served.post({**ASKED, "messages": turns}).status_code == 200
        padded = {"stream": True, "stream_options": {"include_obfuscation": False}}
        assert served.post({**ASKED, **padded}).status_code == 200


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
