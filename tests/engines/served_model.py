"""A small OpenAI-compatible server whose completions are functions of the prompt and the seed.

Its tokens are characters. It can do as much as vLLM ("full"), completions of text alone ("text"),
or chats alone ("chat"), and runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal

from aiohttp import web

from tests.engines.loop import BackgroundLoop

END = 0
MODEL = "toy"
_STEPS = ("First I add the numbers.\n\n", "Then I carry {}.\n\n", "So it is \\boxed{{{}}}.")


class ServedModel:
    """The server.

    Attributes:
        served: how often each (prompt, seed) was completed.
        running, aborted: requests that are being served, and that clients hung up on.
        requests: every body that came, with its path.
        key: what it asks for, or None.
        answer: changes an answer before it is sent, or None.
        hold: nothing is answered until it is set, where it is one.
    """

    def __init__(self, level: Literal["full", "text", "chat"] = "full") -> None:
        self.level = level
        self.served: Counter[tuple[str, int]] = Counter()
        self.running = self.aborted = 0
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.key: str | None = None
        self.answer: Any = None
        self.hold: asyncio.Event | None = None
        self._loop = BackgroundLoop()
        self._runner, self.url = self._loop.run(self._start())

    async def _start(self) -> tuple[web.AppRunner, str]:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return await listen(app)

    def close(self) -> None:
        self._loop.run(self._runner.cleanup())
        self._loop.close()

    def within(self, change: Any) -> None:
        """Call something in the server's own thread."""

        async def call() -> None:
            change()

        self._loop.run(call())

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            sent = request.headers.get("Authorization", "none").removeprefix("Bearer ")
            return _error(401, f"Incorrect API key provided: {sent}.", "invalid_api_key")
        path = request.path
        body = json.loads(await request.read() or b"{}")
        self.requests.append((path, body))
        routes = {"/v1/models": self._models}
        if self.level == "full":
            routes |= {"/version": self._version, "/tokenize": self._tokenize}
            routes |= {"/detokenize": self._detokenize}
        if path in routes:
            return web.json_response(routes[path](body))
        ways = {"full": ("completions", "chat/completions"), "text": ("completions",)}
        if path.removeprefix("/v1/") not in ways.get(self.level, ("chat/completions",)):
            return _error(404, f"Not Found: {path}")
        if body.get("model") != MODEL:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        self.running += 1
        try:
            return await self._generate(request, path.endswith("chat/completions"), body)
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.running -= 1

    def _models(self, body: Mapping[str, Any]) -> dict[str, Any]:
        full = self.level == "full"
        own = {"owned_by": "vllm", "max_model_len": 4096} if full else {"owned_by": "me"}
        return {"object": "list", "data": [{"id": MODEL, "object": "model", **own}]}

    def _version(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"version": "1.2.3"}

    def _tokenize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        text = body["prompt"] if "prompt" in body else rendered(body["messages"])
        return {"tokens": [ord(c) for c in text], "count": len(text)}

    def _detokenize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"prompt": text_of(body["tokens"])}

    async def _generate(
        self, request: web.Request, chat: bool, body: dict[str, Any]
    ) -> web.StreamResponse:
        known = {"model", "prompt", "messages", "temperature", "top_p", "seed", "stop", "stream"}
        known |= {"logprobs", "top_logprobs", "max_tokens", "stream_options", "user"}
        if self.level != "full" and (more := sorted(body.keys() - known)):
            return _error(400, f"Unrecognized request argument supplied: {more[0]}")
        if self.level != "full" and body.get("logprobs"):
            return _error(400, "logprobs are not supported")
        prompt = rendered(body["messages"]) if chat else body["prompt"]
        if not isinstance(prompt, str):
            if self.level != "full":
                return _error(400, "prompt should be a string")
            prompt = text_of(prompt)
        if len(prompt) + body.get("max_tokens", 16) > 4096 and self.level == "full":
            return _error(400, "This model's maximum context length is 4096 tokens.")
        seed = body.get("seed", 0)
        self.served[prompt, seed] += 1
        if self.hold is not None:
            await self.hold.wait()
        await asyncio.sleep(0.002)
        tokens, finish, stopped = self._write(prompt, seed, body)
        if body.get("stream"):
            return await self._stream(request, body, tokens, finish, stopped)
        full = self.level == "full"
        choice = self._choice(body, tokens, chat)
        choice |= {"index": 0, "finish_reason": finish}
        if full:
            choice["stop_reason"] = stopped
        answer = {
            "id": "x",
            "choices": [choice],
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": len(tokens),
                "total_tokens": len(prompt) + len(tokens),
            },
        }
        if self.answer is not None:
            answer = self.answer(answer)
        return web.json_response(answer)

    def _write(
        self, prompt: str, seed: int, body: Mapping[str, Any]
    ) -> tuple[list[int], str, str | None]:
        """Tokens, why they end, and the stop string that ended them."""
        drawn = seed if body.get("temperature") else 0
        number = int.from_bytes(
            blake2b(f"{prompt}|{drawn}".encode(), digest_size=4).digest(), "big"
        )
        done = sum(step.split("{")[0] in prompt for step in _STEPS)
        text = "".join(_STEPS[done:]).format(number % 7, number % 60) if done < 2 else (
            _STEPS[2].format(number % 60) if done == 2 else "."
        )  # fmt: skip
        ends = [
            (text.index(stop) + len(stop), stop) for stop in body.get("stop") or () if stop in text
        ]
        stopped = None
        if ends:
            end, stopped = min(ends)
            text = text[: end if body.get("include_stop_str_in_output") else end - len(stopped)]
        tokens = [ord(c) for c in text] + ([] if stopped else [END])
        most = body.get("max_tokens", 16)
        if len(tokens) > most:
            return tokens[:most], "length", None
        return tokens, "stop", stopped

    def _choice(
        self, body: Mapping[str, Any], tokens: Sequence[int], chat: bool = False
    ) -> dict[str, Any]:
        text = text_of(tokens)
        choice: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        )
        if body.get("return_token_ids") and self.level == "full":
            choice["token_ids"] = list(tokens)
        if body.get("logprobs") is not None and self.level == "full" and not chat:
            top = {f"token_id:{i}": -(i + 1) / 4 for i in range(body["logprobs"])}
            choice["logprobs"] = {
                "token_logprobs": [-(token % 10) / 10 for token in tokens],
                "top_logprobs": [top for _ in tokens],
            }
        return choice

    async def _stream(
        self,
        request: web.Request,
        body: Mapping[str, Any],
        tokens: Sequence[int],
        finish: str,
        stopped: str | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for place, token in enumerate(tokens):
            last = place == len(tokens) - 1
            choice = self._choice(body, [token]) | {"finish_reason": finish if last else None}
            choice["stop_reason"] = stopped if last else None
            await response.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            await asyncio.sleep(0)
        await response.write(b"data: [DONE]\n\n")
        return response


async def listen(app: web.Application) -> tuple[web.AppRunner, str]:
    """Serve an application on a free port: its runner, and the base URL below it."""
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    return runner, f"http://127.0.0.1:{port}/v1"


def rendered(messages: Sequence[Mapping[str, str]]) -> str:
    """The chat template."""
    turns = "".join(f"<{m['role']}>{m['content']}\n" for m in messages)
    return f"{turns}<assistant>"


def text_of(tokens: Sequence[int]) -> str:
    return "".join(chr(token) for token in tokens if token != END)


def _error(status: int, message: str, code: str = "") -> web.Response:
    error = {"message": message, "type": "error", "code": code or status}
    return web.json_response({"error": error}, status=status)
