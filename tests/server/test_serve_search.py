"""Searches and rewards behind the server, on trees worked out by hand."""

from __future__ import annotations

import pytest

from tests.server.served import ASKED, chunks, serving
from tests.strategies.test_beam import TREE
from tests.strategies.toy import ToyEngine, ToyReward

BEAM = {**ASKED, "model": "beam@4:m=2,select=best"}
FLAT = {(0,): "x 0.1", (1,): "y 0.9", (2,): "z 0.4", (3,): "no number"}
PROMPT = len(ASKED["messages"][0]["content"])


def test_a_search_answers_with_its_best_solution() -> None:
    engine, reward = ToyEngine(TREE), ToyReward(head=5)
    with serving(engine, reward=reward) as served:
        found = served.post({**BEAM, "candidates": True}).json()
    assert engine.requests == list(TREE)
    assert found["choices"][0]["message"]["content"] == "c 0.7\n\ng 0.6\n\nk 0.9"
    assert found["choices"][0]["finish_reason"] == "stop"
    assert [(c["text"][-5:], c["score"], c["chosen"]) for c in found["candidates"]] == [
        ("i 0.6", 0.6, False),
        ("j 0.3", 0.3, False),
        ("k 0.9", 0.9, True),
        ("l 0.1", 0.1, False),
    ]
    written = sum(map(len, TREE.values()))
    assert found["usage"]["prompt_tokens"] == PROMPT
    assert found["usage"]["completion_tokens"] == written
    assert found["usage"]["reward_tokens"] == written
    # the toy reward is as large as the policy: its tokens weigh as much
    assert found["usage"]["policy_tokens"] == PROMPT + written + 5 + written


def test_a_search_streams_its_answer() -> None:
    with serving(ToyEngine(TREE), reward=ToyReward()) as served:
        found = chunks(served.post({**BEAM, "stream": True}))
    content = "".join(c["choices"][0]["delta"].get("content", "") for c in found)
    assert content == "c 0.7\n\ng 0.6\n\nk 0.9"


def test_a_budget_ends_a_search_with_its_best_path() -> None:
    with serving(ToyEngine(TREE), reward=ToyReward()) as served:
        found = served.post({**BEAM, "budget": PROMPT + 110, "candidates": True}).json()
    assert found["usage"]["policy_tokens"] <= PROMPT + 110
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["choices"][0]["message"]["content"]
    assert found["candidates"] == []


def test_a_search_whose_requests_all_fail_is_502() -> None:
    engine = ToyEngine(TREE, fails=list(TREE))
    with serving(engine, reward=ToyReward()) as served:
        answer = served.post(BEAM)
    assert answer.status_code == 502
    assert "the toy failed" in answer.json()["error"]["message"]


@pytest.mark.parametrize("outcome", [False, True])
def test_best_of_n_answers_with_the_highest_score(outcome: bool) -> None:
    with serving(ToyEngine(FLAT), reward=ToyReward(outcome=outcome, head=5)) as served:
        found = served.post({**ASKED, "model": "bon@4", "candidates": True}).json()
    assert found["choices"][0]["message"]["content"] == "y 0.9"
    assert [c["score"] for c in found["candidates"]] == [0.1, 0.9, 0.4, None]
    assert found["usage"]["reward_tokens"] == 15
    assert found["usage"]["policy_tokens"] == PROMPT + sum(map(len, FLAT.values())) + 5 + 15


def test_a_budget_pays_for_the_reward_too() -> None:
    # a sample takes 5 tokens and as many of the reward's, which also reads the question first
    flat = {(i,): f"x 0.{i}" for i in range(9)}
    with serving(ToyEngine(flat), reward=ToyReward(head=PROMPT)) as served:
        asked = {**ASKED, "model": "bon@9", "budget": 2 * PROMPT + 32, "candidates": True}
        found = served.post(asked).json()
    assert len(found["candidates"]) == 3
    assert found["choices"][0]["message"]["content"] == "x 0.2"
    assert found["usage"]["policy_tokens"] <= 2 * PROMPT + 32


def test_the_reward_forgets_a_question_that_nobody_asks_any_more() -> None:
    forgotten = []

    class Forgetting(ToyReward):
        def forget(self, question: object) -> None:
            forgotten.append(question)

    with serving(ToyEngine(FLAT), reward=Forgetting()) as served:
        served.post({**ASKED, "model": "bon@4"})
    (question,) = forgotten
    assert getattr(question, "text", None) == ASKED["messages"][0]["content"]
