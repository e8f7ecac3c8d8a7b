"""Many clients, clients that leave, and the end of the server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from reasonbench.engines.base import EngineDeadError
from reasonbench.errors import UsageError
from reasonbench.server.app import Limits
from reasonbench.server.listen import Listener, is_local
from reasonbench.types import RequestKey, SamplingParams
from tests.server.served import ASKED, SAYS, Words, never, saying, serving


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
        served.until(lambda: served.service.calls == 0)  # a call is counted when it is sent
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
