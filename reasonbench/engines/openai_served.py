"""What a server can do, as its probe found it; recorded in the run's stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reasonbench.engines.needs import Needs
from reasonbench.errors import UsageError, unknown


@dataclass(frozen=True, slots=True)
class Served:
    """One model behind a server.

    Attributes:
        model: its name there.
        server: what answers ("vLLM", "SGLang"), as far as it can be told, and its version.
        version: None where it does not say.
        root: what the server says that it loaded: a folder or a hub id.
        max_model_len: the most tokens of a prompt and its completion; None where it does not say.
        completions, chat: which routes it has; None where nobody asked.
        token_prompts: a prompt may be token ids.
        token_ids: completions come with their token ids.
        logprobs: likeliest tokens whose log-probabilities it gives: 0 for the sampled one alone,
            −1 for none at all. On the route that is used.
        stops: it leaves a stop string in the text and says which one ended it.
        extras: it takes vLLM's parameters beyond OpenAI's.
        wide_seeds: seeds may have 63 bits; else 31 are sent.
        tokenizer: "local", "served" or "none".
        limit_name: what it calls the most tokens of a chat completion.
    """

    model: str
    server: str = "OpenAI-compatible"
    version: str | None = None
    root: str | None = None
    max_model_len: int | None = None
    completions: bool | None = None
    chat: bool | None = None
    token_prompts: bool = False
    token_ids: bool = False
    logprobs: int = -1
    stops: bool = False
    extras: bool = False
    wide_seeds: bool = False
    tokenizer: Literal["local", "served", "none"] = "none"
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    @property
    def continues(self) -> bool:
        """Whether a partial solution can be gone on with."""
        return bool(self.completions) and self.tokenizer != "none" and self.stops

    @property
    def repeats(self) -> bool:
        """Whether equal seeds give equal completions."""
        return self.server == "vLLM"


class Options(BaseModel):
    """Engine arguments of `openai`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    route: Literal["auto", "completions", "chat"] = "auto"
    """Which route questions take: completions where a tokenizer is known, else chat."""
    timeout: float = Field(1800.0, gt=0, allow_inf_nan=False)
    """Seconds that no request may take longer than, counted from sending it."""
    patience: float = Field(3.0, ge=0, allow_inf_nan=False)
    """A request is sent again after so many times what 95 % of the last ones took; 0: never."""
    retries: int = Field(12, ge=0, le=1000)
    """How often a request that failed is sent again; "too busy" (429, 503) does not count."""
    outage: float = Field(120.0, gt=0, allow_inf_nan=False)
    """Seconds without any answer after which the run stops."""
    hidden_reasoning: bool = False
    """The model thinks out of sight: tokens are unknown where the server does not count them."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Sent with every request as it is (reasoning_effort, provider options)."""


_SECRET = frozenset(
    {"key", "apikey", "authorization", "token", "access_token", "password", "secret"}
)
"""What is called so is likely a secret, which would be written to the run."""


def _names(value: Any) -> Iterator[str]:
    """Of all settings, those inside others included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def options(given: dict[str, Any]) -> Options:
    """The engine arguments, checked.

    Raises:
        UsageError: an unknown one, a wrong value, or what looks like a key.
    """
    for name in _names(given):
        if "api_key" in name.lower().replace("-", "_") or name.lower() in _SECRET:
            raise UsageError(
                f"engine argument {name}: keys are read from the environment only "
                "(OPENAI_API_KEY, or --api-key-env NAME)."
            )
    for name in given:
        if name not in Options.model_fields:
            raise unknown("engine argument of openai", name, Options.model_fields)
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"engine argument {where}: {first['msg'].lower()}.") from None


def lacks(served: Served, needs: Needs) -> str | None:
    """The first thing that strategies need and this server does not give, or None."""
    who = f"{served.model} behind this server"
    if needs.self_certainty:
        return f"needs self-certainty, which no server computes: run {served.model} with vllm"
    if needs.continuation and not served.continues:
        return f"goes on from partial solutions: {_why_not(served, who)}"
    if needs.pattern and served.tokenizer != "local":
        return "ends steps by a pattern, for which the tokenizer must be here: give --tokenizer"
    if needs.logprobs and served.logprobs < 0:
        return f"needs log-probabilities, which {who} does not give"
    if needs.top_logprobs > max(0, served.logprobs):
        return (
            f"needs the log-probabilities of the {needs.top_logprobs} likeliest tokens; {who} "
            f"gives {max(0, served.logprobs)}"
        )
    if needs.watch and not served.token_ids:
        return f"looks at tokens as they come, which {who} does not give"
    if needs.thinking and served.tokenizer == "none" and not served.extras:
        return f"switches thinking on or off, which {who} does not offer"
    if needs.chat is False and not served.completions:
        return f"asks in plain text, and {who} has no completions route"
    if needs.chat is True and served.tokenizer == "none" and not served.chat:
        return f"asks in a chat, and {who} has no chat route"
    if needs.tokens and served.tokenizer == "none":
        return f"counts tokens, and the tokenizer of {served.model} is not known: give --tokenizer"
    if needs.cuts and not served.extras:
        return f"samples with top_k or min_p, which {who} does not take"
    return None


def _why_not(served: Served, who: str) -> str:
    if not served.completions:
        return f"{who} has a chat route only"
    if served.tokenizer == "none":
        return "that takes the model's tokenizer: give --tokenizer (a folder or a hub id)"
    return f"{who} does not say which stop string ended a step"
