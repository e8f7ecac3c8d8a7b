"""What a server can do, found out by asking it: a few requests of some tokens each."""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.engines.config import EngineConfig
from reasonbench.engines.openai_answers import Answer
from reasonbench.engines.openai_calls import Attempt, Calls
from reasonbench.engines.openai_failure import Failure, pause
from reasonbench.engines.openai_requests import Request
from reasonbench.engines.openai_served import Options, Served
from reasonbench.engines.openai_tokenizer import LocalTokens, ServedTokens, Tokens, local_tokens
from reasonbench.errors import UsageError
from reasonbench.types import Message

_ASKED = "Question: what is 1 + 2?\nAnswer:"
_CHECKED = "Solve 3 × (4 + 5) = ?\n\nThe answer is \\boxed{27}."
_CONVERSATION = (Message("user", "What is 1 + 2?"),)
_TOKENS = 16
_TRIES = 8
_TOP = 20
_FEWER = 5
"""Likeliest tokens that strategies ask for, and that OpenAI gives."""

_OWNERS = {"vllm": "vLLM", "sglang": "SGLang", "llamacpp": "llama.cpp"}
_EXTRAS = {
    "repetition_penalty": 1.0,
    "include_stop_str_in_output": True,
    "skip_special_tokens": True,
    "return_token_ids": True,
}


