"""The engine for servers that answer what nobody expects, and keys that must not be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from reasonbench.engines import EngineConfig, EngineError, open_engine
from reasonbench.engines.openai import base_urls
from reasonbench.engines.openai_answers import Answer
from reasonbench.engines.openai_failure import Failure, read_error
from reasonbench.engines.openai_http import Wire
from reasonbench.engines.openai_pace import Pace
from reasonbench.engines.openai_served import options
from reasonbench.engines.openai_tokenizer import ServedTokens
from reasonbench.errors import UsageError
from reasonbench.types import Completion, SamplingParams
from tests.engines.faulty_server import HOSTILE, FaultyServer
from tests.engines.loop import KEY, BackgroundLoop, ask
from tests.engines.served_model import MODEL, ServedModel, listen

SECRET = "sk-very-s3cret"


@pytest.fixture
def full() -> Iterator[ServedModel]:
    server = ServedModel()
    yield server
    server.close()


@pytest.fixture
def text() -> Iterator[ServedModel]:
    """Completions of text alone."""
    server = ServedModel("text")
    yield server
    server.close()


def completed(
    loop: BackgroundLoop, server: ServedModel, url: str = "", answer: Any = None, **config: Any
) -> Completion:
    """One completion of an engine that was opened when the server still behaved."""
    name = f"openai:{MODEL}"

    async def once() -> Completion:
        engine = await open_engine(
            EngineConfig(model=name, base_url=(url or server.url,), **config)
        )
        try:
            server.answer = answer
            return await engine.sample(ask(engine), SamplingParams(max_tokens=200), KEY)
        finally:
            await engine.aclose()

    return loop.run(once())


def using(**usage: Any) -> Any:
    """Changes what an answer says of its tokens."""
    return lambda answer: answer | {"usage": answer["usage"] | usage}


def choosing(**choice: Any) -> Any:
    """Changes the choice of an answer."""
    return lambda answer: answer | {"choices": [answer["choices"][0] | choice]}


async def _listening(answer: Any) -> tuple[web.AppRunner, str]:
    """A server of one function."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return await listen(app)


def _counted(usage: dict[str, Any], said: dict[str, Any] | None = None, **given: Any) -> int | None:
    answer = Answer(**given)
    message = {"message": {"content": "42"} | (said or {}), "finish_reason": "stop"}
    answer.add({"choices": [message], "usage": usage})
    return answer.counted


def test_counts_with_a_decimal_point_are_counts() -> None:
    assert _counted({"completion_tokens": 12.0, "prompt_tokens": 3.0}) == 12


@pytest.mark.parametrize("count", ["12", 1.5, -1, float("nan"), float("inf"), True, [3]])
def test_what_is_no_number_of_tokens_is_a_broken_answer(count: Any) -> None:
    with pytest.raises(Failure, match="not as it should be"):
        _counted({"completion_tokens": count})


def test_a_count_of_zero_is_none_where_thinking_is_known_to_be_hidden() -> None:
    usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 0}}
    assert _counted(usage) == 9
    assert _counted(usage, hidden=True) is None
    sealed = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}
    assert _counted(usage, sealed) is None
    assert _counted(usage, {"reasoning": "six times seven"}, hidden=True) == 9


def test_hidden_thinking_on_the_completions_route_is_not_counted_by_its_text(
    text: ServedModel, loop: BackgroundLoop
) -> None:
    from reasonbench.builtin import model_path

    own = {"tokenizer": str(model_path())}
    unsaid = using(completion_tokens_details={"reasoning_tokens": None})
    made = completed(loop, text, answer=unsaid, **own)
    assert (made.token_ids, made.usage.decode_tokens) == ((), 0)
    said = using(completion_tokens=500, completion_tokens_details={"reasoning_tokens": 450})
    made = completed(loop, text, answer=said, **own)
    assert (made.token_ids, made.usage.decode_tokens) == ((), 500)
    shown = completed(loop, text, answer=choosing(reasoning="I think."), **own)
    assert shown.text.startswith("<think>\nI think.\n</think>")


def test_missing_log_probabilities_are_unknown(full: ServedModel, loop: BackgroundLoop) -> None:
    missing = choosing(logprobs={"token_logprobs": [None, -0.5], "top_logprobs": None})
    made = completed(loop, full, answer=missing)
    assert made.text
    assert made.mean_logprob is None
    assert made.token_logprobs is None


@pytest.mark.parametrize("ids", [["a"], [-1], [1.5], "ab"])
def test_what_are_no_token_ids_are_a_broken_answer(
    full: ServedModel, loop: BackgroundLoop, ids: Any
) -> None:
    with pytest.raises(EngineError, match="not as it should be"):
        completed(loop, full, answer=choosing(token_ids=ids), engine_args={"retries": 0})


