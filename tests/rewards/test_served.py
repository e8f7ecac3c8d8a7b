"""Rewards behind servers: a judge and a verifier by `openai:NAME`, and what they refuse."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.rewards import Reward, RewardConfig, RewardOptions, open_reward
from tests.engines.loop import BackgroundLoop
from tests.engines.served_model import ServedModel
from tests.rewards.models import QUESTION, STEPS
from tests.test_cli import refused, run

Open = Callable[..., Reward]


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
def asking(loop: BackgroundLoop) -> Iterator[Open]:
    """Opens rewards behind a server; they are closed after the test."""
    rewards: list[Reward] = []

    def open_one(url: str, kind: str, route: str = "auto", **options: Any) -> Reward:
        config = RewardConfig(
            model="openai:toy",
            kind=kind,
            base_url=(url,),
            engine_args={"route": route},
            options=RewardOptions(**options),
        )
        rewards.append(loop.run(open_reward(config)))
        return rewards[-1]

    yield open_one
    for reward in rewards:
        loop.run(reward.aclose())


def saying(text: str, logprob: float | None = None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Changes a server's answers to a text of one token."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        (choice,) = answer["choices"]
        if "message" in choice:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}}
            if logprob is not None:
                choice["logprobs"] = {"content": [{"token": text, "logprob": logprob}]}
        else:
            choice = {"index": 0, "text": text, "token_ids": [ord(text[0])]}
            choice["logprobs"] = {"token_logprobs": [logprob]}
        return answer | {"choices": [choice | {"finish_reason": "stop"}]}

    return change


def test_a_server_of_chats_alone_can_be_a_judge(
    chat: ServedModel, asking: Open, loop: BackgroundLoop
) -> None:
    reward = asking(chat.url, "judge")
    chat.answer = saying("Sound. Mark: [[8]]")
    scored = loop.run(reward.score(QUESTION, STEPS))
    assert scored.whole == 0.8
    (message,) = chat.requests[-1][1]["messages"]
    assert "".join(STEPS) in message["content"]
    # without a tokenizer the server's counts are the last step's
    assert scored.head_tokens == 0
    assert len(scored.step_tokens) == len(STEPS)
    assert sum(scored.step_tokens) == scored.usage.reward_tokens > len("".join(STEPS))


def test_a_chat_with_log_probabilities_can_be_a_verifier(
    full: ServedModel, asking: Open, loop: BackgroundLoop
) -> None:
    full.answer = saying("Yes", math.log(0.75))
    reward = asking(full.url, "generative", route="chat")
    assert loop.run(reward.score(QUESTION, STEPS)).whole == pytest.approx(0.75)
    full.answer = saying("No", math.log(0.75))
    assert loop.run(reward.score(QUESTION, STEPS[:2])).whole == pytest.approx(0.25)


def test_a_chat_that_begins_with_white_space_gives_no_verdict(
    full: ServedModel, asking: Open, loop: BackgroundLoop
) -> None:
    full.answer = saying("\n", math.log(0.75))
    reward = asking(full.url, "generative", route="chat")
    whole = loop.run(reward.score(QUESTION, STEPS)).whole
    assert whole is not None
    assert math.isnan(whole)
    assert full.requests[-1][0] == "/v1/chat/completions"


def test_a_verifier_goes_on_from_token_ids_where_the_server_takes_them(
    full: ServedModel, asking: Open, loop: BackgroundLoop
) -> None:
    reward = asking(full.url, "generative")
    full.answer = saying("Yes", math.log(0.6))
    scored = loop.run(reward.score(QUESTION, STEPS))
    assert scored.whole == pytest.approx(0.6)
    assert scored.step_tokens[0] == len(STEPS[0])
    last = [body for path, body in full.requests if path == "/v1/completions"][-1]
    assert isinstance(last["prompt"], list)
    assert last["max_tokens"] == 1


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("generative", {}, "as generative needs log-probabilities, which toy"),
        ("generative", {"reason": True}, "has a chat route only"),
        ("judge", {"chat": False}, "has no completions route"),
        ("auto", {}, "takes --reward-kind judge"),
        ("math-shepherd", {}, "takes --reward-kind judge"),
    ],
)
def test_what_a_server_cannot_do_is_refused(
    chat: ServedModel, asking: Open, kind: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        asking(chat.url, kind, **options)


TASK = ("-b", "builtin-arithmetic", "--limit", "3", "-s", "maj@2", "-s", "bon@2")
JUDGED = ("--reward", "openai:toy", "--reward-kind", "judge")


def evaluate(folder: Path, *options: str) -> list[dict[str, Any]]:
    done = run("eval", *TASK, *options, "--out", str(folder), cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "results.json").read_text())["rows"]
    return [row for row in found if row["level"] is None and row["subject"] is None]


def test_a_run_is_judged_by_another_server_than_its_policy(
    full: ServedModel, chat: ServedModel, tmp_path: Path
) -> None:
    chat.answer = saying("[[5]]")
    rows = evaluate(
        tmp_path / "r", "-m", "openai:toy", "--base-url", full.url, *JUDGED,
        "--reward-arg", f"base_url={chat.url}", "--price-in", "1", "--price-out", "1",
    )  # fmt: skip
    judged = [row for row in rows if row["reward_tokens"]]
    assert judged
    assert any("impartial judge" in str(body) for _, body in chat.requests)
    assert not any("impartial judge" in str(body) for _, body in full.requests)
    # what an answer cost where the judge's tokens have no price is unknown, never too little
    assert all(row["dollars"] is None for row in judged)
    assert all(row["flops"] is None for row in judged)
    others = [row for row in rows if not row["reward_tokens"]]
    assert others
    assert all(row["dollars"] > 0 for row in others)


@pytest.mark.parametrize("judged", [JUDGED, ("--reward", "policy", "--reward-kind", "judge")])
def test_a_policy_and_its_judge_may_be_one_server(
    chat: ServedModel, tmp_path: Path, judged: tuple[str, ...]
) -> None:
    rows = evaluate(tmp_path / "r", "-m", "openai:toy", "--base-url", chat.url, *judged)
    assert any("impartial judge" in str(body) for _, body in chat.requests)
    assert any(row["reward_tokens"] for row in rows)


def test_a_served_reward_says_what_it_needs(chat: ServedModel, tmp_path: Path) -> None:
    def said(*options: str) -> str:
        return refused("eval", *TASK, *options, "--out", "r", cwd=tmp_path)

    assert "needs its server: --reward-arg base_url" in said(*JUDGED)
    assert "takes --reward-kind judge" in said("--reward", "openai:toy", "--base-url", chat.url)
    url = ("--reward-arg", f"base_url={chat.url}")
    assert "base_url has no meaning" in said("--reward", "builtin-orm", *url)
    assert not (tmp_path / "r").exists()
