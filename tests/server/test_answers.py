"""What is answered: the chosen text, usage, candidates, thinking, budgets."""

from __future__ import annotations

from reasonbench.engines.base import EngineError
from reasonbench.types import Message, RequestKey, SamplingParams
from tests.server.served import ASKED, SAYS, Words, chunks, saying, serving


def test_the_answer_is_that_of_the_majority() -> None:
    with serving(Words(saying("\\boxed{8}", *SAYS))) as served:
        answer = served.post({**ASKED, "model": "maj@5", "candidates": True})
    found = answer.json()
    assert answer.status_code == 200
    (choice,) = found["choices"]
    # two against two: either may win, and the first of its answers speaks
    assert choice["message"]["content"] in ("\\boxed{8}", SAYS[0])
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "stop"
    assert [c["answer"] for c in found["candidates"]] == ["8", "7", "8", "7.0", None]
    assert [c["answer_class"] for c in found["candidates"]] == [0, 1, 0, 1, -1]
    assert sum(c["chosen"] for c in found["candidates"]) == 1


def test_usage_counts_the_prompt_once_and_every_sample() -> None:
    with serving(Words(saying(*SAYS))) as served:
        usage = served.post(ASKED).json()["usage"]
    words = sum(len(text.split(" ")) for text in SAYS)
    assert usage["prompt_tokens"] == 6
    assert usage["completion_tokens"] == words
    assert usage["total_tokens"] == 6 + words == usage["policy_tokens"]
    assert usage["answer_tokens"] in (len(SAYS[0].split()), len(SAYS[2].split()))
    assert usage["requests"] == 4
    assert usage["reward_tokens"] == 0


def test_a_stream_ends_with_candidates_where_they_are_asked_for() -> None:
    with serving(Words(saying(*SAYS))) as served:
        found = chunks(served.post({**ASKED, "stream": True, "candidates": True}))
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len(found[-1]["candidates"]) == 4
    assert "usage" not in found[-1]


def test_a_stream_tells_an_error() -> None:
    async def refusing(key: RequestKey, params: SamplingParams) -> str:
        raise EngineError("too tired.")

    with serving(Words(refusing)) as served:
        assert served.post(ASKED).status_code == 502
        found = chunks(served.post({**ASKED, "stream": True}))
    assert found == [
        {
            "error": {
                "message": "the engine refused every request: too tired.",
                "type": "server_error",
                "param": None,
                "code": "engine_error",
            }
        }
    ]


def test_one_failed_request_costs_one_sample() -> None:
    async def some(key: RequestKey, params: SamplingParams) -> str:
        if key.path == (1,):
            raise EngineError("no.")
        return "\\boxed{7}"

    with serving(Words(some)) as served:
        found = served.post({**ASKED, "candidates": True}).json()
    assert found["choices"][0]["message"]["content"] == "\\boxed{7}"
    assert [c["finish_reason"] for c in found["candidates"]] == ["stop", "aborted", "stop", "stop"]


def test_the_same_call_has_the_same_answer_and_another_seed_another() -> None:
    engine = Words(saying(*SAYS))
    with serving(engine) as served:
        for more in ({}, {}, {"seed": 5}, {"temperature": 0.1}):
            served.post({**ASKED, "model": "cot@1", **more})
    seeds = [params.seed for _, params in engine.asked]
    assert seeds[0] == seeds[1] == seeds[3] != seeds[2]
    assert [params.temperature for _, params in engine.asked] == [1, 1, 1, 0.1]


def test_a_call_says_how_it_is_sampled_before_the_strategy_does() -> None:
    engine = Words(saying(*SAYS))
    with serving(engine) as served:
        for more in ({}, {"temperature": 0, "top_p": 0.5, "max_tokens": 9, "top_k": 3}):
            served.post({**ASKED, "model": "cot@1:temperature=0.7,max_tokens=11", **more})
    first, second = (params for _, params in engine.asked)
    assert (first.temperature, first.top_p, first.max_tokens) == (0.7, 1, 11)
    assert (second.temperature, second.top_p, second.max_tokens, second.top_k) == (0, 0.5, 9, 3)


def test_stop_strings_are_left_out_of_the_answer() -> None:
    with serving(Words(saying("one two STOP three"))) as served:
        found = served.post({**ASKED, "stop": "STOP"}).json()
    assert found["choices"][0]["message"]["content"] == "one two "


def test_thinking_is_told_apart() -> None:
    with serving(Words(saying("<think>hm</think>\n\\boxed{7}"))) as served:
        message = served.post(ASKED).json()["choices"][0]["message"]
        streamed = chunks(served.post({**ASKED, "stream": True}))
    assert (message["reasoning_content"], message["content"]) == ("hm", "\\boxed{7}")
    deltas = [c["choices"][0]["delta"] for c in streamed]
    assert {"reasoning_content": "hm"} in deltas


def test_what_has_no_form_in_json_is_replaced() -> None:
    with serving(Words(saying("\ud800 half \\boxed{7}"))) as served:
        found = served.post(ASKED).json()
    assert found["choices"][0]["message"]["content"] == "\ufffd half \\boxed{7}"


def test_thinking_that_the_template_opened_is_no_answer() -> None:
    with serving(Words(saying("I wonder"))) as served:
        asked = {**ASKED, "messages": [{"role": "user", "content": "think aloud"}]}
        message = served.post(asked).json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("I wonder", "")


def test_conversations_are_rendered_whole() -> None:
    engine = Words(saying(*SAYS))
    turns = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("hi", "you")]},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "3 + 4?"},
    ]  # fmt: skip
    with serving(engine, system="be kind") as served:
        served.post({**ASKED, "messages": turns})
        served.post(ASKED)
    assert engine.rendered[0] == (
        Message("system", "be brief"),
        Message("user", "hi\nyou"),
        Message("assistant", "hello"),
        Message("user", "3 + 4?"),
    )
    assert engine.rendered[1][0] == Message("system", "be kind")


def test_a_budget_pays_for_the_first_samples_only() -> None:
    engine = Words(saying("a b c \\boxed{1}"))
    with serving(engine) as served:
        found = served.post({**ASKED, "model": "maj@16", "budget": 20, "candidates": True}).json()
    # the prompt takes 6, three samples 12; the fourth does not end within the 2 that are left
    assert len(found["candidates"]) == 3
    assert found["usage"]["policy_tokens"] <= 20


def test_a_budget_that_ends_in_the_first_sample_cuts_it() -> None:
    with serving(Words(saying("a b c \\boxed{1}"))) as served:
        found = served.post({**ASKED, "budget": 8}).json()
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["choices"][0]["message"]["content"] == "a b"


def test_adaptive_strategies_draw_what_they_need() -> None:
    engine = Words(saying("\\boxed{7}"))
    with serving(engine) as served:
        plain = served.post({**ASKED, "model": "asc@40", "candidates": True}).json()
        within = served.post({**ASKED, "model": "asc@40", "candidates": True, "budget": 99}).json()
    assert plain["choices"][0]["message"]["content"] == "\\boxed{7}"
    assert 2 < len(plain["candidates"]) < 10
    assert within["candidates"] == plain["candidates"]
