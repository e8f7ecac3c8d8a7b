"""From our prompts and sampling parameters to the body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from reasonbench.engines.openai_served import Served
from reasonbench.types import Message, Prompt, SamplingParams

_SEED = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class ChatPrompt(Prompt):
    """A conversation that the server renders; its text is for reading alone.

    Attributes:
        messages: of the conversation.
        thinking: switched on or off, or as the server has it.
    """

    messages: tuple[Message, ...] = ()
    thinking: bool | None = None


class Request(NamedTuple):
    """What is sent.

    Attributes:
        path: below the base URL.
        body: of the request.
    """

    path: str
    body: dict[str, Any]


def request(
    served: Served,
    prompt: Prompt,
    params: SamplingParams,
    extra: Mapping[str, Any],
    *,
    streamed: bool = False,
) -> Request:
    """The request for one completion.

    Args:
        extra: added to the body as it is.
        streamed: the answer comes token by token.
    """
    seed = params.seed if served.wide_seeds else params.seed & _SEED
    body: dict[str, Any] = {
        "model": served.model,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": seed,
    }
    if params.top_k:
        body["top_k"] = params.top_k
    if params.min_p:
        body["min_p"] = params.min_p
    if params.stop:
        body["stop"] = list(params.stop)
    if served.extras:
        # a server's own defaults (its model's generation_config.json) are not ours
        body |= {
            "repetition_penalty": 1.0,
            "include_stop_str_in_output": True,
            "skip_special_tokens": True,
            "return_token_ids": True,
        }
    if served.server == "SGLang":
        body["no_stop_trim"] = True
    if streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    asked = _chat if isinstance(prompt, ChatPrompt) else _completions
    path, own = asked(served, prompt, params)
    return Request(path, body | own | dict(extra))


def _completions(
    served: Served, prompt: Prompt, params: SamplingParams
) -> tuple[str, dict[str, Any]]:
    most = params.max_tokens
    if served.max_model_len is not None:
        most = min(most, served.max_model_len - len(prompt.token_ids))
    tokens = served.token_prompts and prompt.token_ids
    body: dict[str, Any] = {
        "prompt": list(prompt.token_ids) if tokens else prompt.text,
        "max_tokens": most,
    }
    if served.extras and not tokens and prompt.token_ids:
        body["add_special_tokens"] = False  # the template has written them
    if served.logprobs >= 0 and (params.logprobs or params.top_logprobs):
        body["logprobs"] = params.top_logprobs or (0 if served.server == "vLLM" else 1)
        if served.extras and params.top_logprobs:
            # by text, tokens that read alike would be one
            body["return_tokens_as_token_ids"] = True
    return "completions", body


def _chat(served: Served, prompt: Prompt, params: SamplingParams) -> tuple[str, dict[str, Any]]:
    assert isinstance(prompt, ChatPrompt)
    body: dict[str, Any] = {"messages": [message._asdict() for message in prompt.messages]}
    if served.max_model_len is None or params.max_tokens < served.max_model_len:
        body[served.limit_name] = params.max_tokens
    if served.extras and prompt.messages[-1].role == "assistant":
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    if served.extras and prompt.thinking is not None:
        body["chat_template_kwargs"] = {"enable_thinking": prompt.thinking}
    if served.logprobs >= 0 and (params.logprobs or params.top_logprobs):
        body["logprobs"] = True
        if params.top_logprobs:
            body["top_logprobs"] = params.top_logprobs
    return "chat/completions", body