class Probe:
    """Asks the servers of one model what they can do.

    Args:
        calls: to send requests with.
        urls: base URLs; the first one is asked everything, the others whether they have the model.
        headers: of requests beside `calls`.
    """

    def __init__(
        self,
        calls: Calls,
        urls: Sequence[str],
        headers: Mapping[str, str],
        config: EngineConfig,
        options: Options,
    ) -> None:
        self._calls = calls
        self._urls = urls
        self._headers = headers
        self._config = config
        self._options = options
        self._why = ""

    async def find(self, model: str) -> tuple[Served, Tokens | None]:
        """What the servers offer, and the model's tokenizer, if any can be had.

        Raises:
            UsageError: no server there, a wrong key, no such model.
        """
        self._calls.pace.probing = True
        try:
            return await self._find(model)
        except EngineDeadError as error:
            raise UsageError(f"{self._urls[0]}: {error}") from error
        finally:
            self._calls.pace.probing = False

    async def _find(self, model: str) -> tuple[Served, Tokens | None]:
        listed = [await self._models(url) for url in self._urls]
        served = self._described(model, listed[0])
        with suppress(Failure):
            said = await self._ask(f"{_root(self._urls[0])}/version")
            served = replace(
                served, version=str(said["version"])[:40] if "version" in said else None
            )
        if self._options.route != "chat":
            served = await self._completions(served)
        tokens: Tokens | None = None
        if served.completions:
            served, tokens = await self._tokenizer(served)
        if tokens is None and self._options.route != "completions":
            served = await self._chat(served)
        if not served.completions and not served.chat:
            known = [str(one.get("id")) for one in listed[0]]
            raise UsageError(
                f"{self._urls[0]} does not serve {model!r}: {self._why.rstrip('.')}"
                + (f" (it lists: {', '.join(known[:8])})" if known and model not in known else "")
                + "."
            )
        for url, models in zip(self._urls[1:], listed[1:], strict=True):
            known = [str(one.get("id")) for one in models]
            if models and model not in known:
                raise UsageError(f"{url} does not serve {model!r}: it has {', '.join(known[:8])}.")
        return served, tokens

    async def _models(self, url: str) -> list[dict[str, Any]]:
        """What a server lists; nothing where it lists none."""
        try:
            found = (await self._ask(f"{url}/models")).get("data")
            return [one for one in found or [] if isinstance(one, dict)]
        except Failure as error:
            failure = error
        said = self._calls.hidden(failure.sentence)
        if failure.kind == "dead":
            raise UsageError(f"there is no server at {url}: {said}. Start it, or mend --base-url.")
        if failure.status in (401, 403):
            raise UsageError(
                f"{url} does not accept the key in {self._config.api_key_env} ({said})."
                if "Authorization" in self._headers
                else f"{url} asks for a key: set {self._config.api_key_env} ({said})."
            )
        if failure.kind == "fatal":
            raise UsageError(f"{url} refuses all requests ({said}).")
        return []

    async def _ask(self, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """An answer that is no completion; asked for again where a server fails now and then.

        Raises:
            Failure: it refuses, fails every time, or is not there.
        """
        dice = random.Random()
        for attempt in range(_TRIES):
            try:
                if body is None:
                    return await self._calls.wire.get(url)
                return await self._calls.wire.post(url, body, attempt)
            except Failure as failure:
                if failure.kind in ("dead", "final", "fatal") or attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(pause(attempt, failure, dice))
        raise AssertionError

    def _described(self, model: str, listed: Sequence[Mapping[str, Any]]) -> Served:
        """What the list of models says of ours."""
        names = [str(one.get("id")) for one in listed]
        owners = {str(one.get("owned_by")) for one in listed}
        server = next((_OWNERS[o] for o in owners if o in _OWNERS), "OpenAI-compatible")
        if server == "vLLM" and model not in names:
            near = difflib.get_close_matches(model, names, n=3, cutoff=0.5)
            raise UsageError(
                f"{self._urls[0]} does not serve {model!r}: "
                + (f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(names)}.")
            )
        own = next((one for one in listed if one.get("id") == model), {})
        length = own.get("max_model_len")
        root = own.get("root")
        return Served(
            model,
            server,
            root=root if isinstance(root, str) else None,
            max_model_len=length if isinstance(length, int) else self._config.max_model_len,
        )

    async def _try(self, path: str, body: Mapping[str, Any]) -> Answer | None:
        """The answer; None where the server refuses, for the reason in `_why`."""
        answers: list[Answer] = []

        def begin() -> Attempt:
            answers.append(Answer(_TOP))
            return Attempt(answers[-1])

        request = Request(path, {**body, **self._options.extra_body})
        try:
            found, _ = await self._calls.complete(request, begin, 0)
        except EngineDeadError:
            raise
        except EngineError as error:
            self._why = str(error)
            return None
        return found

    async def _completions(self, served: Served) -> Served:
        """Find out about the completions route."""
        plain: dict[str, Any] = {
            "model": served.model,
            "prompt": _ASKED,
            "max_tokens": _TOKENS,
            "temperature": 0.0,
        }
        rich = plain | _EXTRAS
        if served.server == "SGLang":
            rich["no_stop_trim"] = True
        answer = await self._try("completions", rich | {"logprobs": _TOP})
        base = rich
        if answer is None:
            answer = await self._try("completions", rich | {"logprobs": _FEWER})
        if answer is None:
            answer = await self._try("completions", plain | {"logprobs": _FEWER})
            base = plain
        if answer is None:
            answer = await self._try("completions", plain)
        if answer is None:
            return replace(served, completions=False)
        known = served.server in _OWNERS.values()
        served = replace(
            served,
            completions=True,
            token_ids=bool(answer.tokens),
            extras=base is rich and (known or bool(answer.tokens)),
            wide_seeds=served.server == "vLLM",
            logprobs=await self._tops(answer, base),
        )
        served = replace(served, stops=await self._stops(answer, base))
        ids = [5, 6, 7, 8, 9]
        own = {"add_special_tokens": False} if served.extras else {}
        counted = await self._try("completions", {**base, **own, "prompt": ids, "max_tokens": 1})
        return replace(
            served, token_prompts=counted is not None and counted.prompt_tokens == len(ids)
        )

    async def _tops(self, answer: Answer, base: Mapping[str, Any]) -> int:
        """How many likeliest tokens come with their log-probabilities; see `Served.logprobs`."""
        if not answer.logprobs:
            return -1
        for count in (_TOP, _FEWER, 1):
            found = await self._try("completions", {**base, "max_tokens": 1, "logprobs": count})
            if found is not None and found.tops >= count:
                return count
        return 0

    async def _stops(self, answer: Answer, base: Mapping[str, Any]) -> bool:
        """Whether a stop string stays in the text and is named. Greedy text comes again."""
        text = answer.text
        stop = text[1:3]
        if not stop.strip():
            stop = text[:1]
        if not stop.strip():
            return "return_token_ids" in base and bool(answer.tokens)
        found = await self._try("completions", {**base, "stop": [stop]})
        return found is not None and found.stop_reason == stop and found.text.endswith(stop)

    async def _chat(self, served: Served) -> Served:
        """Find out about the chat route."""
        messages = [message._asdict() for message in _CONVERSATION]
        plain: dict[str, Any] = {"model": served.model, "messages": messages}
        scores = {"logprobs": True, "top_logprobs": _TOP}
        known = served.server in _OWNERS.values()
        for name in ("max_tokens", "max_completion_tokens"):
            limited = plain | {name: _TOKENS}
            tries = [limited | scores, limited]
            if known:
                tries = [limited | _EXTRAS | scores, *tries]
            for body in tries:
                answer = await self._try("chat/completions", body)
                if answer is not None:
                    scored = bool(answer.logprobs) and "logprobs" in body
                    return replace(
                        served,
                        chat=True,
                        extras="return_token_ids" in body,
                        token_ids=bool(answer.tokens),
                        logprobs=min(_TOP, answer.tops) if scored else -1,
                        wide_seeds=served.server == "vLLM",
                        limit_name=name,
                    )
        return replace(served, chat=False)

    async def _tokenizer(self, served: Served) -> tuple[Served, Tokens | None]:
        """The tokenizer that was given, the one of what the server loaded, or the server's own."""
        served_one = await self._served_tokens(served)
        config = self._config
        if config.tokenizer is not None:
            own = local_tokens(
                config.tokenizer,
                served.model,
                trust_remote_code=config.trust_remote_code,
                fetch=True,
            )
            if served_one is not None and own.encode(_CHECKED) != served_one.encode(_CHECKED):
                raise UsageError(
                    f"--tokenizer {config.tokenizer} is not the tokenizer of {served.model}: the "
                    "server makes other tokens of the same text."
                )
            return replace(served, tokenizer="local"), own
        found = self._of_root(served)
        # the server's template may have been changed with an option of its own
        if found is not None and served_one is not None and _alike(found, served_one):
            return replace(served, tokenizer="local"), found
        if served_one is not None and served.token_prompts:
            return replace(served, tokenizer="served"), served_one
        return served, None

    def _of_root(self, served: Served) -> LocalTokens | None:
        """The tokenizer in the folder, or of the cached hub model, that the server loaded."""
        root = served.root
        if root is None or not (Path(root).is_dir() or root.count("/") == 1):
            return None
        try:
            return local_tokens(
                root,
                served.model,
                trust_remote_code=self._config.trust_remote_code,
                fetch=False,
            )
        except UsageError:
            return None

    async def _served_tokens(self, served: Served) -> ServedTokens | None:
        """The server's tokenizer, where it has the routes of vLLM for it."""
        url = _root(self._urls[0])
        try:
            found = await self._ask(f"{url}/tokenize", {"model": served.model, "prompt": _CHECKED})
            if not isinstance(found.get("tokens"), list):
                return None
            await self._ask(f"{url}/detokenize", {"model": served.model, "tokens": found["tokens"]})
        except Failure:
            return None
        template = True
        try:
            messages = [message._asdict() for message in _CONVERSATION]
            await self._ask(f"{url}/tokenize", {"model": served.model, "messages": messages})
        except Failure:
            template = False
        return ServedTokens(url, served.model, self._headers, has_template=template)


def _alike(one: Tokens, other: Tokens) -> bool:
    """Whether two tokenizers make the same of a text and of a conversation."""
    if one.has_template != other.has_template or one.encode(_CHECKED) != other.encode(_CHECKED):
        return False
    if not one.has_template:
        return True
    here = one.render(_CONVERSATION, thinking=None, chat=True)
    return here.token_ids == other.render(_CONVERSATION, thinking=None, chat=True).token_ids


def _root(url: str) -> str:
    """Of the server, without the version of its API."""
    return url.removesuffix("/v1")
