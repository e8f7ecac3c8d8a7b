from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reasonbench.errors import UsageError
from reasonbench.text import language, language_of, measure, mixture, prose
from reasonbench.text.languages import LATIN, by_words
from reasonbench.text.mixture import _measured
from reasonbench.text.scripts import plain_latin, words

CHINESE = (
    "我们先设这个数为 $x$，根据题意可以列出方程 $2x + 3 = 11$。\n"
    "解得 x = 4。检查一下：2×4+3=11，符合题意。所以答案是 4。"
)
KOREAN = (
    "먼저 구하려는 수를 x라고 합시다. 문제에서 2x + 3 = 11 이라고 했으므로 x = 4 입니다.\n"
    "다시 확인해 보면 2 × 4 + 3 = 11 이므로 맞습니다. 따라서 답은 4입니다."
)
ENGLISH = (
    "Let the number be $x$. The problem says that 2x + 3 = 11, so x = 4.\n"
    "Wait, let me check: 2 × 4 + 3 = 11, which is right. So the answer is 4."
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CHINESE, "chinese"),
        (KOREAN, "korean"),
        (ENGLISH, "latin"),
        ("まず、この数を x とおきます。答えは 4 です。", "japanese"),
        ("カタカナ漢字", "japanese"),
        ("Сначала обозначим число через x, тогда ответ равен 4.", "cyrillic"),
        ("لنفترض أن العدد هو x، إذن الجواب هو 4", "arabic"),
        ("मान लीजिए संख्या x है, तो उत्तर 4 है", "devanagari"),
        ("ให้จำนวนนั้นเป็น x ดังนั้นคำตอบคือ 4", "thai"),
        ("נסמן את המספר ב-x ולכן התשובה היא 4", "hebrew"),
        ("Έστω ότι ο αριθμός είναι x, άρα η απάντηση είναι 4", "greek"),
        ("எண் x என்க, எனவே விடை 4", "tamil"),
        ("ვთქვათ რიცხვი არის x", "georgian"),
        ("Soit x le nombre cherché ; alors la réponse est 4", "latin"),
    ],
)
def test_each_language_is_told_by_its_script_and_is_all_its_own(text: str, name: str) -> None:
    found = language_of(text)
    assert found is not None
    assert found.name == name
    assert measure(text, found).share == 1.0
    assert not mixture(text).mixed


@pytest.mark.parametrize(
    "text", ["", "3 + 4 = 7", "$x^2$", "x = y", "\x00\x00", "```python\nx\n```"]
)
def test_a_text_without_words_has_no_language(text: str) -> None:
    assert language_of(text) is None
    found = mixture(text)
    assert (found.main, found.share, found.languages, found.mixed) == (None, None, (), False)


@pytest.mark.parametrize("other", [KOREAN, ENGLISH, "まずはかんがえてみましょう。"])
def test_thinking_in_another_language_has_no_share(other: str) -> None:
    share = measure(other, language("zh")).share
    assert share is not None
    assert share < 0.1


@pytest.mark.parametrize("other", [CHINESE, KOREAN])
def test_english_is_not_chinese_or_korean(other: str) -> None:
    assert measure(other, language("en")).share == 0.0


def test_half_and_half_is_about_half() -> None:
    share = measure(f"{CHINESE}\n{ENGLISH}", language("zh")).share
    assert share is not None
    assert 0.3 < share < 0.7


@pytest.mark.parametrize(
    "text",
    [
        "这个 Python list 的长度是三，所以 GDP 增长了。",
        "파이썬의 list comprehension 을 사용하면 DNA 서열을 셀 수 있습니다. 길이는 5 cm 입니다.",
        "根据 Cauchy-Schwarz 不等式，我们得到结果。",
        "在三角形 ABC 中，\nAB = CD\n所以角度相等。",
        "调用 max_value(x) 和 arr.append 函数来计算结果。",
        "このPythonのリストはとても長いです。",
    ],
)
def test_latin_terms_formulas_and_names_are_left_out(text: str) -> None:
    assert mixture(text).share == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "让我们想一想这个问题。Let me think about this problem step by step. 答案是四。",
        "이 문제를 풀어 봅시다. So the answer must be four. 답은 4입니다.",
        "我们计算。\nWait\n答案是四。",
    ],
)
def test_a_sentence_of_english_is_no_term(text: str) -> None:
    found = mixture(text)
    assert found.share is not None
    assert found.share < 1.0


