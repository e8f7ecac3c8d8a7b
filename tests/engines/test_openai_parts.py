"""The parts of the engine for servers that need none: waits, limits, patience, answers."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from reasonbench.engines.base import EngineError
from reasonbench.engines.needs import Needs
from reasonbench.engines.openai import base_urls
from reasonbench.engines.openai_answers import Answer
from reasonbench.engines.openai_failure import Failure, of_status, pause, read_error, retry_after
from reasonbench.engines.openai_limit import START, Limit
from reasonbench.engines.openai_pace import Pace
from reasonbench.engines.openai_served import Served, lacks, options
from reasonbench.errors import UsageError


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    now = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
    later = format_datetime(now.replace(second=7), usegmt=True)
    assert retry_after("2.5", 0.0) == 2.5
    assert retry_after(later, now.timestamp()) == 7.0
    assert retry_after("-3", 0.0) == 0.0
    assert retry_after("soon", 0.0) is None
    assert retry_after("nan", 0.0) is None
    assert retry_after(None, 0.0) is None


def test_waits_grow_are_drawn_and_obey_the_server() -> None:
    dice = random.Random(0)
    broken = Failure("broken", "x")
    waits = [[pause(n, broken, dice) for _ in range(50)] for n in range(4)]
    assert all(0.05 * 2**n <= w < 0.15 * 2**n for n, drawn in enumerate(waits) for w in drawn)
    assert all(len(set(drawn)) > 40 for drawn in waits)
    assert pause(50, broken, dice) < 30
    assert 9 <= pause(0, Failure("busy", "x", wait=9.0), dice) <= 9.9


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "", "busy"),
        (503, "", "busy"),
        (500, "", "broken"),
        (529, "", "broken"),
        (408, "", "broken"),
        (400, "", "final"),
        (404, "", "final"),
        (401, "", "fatal"),
        (429, "insufficient_quota", "fatal"),
    ],
)
def test_what_a_status_means(status: int, code: str, kind: str) -> None:
    body = f'{{"error": {{"message": "no", "code": "{code}"}}}}'.encode()
    assert of_status(status, body, {}).kind == kind


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "too long."}}',
        b'{"error": "too long", "error_type": "validation"}',
        b'{"detail": "too long"}',
        b'{"object": "error", "message": "too long"}',
        b"<html><body>too\n long</body></html>",
    ],
)
def test_errors_are_read_in_the_shapes_of_servers(body: bytes) -> None:
    assert read_error(body).message == "too long"


def _serve(limit: Limit, rate: float, *, refused: float = 0.0, places: int = 1024) -> list[int]:
    """Requests of 10 tokens at a server that can do `rate` at once; the limit after each round.

    Args:
        refused: share of requests that it refuses however few they are.
        places: it refuses what goes beyond.
    """
    dice, now, seen = random.Random(1), 0.0, []
    for _ in range(400):
        sent, many = now, limit.value
        for n in range(many):
            limit.sending(n + 1, sent)
        now += max(1.0, many / rate)  # all beyond the rate only queue
        for n in range(many):
            if n >= places or dice.random() < refused:
                limit.refused(sent, now)
            else:
                limit.served(10, sent, now)
        seen.append(limit.value)
    return seen


def test_the_limit_grows_to_what_the_server_can_do_and_not_far_beyond() -> None:
    seen = _serve(Limit(512), 100)
    assert min(seen[50:]) >= 64
    assert max(seen[50:]) <= 200
    assert max(_serve(Limit(32), 100)) == 32


def test_refusals_halve_the_limit_once_for_all_that_were_in_flight() -> None:
    limit = Limit(512, 64)
    for n in range(64):
        limit.sending(n + 1, 0.0)
    for _ in range(64):
        limit.refused(0.0, 1.0)
    assert limit.value == 32
    for _ in range(32):
        limit.refused(1.5, 2.0)
    assert limit.value == 16


def test_a_server_that_refuses_what_is_too_much_gets_about_as_much_as_it_takes() -> None:
    seen = _serve(Limit(512), 1000, places=40)
    assert 20 <= sum(seen[-200:]) / 200 <= 48


def test_refusals_that_do_not_depend_on_load_do_not_starve_a_run() -> None:
    seen = _serve(Limit(256), 1000, refused=0.1)
    assert sum(seen[-100:]) / 100 > 100


def test_a_limit_that_refusals_took_down_comes_back_without_paying() -> None:
    limit = Limit(512)
    for now in range(1, 5):
        for _ in range(64):
            limit.refused(now - 0.5, float(now))
    assert limit.value == 1
    seen, now = [], 10.0
    for _ in range(2000):
        many = limit.value
        for n in range(many):
            limit.sending(n + 1, now)
        for _ in range(many):
            limit.served(10, now, now + many)  # more at once only take longer
        now += many
        seen.append(limit.value)
    assert max(seen) <= 2 * START
    assert sum(seen[-100:]) / 100 >= START


def test_goodput_is_that_of_the_requests_which_were_served() -> None:
    """Half of the requests fail, at random: the limit grows as it would without them."""
    dice, limit, now = random.Random(3), Limit(512), 0.0
    for _ in range(400):
        sent, many = now, limit.value
        for n in range(many):
            limit.sending(n + 1, sent)
        now += max(1.0, many / 200)
        for _ in range(many):
            if dice.random() < 0.5:
                limit.served(dice.choice((1, 10, 100)), sent, now)
    assert limit.value >= 64


def test_requests_that_were_lost_make_the_next_late_one_doubtful() -> None:
    pace = Pace(600.0, 3.0)
    assert not pace.doubtful
    for _ in range(3):
        pace.lost()
    assert pace.doubtful
    for _ in range(200):
        pace.served(0.1)
    assert not pace.doubtful
    patient = Pace(600.0, 0.0)
    for _ in range(9):
        patient.lost()
    assert not patient.doubtful


def test_a_request_is_given_up_on_by_the_pace_of_the_others() -> None:
    pace = Pace(600.0, 4.0)
    assert pace.allowed(0) == 600
    for seconds in (1.0,) * 8:
        pace.served(seconds)
    assert [pace.allowed(n) for n in range(3)] == [4, 8, 16]
    for seconds in range(92):
        pace.served(2.0 if seconds < 88 else 50.0)
    assert pace.allowed(0) == 8
    for _ in range(256):
        pace.served(0.01)
    assert pace.allowed(0) == 3
    assert pace.allowed(20) == 600
    patient = Pace(600.0, 0.0)
    for _ in range(20):
        patient.served(1.0)
    assert patient.allowed(0) == 600


def _answer(choice: dict[str, Any], usage: dict[str, Any] | None = None, **given: Any) -> Answer:
    answer = Answer(**given)
    answer.add({"choices": [{"finish_reason": "stop", **choice}], "usage": usage})
    return answer.whole()


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_in_a_field_of_its_own_is_thinking(field: str) -> None:
    answer = _answer({"message": {"content": "42", field: "six times seven"}})
    assert answer.written == "<think>\nsix times seven\n</think>\n\n42"
    cut = _answer({"message": {"content": None, field: "six"}, "finish_reason": "length"})
    assert cut.written == "<think>\nsix"


def test_hidden_reasoning_is_counted_or_unknown_but_never_none() -> None:
    said = {"message": {"content": "42"}}
    inside = {"prompt_tokens": 5, "completion_tokens": 90, "total_tokens": 95}
    counted = inside | {"completion_tokens_details": {"reasoning_tokens": 80}}
    beside = counted | {"completion_tokens": 10}
    unsaid = inside | {"completion_tokens_details": {"reasoning_tokens": None}}
    assert _answer(said, counted).counted == 90
    assert _answer(said, beside).counted == 90
    assert _answer(said, unsaid).counted is None
    assert _answer(said, inside, hidden=True).counted is None
    assert _answer(said, counted, hidden=True).counted == 90
    sealed = {"message": {"content": "42", "reasoning_details": [{"type": "reasoning.encrypted"}]}}
    assert _answer(sealed, inside).counted is None
    assert _answer(said, inside).counted == 90
    assert _answer(said).counted is None


def test_confidences_are_of_the_likeliest_tokens() -> None:
    top = [{"a": -1.0, "b": -3.0, "c": -9.0}, {"a": -2.0}]
    answer = _answer({"text": "xy", "logprobs": {"token_logprobs": [-9, -2], "top_logprobs": top}},
                     top=2)  # fmt: skip
    assert answer.confidences == [2.0, 2.0]
    assert answer.tops == 3
    assert math.isclose(sum(answer.logprobs), -11)


@pytest.mark.parametrize(
    "found",
    [{}, {"choices": []}, {"choices": [{"text": "a"}]}, {"choices": [{"finish_reason": "error"}]},
     {"choices": [{"token_ids": 3, "finish_reason": "stop"}]}, {"choices": ["a"]}],
)  # fmt: skip
def test_an_answer_without_a_finished_completion_is_broken(found: dict[str, Any]) -> None:
    def read() -> None:
        answer = Answer()
        answer.add(found)
        answer.whole()

    with pytest.raises(Failure) as caught:
        read()
    assert caught.value.kind == "broken"


def test_a_filtered_completion_is_not_asked_for_again() -> None:
    with pytest.raises(EngineError, match="content_filter"):
        Answer().add({"choices": [{"text": "", "finish_reason": "content_filter"}]})


def test_urls_are_split_and_checked() -> None:
    assert base_urls(["http://a:1/v1/, http://b/v1", "http://a:1/v1"]) == [
        "http://a:1/v1",
        "http://b/v1",
    ]
    for wrong in ("", "localhost:8000", "http://me:secret@a/v1", "http://a/v1?key=secret"):
        with pytest.raises(UsageError) as caught:
            base_urls([wrong])
        assert "secret" not in str(caught.value)


def test_keys_are_no_engine_arguments() -> None:
    for given in ({"api_key": "s3cret"}, {"extra_body": {"Authorization": "s3cret"}}):
        with pytest.raises(UsageError, match="environment only") as caught:
            options(given)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(UsageError, match="did you mean timeout"):
        options({"timeouts": 3})
    with pytest.raises(UsageError, match="retries"):
        options({"retries": -1})


def test_what_a_server_lacks_is_said_in_a_sentence() -> None:
    chat = Served("m", chat=True, completions=False)
    text = Served("m", completions=True, tokenizer="local")
    full = Served("m", completions=True, tokenizer="local", token_ids=True, stops=True,
                  logprobs=20, extras=True)  # fmt: skip
    assert "chat route only" in (lacks(chat, Needs(continuation=True)) or "")
    assert "which stop string" in (lacks(text, Needs(continuation=True)) or "")
    assert "log-probabilities" in (lacks(chat, Needs(logprobs=True)) or "")
    assert "5 likeliest" in (lacks(text, Needs(top_logprobs=5)) or "")
    assert "self-certainty" in (lacks(full, Needs(self_certainty=True)) or "")
    everything = Needs(True, True, True, 20, False, True, True, True, None, True)
    assert lacks(full, everything) is None
