from __future__ import annotations

import pytest

from tests.text.test_mixture import CHINESE, ENGLISH, KOREAN
from tests.trainers.rules.cases import problem, value

ASKED = {
    "en": problem("Find the number whose double plus three is eleven."),
    "zh": problem("求一个数，它的两倍加三等于十一。"),
    "ko": problem("두 배에 셋을 더하면 열하나가 되는 수를 구하시오."),
}
THOUGHT = {"en": ENGLISH, "zh": CHINESE, "ko": KOREAN}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("thought", THOUGHT)
def test_the_target_is_the_question_s_language(asked: str, thought: str) -> None:
    text = f"<think>{THOUGHT[thought]}</think><answer>4</answer>"
    share = value("language", text, asked=ASKED[asked])
    assert share is not None
    assert share == 1.0 if asked == thought else share < 0.1


def test_only_the_thinking_counts() -> None:
    text = f"<think>{KOREAN}</think><answer>{ENGLISH}</answer>"
    assert value("language", text, asked=ASKED["ko"]) == 1.0


def test_thinking_that_the_template_opened_counts() -> None:
    text = f"{KOREAN}</think>{ENGLISH}"
    share = value("language", text, asked=ASKED["ko"], prompt="<think>", thinking_open=True)
    assert share == 1.0


def test_a_response_without_thinking_is_measured_whole() -> None:
    assert value("language", CHINESE, asked=ASKED["zh"]) == 1.0
    empty = f"<think>\n\n</think>{CHINESE}"
    assert value("language", empty, asked=ASKED["zh"]) == 1.0


def test_an_english_instruction_does_not_make_the_target_english() -> None:
    prompt = "求一个数。\nPlease reason step by step, and put your final answer within \\boxed{}."
    share = value("language", CHINESE, asked=problem("求一个数，它的两倍是八。"), prompt=prompt)
    assert share == 1.0


def test_the_target_of_a_bare_formula_is_the_prompt_s() -> None:
    asked = problem("$3 + 4$")
    assert value("language", KOREAN, asked=asked, prompt="다음을 계산하시오: $3+4$") == 1.0
    assert value("language", KOREAN, asked=asked, prompt="$3+4$") is None


def test_the_target_may_be_given() -> None:
    share = value("language:0.1,target=ko", KOREAN, asked=ASKED["en"])
    assert share == 1.0


def test_a_response_without_words_has_no_value() -> None:
    assert value("language", "<think>$3+4$</think>", asked=ASKED["ko"]) is None


def test_mixed_thinking_lies_between() -> None:
    text = f"<think>{KOREAN}\n{ENGLISH}\n首先我们计算。</think>"
    share = value("language", text, asked=ASKED["ko"])
    assert share is not None
    assert 0.2 < share < 0.8