def test_terms_of_a_sentence_are_no_more_than_its_own_words() -> None:
    share = measure("Let me 想 think about 好 this big problem 吧 now.", language("zh")).share
    assert share is not None
    assert share < 0.5


def test_chinese_in_korean_counts_whatever_its_length() -> None:
    found = mixture("먼저 이 문제를 생각해 봅시다. 首先 계산합니다.")
    assert found.foreign == {"han": 1.25}


def test_a_few_chinese_words_mix_a_long_english_text() -> None:
    text = "We add the numbers and find the sum. " * 100 + "所以答案是四。"
    assert mixture(text).languages == ("latin", "han")


def test_one_stray_english_sentence_does_not_mix_a_long_korean_text() -> None:
    assert not mixture(KOREAN * 20 + " So it is right.").mixed
    assert mixture(KOREAN + "\nSo the answer is right and we are done now.").mixed


def test_words_quoted_from_the_question_are_left_out() -> None:
    question = "What does 你好世界 mean in English?"
    text = "The phrase 你好世界 is a greeting, and 你好 alone means hello."
    assert mixture(text, question).share == 1.0
    assert mixture(text).share != 1.0


def test_japanese_may_use_han_and_chinese_may_not_use_kana() -> None:
    text = "まず計算します"
    assert measure(text, language("ja")).share == 1.0
    share = measure(text, language("zh")).share
    assert share is not None
    assert share < 1.0


@pytest.mark.parametrize(
    ("name", "full"), [("ko", "korean"), ("Hindi", "devanagari"), (" EN ", "latin")]
)
def test_languages_have_names_and_codes(name: str, full: str) -> None:
    assert language(name).name == full


def test_an_unknown_language_lists_the_near_misses() -> None:
    with pytest.raises(UsageError, match="did you mean korean"):
        language("koreann")


@given(st.text(max_size=80), st.text(max_size=20))
def test_shares_are_shares(text: str, question: str) -> None:
    found = mixture(text, question)
    assert found.share is None or 0.0 <= found.share <= 1.0
    assert (found.main is None) == (found.languages == ())


@example("1Z'ZZ ab'cd_ 'ef' x'y")
@given(st.text("abZ'’ 1_^{}\\(x,.\n×", max_size=40))
def test_the_quick_way_through_english_text_counts_the_same(text: str) -> None:
    plain = prose(text)
    assert plain_latin(plain)
    assert measure(text, LATIN) == _measured(plain, LATIN, "")
    # a letter of another script makes it go the long way
    assert by_words(plain) == by_words(plain + " é")


@given(st.text(max_size=80))
def test_words_stand_in_the_text_in_order(text: str) -> None:
    at = 0
    for word in words(text):
        assert at <= word.start < word.end <= len(text)
        at = word.end


OPENINGS = ["$", "`", "```", "~~~", "\\(", "\\[", "<a", "<think>", "\\begin{align}", "$a ", "$$x"]
LETTERS = [
    "\x00",
    "好a",
    "\u202eאב ",
    " ",
    "a ",
    "a\n",
    "(a=",
    "e\u0301",
    "\u0301",
    "a, ",
    "\ud800",
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", [*OPENINGS, *LETTERS, "http://", "a'"])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    # quadratic time would take many minutes
    text = piece * (150_000 // len(piece))
    found = mixture(text, text[:10_000])
    assert found.share is None or 0.0 <= found.share <= 1.0
