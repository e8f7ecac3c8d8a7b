"""The engine for servers, over HTTP: what it finds out, sends, survives and refuses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reasonbench.engines import Engine, EngineConfig, EngineDeadError, EngineError, open_engine
from reasonbench.engines.openai import OpenaiEngine
from reasonbench.errors import UsageError
from reasonbench.types import Completion, Message, RequestKey, SamplingParams
from tests.engines.faulty_server import FaultyServer
from tests.engines.loop import KEY, BackgroundLoop, ask, sample_all
from tests.engines.served_model import MODEL, ServedModel

Open = Callable[..., OpenaiEngine]
SECRET = "sk-very-s3cret"


@pytest.fixture
def full() -> Iterator[ServedModel]:
    server = ServedModel()
    yield server
    server.close()


@pytest.fixture
def chat() -> Iterator[ServedModel]:
    server = ServedModel("chat")
    yield server
    server.close()


@pytest.fixture
def opened(loop: BackgroundLoop) -> Iterator[Open]:
    engines: list[Engine] = []

    def open_one(*urls: str, model: str = MODEL, **options: Any) -> OpenaiEngine:
        config = EngineConfig(model=f"openai:{model}", base_url=urls, **options)
        engine = loop.run(open_engine(config))
        engines.append(engine)
        assert isinstance(engine, OpenaiEngine)
        return engine

    yield open_one
    for engine in engines:
        loop.run(engine.aclose())


def _completions(loop: BackgroundLoop, engine: Engine, count: int, **given: Any) -> list[Any]:
    """Completions without what they cost, which may differ between equal runs."""
    requests = [
        (ask(engine, f"{i % 7} + 1?"), SamplingParams(seed=i, max_tokens=200, **given))
        for i in range(count)
    ]
    made: list[Completion] = loop.run(sample_all(engine, requests))
    return [(c.text, c.token_ids, c.finish, c.mean_logprob) for c in made]


def test_the_probe_finds_out_what_a_server_can_do(full: ServedModel, opened: Open) -> None:
    engine = opened(full.url)
    served = engine.served
    assert (served.server, served.version, served.max_model_len) == ("vLLM", "1.2.3", 4096)
    assert served.completions
    assert served.token_prompts
    assert served.token_ids
    assert served.stops
    assert (served.logprobs, served.tokenizer) == (20, "served")
    assert engine.recorded["base_url"] == [full.url]
    assert engine.info.engine_version == "vLLM 1.2.3"


def test_a_server_of_chats_alone_is_found_out(chat: ServedModel, opened: Open) -> None:
    engine = opened(chat.url)
    served = engine.served
    assert (served.completions, served.chat, served.logprobs) == (False, True, -1)
    assert served.tokenizer == "none"
    assert engine.notice is not None
    assert "searches cannot be run" in engine.notice


def test_prompts_are_token_ids_where_the_server_takes_them(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine = opened(full.url)
    prompt = engine.render([Message("user", "1 + 1?")])
    assert prompt.text == "<user>1 + 1?\n<assistant>"
    assert prompt.token_ids == tuple(map(ord, prompt.text))
    params = SamplingParams(seed=5 << 60, top_k=3, max_tokens=9999)
    made = loop.run(engine.sample(prompt, params, KEY))
    path, body = full.requests[-1]
    assert path == "/v1/completions"
    assert body["prompt"] == list(prompt.token_ids)
    assert body["seed"] == 5 << 60
    assert (body["top_k"], body["repetition_penalty"]) == (3, 1.0)
    assert body["max_tokens"] == 4096 - len(prompt.token_ids)
    assert made.text.startswith("First I add the numbers.\n\n")
    assert made.token_ids == (*map(ord, made.text), 0)
    assert made.usage.prompt_tokens == len(prompt.token_ids)
    assert made.usage.decode_tokens == len(made.token_ids)


def test_chats_are_sent_as_they_are(chat: ServedModel, opened: Open, loop: BackgroundLoop) -> None:
    engine = opened(chat.url)
    made = loop.run(engine.sample(ask(engine, "1 + 1?"), SamplingParams(seed=1 << 40), KEY))
    path, body = chat.requests[-1]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "1 + 1?"}]
    assert body["seed"] < 1 << 31
    assert body.keys() <= {"model", "messages", "seed", "max_tokens", "temperature", "top_p"}
    assert made.text.endswith("}.")
    assert made.token_ids == ()
    assert made.usage.decode_tokens == len(made.text) + 1


def test_a_stop_string_stays_in_the_text_and_is_named(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine = opened(full.url)
    params = SamplingParams(stop=("\n\n",), whole_tokens=True)
    made = loop.run(engine.sample(ask(engine), params, KEY))
    assert made.text == "First I add the numbers.\n\n"
    assert (made.finish, made.stop_reason) == ("stop", "\n\n")


def test_a_watch_sees_every_token_and_ends_the_request(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine = opened(full.url)
    seen: list[tuple[int, float | None]] = []

    def watch(token: int, confidence: float | None) -> bool:
        seen.append((token, confidence))
        return len(seen) == 5

    params = SamplingParams(top_logprobs=4)
    made = loop.run(engine.sample(ask(engine), params, KEY, watch))
    assert (made.text, made.finish) == ("First", "aborted")
    assert seen == [(ord(c), 0.625) for c in "First"]
    assert made.token_confidences == (0.625,) * 5
    assert made.usage.decode_tokens >= 5


def test_a_cut_stream_is_sent_again_and_told_once(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    proxy = FaultyServer(full.url, 0.0, ("cut",))
    try:
        engine = opened(proxy.url)
        proxy.share = 0.6
        texts = []
        for i in range(6):
            told: list[int] = []
            watch = _recorder(told)
            params = SamplingParams(seed=i, max_tokens=200)
            made = loop.run(engine.sample(ask(engine), params, KEY, watch))
            texts.append(made.text)
            assert tuple(told) == made.token_ids
        assert proxy.spoiled["cut"] > 0
        assert all(text.endswith("}.") for text in texts)
    finally:
        proxy.close()


def _recorder(told: list[int]) -> Callable[[int, float | None], bool]:
    def watch(token: int, confidence: float | None) -> bool:
        told.append(token)
        return False

    return watch


def test_cancelling_closes_the_connection(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine = opened(full.url)

    async def cancel() -> None:
        full.within(lambda: setattr(full, "hold", asyncio.Event()))
        waiting = asyncio.ensure_future(engine.sample(ask(engine), SamplingParams(), KEY))
        while not full.running:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while full.running:
            await asyncio.sleep(0.01)

    loop.run(asyncio.wait_for(cancel(), 20))
    assert full.aborted == 1
    assert engine.aborted.requests == 1


def test_a_faulty_server_changes_no_completion(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    clean = _completions(loop, opened(full.url), 120)
    proxy = FaultyServer(full.url)
    try:
        engine = opened(proxy.url)
        assert engine.served == opened(full.url).served
        assert _completions(loop, engine, 120) == clean
        assert proxy.spoiled.total() > 30
        assert len(proxy.spoiled) > 6
    finally:
        proxy.close()


def _doubtful(loop: BackgroundLoop, full: ServedModel, opened: Open, fault: str) -> Any:
    """An engine that waits for ever, after errors of its server, and the server that fails."""
    proxy = FaultyServer(full.url, 0.0, ("500",))
    engine = opened(proxy.url, engine_args={"patience": 1e9})
    proxy.share = 0.2
    _completions(loop, engine, 40)
    proxy.faults, proxy.hang = (fault,), 3600.0
    return engine, proxy


def test_what_hangs_is_sent_a_second_time(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    clean = _completions(loop, opened(full.url), 120)
    engine, proxy = _doubtful(loop, full, opened, "hang")
    try:
        requests = [
            (ask(engine, f"{i % 7} + 1?"), SamplingParams(seed=i, max_tokens=200))
            for i in range(120)
        ]
        made = loop.run(asyncio.wait_for(sample_all(engine, requests), 300))
        assert proxy.spoiled["hang"] > 10
        assert [c.text for c in made] == [c[0] for c in clean]
    finally:
        proxy.close()


def test_a_stream_that_drips_is_sent_a_second_time_and_told_once(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine, proxy = _doubtful(loop, full, opened, "drip")
    try:
        proxy.share = 0.6
        for i in range(6):
            told: list[int] = []
            params = SamplingParams(seed=i, max_tokens=200)
            made = loop.run(
                asyncio.wait_for(engine.sample(ask(engine), params, KEY, _recorder(told)), 300)
            )
            assert tuple(told) == made.token_ids
            assert made.text.endswith("}.")
        assert proxy.spoiled["drip"] > 0
    finally:
        proxy.close()


def test_nothing_is_sent_twice_where_two_answers_would_differ(
    chat: ServedModel, full: ServedModel, opened: Open
) -> None:
    assert opened(full.url)._calls.equal
    assert not opened(chat.url)._calls.equal


def test_a_server_that_goes_away_is_replaced_by_another(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    other = ServedModel()
    engine = opened(full.url, other.url)
    clean = _completions(loop, opened(full.url), 40)
    assert _completions(loop, engine, 40) == clean
    assert other.served.total() > 10
    other.close()
    assert _completions(loop, engine, 40) == clean


def test_a_problem_stays_with_its_server(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    other = ServedModel()
    try:
        engine = opened(full.url, other.url)
        full.served.clear()
        other.served.clear()
        keys = [RequestKey("b", f"p{i}", (0,)) for i in range(8)]
        for key in keys * 3:
            prompt = ask(engine, key.problem_id)
            loop.run(engine.sample(prompt, SamplingParams(max_tokens=200), key))
        counts = [*full.served.values(), *other.served.values()]
        assert counts == [3] * 8
        assert full.served
        assert other.served
    finally:
        other.close()


def test_a_server_that_is_gone_stops_the_run(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    proxy = FaultyServer(full.url, 0.0)
    engine = opened(proxy.url, engine_args={"outage": 0.1})
    prompt = ask(engine)
    proxy.close()
    with pytest.raises(EngineDeadError, match="did not answer for"):
        loop.run(asyncio.wait_for(engine.sample(prompt, SamplingParams(), KEY), 60))


def test_requests_that_are_refused_say_why(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine = opened(full.url)
    full.answer = lambda answer: {"error": {"message": "no such thing", "code": 400}}
    with pytest.raises(EngineError, match=r"refused the request .400: no such thing"):
        loop.run(engine.sample(ask(engine), SamplingParams(), KEY))
    with pytest.raises(EngineError, match="leave none of 4096"):
        loop.run(engine.sample(ask(engine, "x" * 5000), SamplingParams(), KEY))


def test_a_request_that_always_fails_is_given_up(
    full: ServedModel, opened: Open, loop: BackgroundLoop
) -> None:
    engine = opened(full.url, engine_args={"retries": 2})
    full.answer = lambda answer: answer | {"choices": []}
    with pytest.raises(EngineError, match="failed 3 times"):
        loop.run(engine.sample(ask(engine), SamplingParams(), KEY))


def test_a_wrong_key_is_said_without_it(
    full: ServedModel, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    full.key = SECRET
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match="set OPENAI_API_KEY"):
        opened(full.url)
    monkeypatch.setenv("MINE", "sk-wr0ng-key")
    with pytest.raises(UsageError, match="does not accept the key in MINE") as caught:
        opened(full.url, api_key_env="MINE")
    assert "wr0ng" not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert SECRET not in repr(opened(full.url).recorded)


def test_a_key_that_stops_working_stops_the_run(
    full: ServedModel, opened: Open, loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    full.key = SECRET
    engine = opened(full.url)
    prompt = ask(engine)
    full.key = "another"
    with pytest.raises(EngineDeadError, match=r"401: Incorrect API key provided: \*\*\*"):
        loop.run(engine.sample(prompt, SamplingParams(), KEY))


def test_a_model_that_is_not_served_is_refused_with_the_near_misses(
    full: ServedModel, chat: ServedModel, opened: Open
) -> None:
    with pytest.raises(UsageError, match="did you mean toy"):
        opened(full.url, model="toyy")
    with pytest.raises(UsageError, match=r"`toyy` does not exist.*it lists: toy"):
        opened(chat.url, model="toyy")


def test_no_server_is_said_in_a_sentence(opened: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(UsageError, match=r"there is no server at .*mend --base-url"):
        opened(url)
    with pytest.raises(UsageError, match="needs --base-url"):
        opened()


def test_another_tokenizer_is_refused(full: ServedModel, opened: Open) -> None:
    with pytest.raises(UsageError, match="is not the tokenizer of toy"):
        opened(full.url, tokenizer=str(_builtin()))


def _builtin() -> Any:
    from reasonbench.builtin import model_path

    return model_path()