def test_brackets_without_end_are_a_broken_answer(full: ServedModel, loop: BackgroundLoop) -> None:
    assert read_error(b"[" * 100_000).message
    proxy = FaultyServer(full.url, 0.5, HOSTILE)
    try:
        assert completed(loop, full, proxy.url).text.endswith("}.")
        assert proxy.spoiled["nested"]
    finally:
        proxy.close()


def test_an_answer_without_end_is_given_up_on(
    full: ServedModel, loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasonbench.engines.openai_http.MOST_BYTES", 100_000)
    padded = choosing(padding="x" * 200_000)
    with pytest.raises(EngineError, match="has more than 100,000 bytes"):
        completed(loop, full, answer=padded, engine_args={"retries": 0})


def test_a_server_that_is_busy_is_there(full: ServedModel, loop: BackgroundLoop) -> None:
    async def alive(url: str) -> bool:
        wire = Wire({}, Pace(60.0, 0.0))
        try:
            return await wire.alive(url)
        finally:
            await wire.aclose()

    found = []
    for fault in ("429", "500", "nested"):
        proxy = FaultyServer(full.url, 1.0, (fault,))
        found.append(loop.run(alive(proxy.url)))
        proxy.close()
    assert found == [True, False, False]


def test_the_tokenizer_of_a_server_repeats_no_key(full: ServedModel) -> None:
    root = full.url.removesuffix("/v1")
    tokens = ServedTokens(root, MODEL, {"Authorization": f"Bearer {SECRET}"}, has_template=True)
    full.key = "another"
    with pytest.raises(EngineError, match=r"Incorrect API key provided: \*\*\*") as caught:
        tokens.encode("x")
    assert caught.value.__cause__ is None


def test_the_tokenizer_of_a_server_waits_as_long_as_it_says(
    loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []

    def pause(attempt: int, failure: Failure, dice: object) -> float:
        waits.append(failure.wait)
        return 0.0

    monkeypatch.setattr("reasonbench.engines.openai_tokenizer.pause", pause)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if waits:
            return web.json_response({"tokens": [1, 2]})
        # as uvicorn writes it
        return web.Response(status=429, headers={"retry-after": "9"})

    runner, url = loop.run(_listening(answer))
    try:
        assert ServedTokens(url, MODEL, {}, has_template=True).encode("x") == (1, 2)
    finally:
        loop.run(runner.cleanup())
    assert waits == [9.0]


@pytest.mark.parametrize("said", [{}, {"tokens": "ab", "prompt": 3}, {"tokens": ["a"]}])
def test_a_tokenizer_that_makes_no_tokens_is_told(
    loop: BackgroundLoop, said: dict[str, Any]
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(said)

    runner, url = loop.run(_listening(answer))
    tokens = ServedTokens(url, MODEL, {}, has_template=True)
    try:
        with pytest.raises(EngineError, match="no list of tokens"):
            tokens.encode("x")
        with pytest.raises(EngineError, match="no text"):
            tokens.decode((), (1, 2))
    finally:
        loop.run(runner.cleanup())


@pytest.mark.parametrize(
    "url", ["http://[::1/v1", "http://a:99999/v1", "http://a:b/v1", "http://a/v1#x", "http:///v1"]
)
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url"):
        base_urls([url])


def test_no_password_in_a_url_is_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        base_urls(["ftp://me:s3cret@a/v1"])
    assert "s3cret" not in str(caught.value)


def test_secrets_inside_other_settings_are_refused() -> None:
    for inside in ({"provider": {"api-key": "s3cret"}}, {"tools": [{"authorization": "s3cret"}]}):
        with pytest.raises(UsageError, match="environment only") as caught:
            options({"extra_body": inside})
        assert "s3cret" not in str(caught.value)
    assert options({"extra_body": {"prompt_cache_key": "evals"}}).extra_body


@pytest.mark.parametrize(
    "config",
    [{"base_url": (f"http://127.0.0.1:1/{SECRET}/v1",)},
     {"base_url": ("http://127.0.0.1:1/v1",), "engine_args": {"extra_body": {"auth": SECRET}}}],
)  # fmt: skip
def test_a_key_is_no_part_of_what_is_written(
    loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with pytest.raises(UsageError, match="stands in --base-url or an engine argument") as caught:
        loop.run(open_engine(EngineConfig(model="openai:m", **config)))
    assert SECRET not in str(caught.value)


def test_a_key_from_a_file_may_end_with_its_line(
    full: ServedModel, loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    full.key = SECRET
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\n")
    assert completed(loop, full).text
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\nX-Header: 1")
    with pytest.raises(UsageError, match="holds characters that no key has") as caught:
        completed(loop, full)
    assert SECRET not in str(caught.value)
