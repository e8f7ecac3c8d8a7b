"""A real server on loopback over an engine that needs no model, and clients of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from reasonbench.engines.base import Engine, Watch
from reasonbench.grading.graders import Graders
from reasonbench.rewards.base import Reward
from reasonbench.server.app import Limits, Service, application
from reasonbench.server.catalogue import Catalogue
from reasonbench.server.counted import Counted
from reasonbench.server.listen import Listener
from reasonbench.server.solving import Solver, verifier_of
from reasonbench.types import (
    Completion,
    Message,
    ModelInfo,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)
from tests.engines.loop import BackgroundLoop

Say = Callable[[RequestKey, SamplingParams], Awaitable[str]]

SAYS = ("3 + 4 = 7 so \\boxed{7}", "it is \\boxed{8}", "\\boxed{7.0}", "no idea")
"""What the engine of most tests says: two right answers of three."""

ASKED: dict[str, Any] = {
    "model": "maj@4",
    "messages": [{"role": "user", "content": "What is 3 + 4?"}],
}


class Words:
    """An engine whose tokens are words; it says what a function tells it, and notes what is asked.

    A completion longer than its limit is cut there.
    """

    def __init__(self, say: Say, *, room: int = 256) -> None:
        self.info = ModelInfo("words", "words", "0", active_parameters=100, chat_template=True)
        self.in_flight = 8
        self.notice: str | None = None
        self.aborted = Usage()
        self.asked: list[tuple[RequestKey, SamplingParams]] = []
        self.rendered: list[tuple[Message, ...]] = []
        self._say = say
        self._room = room

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        self.rendered.append(tuple(messages))
        text = "\n".join(f"{m.role}: {m.content}" for m in messages)
        opened = messages[-1].content.endswith("aloud")
        return Prompt(tuple(range(len(text.split()))), text, opened)

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(range(len(text.split())))

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return " ".join(map(str, tokens))

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        self.asked.append((key, params))
        words = (await self._say(key, params)).split(" ")
        kept = words[: params.max_tokens]
        return Completion(
            tuple(range(len(kept))),
            " ".join(kept),
            "stop" if kept == words else "length",
            mean_logprob=-0.5,
            seed=params.seed,
            thinking_open=prompt.thinking_open,
            usage=Usage(len(prompt.token_ids), 0, len(kept), requests=1),
        )

    def max_model_len(self) -> int:
        return self._room

    async def aclose(self) -> None:
        pass


def saying(*texts: str) -> Say:
    """Sample i says the i-th text."""

    async def say(key: RequestKey, params: SamplingParams) -> str:
        await asyncio.sleep(0)
        return texts[key.path[-1] % len(texts)]

    return say


async def never(key: RequestKey, params: SamplingParams) -> str:
    """Goes on until it is aborted."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Served:
    """A running server."""

    def __init__(self, service: Service, listener: Listener, loop: BackgroundLoop) -> None:
        self.service = service
        self.listener = listener
        self.loop = loop
        self.url = f"http://127.0.0.1:{listener.port}"
        # no certificates are loaded for plain HTTP
        self.http = httpx.Client(base_url=self.url, timeout=60, verify=False, trust_env=False)

    def post(self, body: Any, **more: Any) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json=body, **more)

    def send(self, content: Any, kind: str = "application/json") -> httpx.Response:
        """A body as it is."""
        return self.http.post(
            "/v1/chat/completions", content=content, headers={"content-type": kind}
        )

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(path, **more)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something on the server's loop."""

        async def wait() -> None:
            async with asyncio.timeout(60):
                while not condition():
                    await asyncio.sleep(0)

        self.loop.run(wait())


@contextmanager
def serving(
    engine: Engine,
    *specs: str,
    reward: Reward | None = None,
    key: str | None = None,
    limits: Limits | None = None,
    patience: float = 30,
    loop: BackgroundLoop | None = None,
    **solver: Any,
) -> Iterator[Served]:
    """Serve an engine until the block ends."""
    own = loop is None
    loop = loop or BackgroundLoop()
    graders = Graders()
    counted = Counted(engine)
    verifier = None if reward is None else verifier_of(reward, reward.info.name, counted)
    catalogue = Catalogue(specs, reward=reward is not None)
    catalogue.fit(engine)
    service = Service(
        Solver(counted, graders, verifier, **solver),
        catalogue,
        counted,
        key,
        limits or Limits(),
    )
    listener = Listener(application(service), "127.0.0.1", 0, patience=patience)
    running = asyncio.run_coroutine_threadsafe(listener.run_until_stopped(), loop.loop)
    served = Served(service, listener, loop)
    try:
        yield served
    finally:
        served.http.close()
        listener.stop()
        running.result(60)
        loop.run(graders.aclose())
        if own:
            loop.close()


def chunks(answer: httpx.Response) -> list[Mapping[str, Any]]:
    """The chunks of a stream, which must end as OpenAI's do."""
    lines = [line for line in answer.text.split("\n\n") if line and not line.startswith(":")]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
