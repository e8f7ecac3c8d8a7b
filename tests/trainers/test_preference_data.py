"""Rows of preferences: each form as it stands, and what is said of rows that are malformed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.errors import UsageError
from reasonbench.trainers.preference_data import (
    Graded,
    Judged,
    Pair,
    Preference,
    Ranked,
    is_preference,
    read_preferences,
)
from reasonbench.trainers.preference_rows import (
    TextEncoder,
    convert,
    crossed,
    hold_out,
    make_groups,
    with_mismatched,
)

GOLDEN = Path(__file__).parent / "golden_rows"


def golden(name: str) -> list[tuple[int, Preference]]:
    return list(read_preferences(GOLDEN / f"{name}.jsonl"))


def written(rows: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("name", "form"),
    [("a_b", Pair), ("pairs", Pair), ("labels", Judged), ("rankings", Ranked), ("scores", Graded)],
)
def test_rows_of_each_form_are_read_as_they_stand(name: str, form: type) -> None:
    found = golden(name)
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    assert {type(row) for _, row in found} == {form}
    assert json.loads(json.dumps([[line, asdict(row)] for line, row in found])) == expected


def test_a_ranking_gives_every_pair_of_a_better_and_a_worse_response() -> None:
    pairs = list(convert(golden("rankings"), "pair", "rankings.jsonl"))
    expected = json.loads((GOLDEN / "rankings_as_pairs.expected.json").read_text())
    assert [[p.prompt, p.chosen, p.rejected] for p in pairs if isinstance(p, Pair)] == expected


def test_tied_responses_form_no_pair(tmp_path: Path) -> None:
    row = {"prompt": "p", "responses": ["a", "b", "c", "d"], "ranking": [1, 3, 1, 4]}
    rows = read_preferences(written([row], tmp_path), ties=True)
    pairs = [p for p in convert(rows, "pair", "x") if isinstance(p, Pair)]
    assert [(p.chosen, p.rejected) for p in pairs] == [
        ("a", "b"), ("a", "d"), ("c", "b"), ("c", "d"), ("b", "d"),
    ]  # fmt: skip


def test_good_and_bad_responses_to_one_prompt_are_paired_up_to_a_cap() -> None:
    found = list(convert(golden("labels"), "pair", "labels.jsonl"))
    assert found == [
        Pair("What is 3 + 4?", "7", "8"),
        Pair("What is 3 + 4?", "3 + 4 = 7", "8"),
        Pair("What is 5 + 1?", "6", "5"),
    ]
    assert len(list(convert(golden("labels"), "pair", "labels.jsonl", 1))) == 2


def test_a_pair_gives_a_good_and_a_bad_response() -> None:
    first, second = list(convert(golden("pairs"), "judged", "pairs.jsonl"))[:2]
    assert first == Judged("What is 3 + 4?", "7", True)
    assert second == Judged("What is 3 + 4?", "8", False)


@pytest.mark.parametrize(
    ("name", "want", "message"),
    [
        ("rankings", "judged", "line 1: a ranking cannot be learned from as a good or bad"),
        ("scores", "pair", "line 1: a grade cannot be learned from as a pair"),
        ("labels", "ranking", "line 1: a good or bad response cannot be"),
        ("pairs", "graded", "line 1: a pair cannot be learned from as a grade"),
    ],
)
def test_a_form_that_a_loss_cannot_learn_from_is_told(name: str, want: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(convert(golden(name), want, f"{name}.jsonl"))


AB = {"prompt": "p", "response_a": "x", "response_b": "y", "preference": "A"}
PAIR = {"prompt": "p", "chosen": "x", "rejected": "y"}
RANK = {"prompt": "p", "responses": ["x", "y", "z"], "ranking": [1, 2, 3]}
LABEL = {"prompt": "p", "response": "x", "label": "good"}
SCORE = {"prompt": "p", "response": "x", "score": 1}
FORMS: tuple[dict[str, Any], ...] = (AB, PAIR, RANK, LABEL, SCORE)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (AB | {"preference": "tie"}, "a tie prefers neither"),
        (AB | {"preference": None}, "a tie prefers neither"),
        (AB | {"preference": "C"}, "`preference` is 'C', not \"A\" or \"B\""),
        (AB | {"preference": 1}, "`preference` is 1"),
        (AB | {"response_b": "x"}, "both responses are the same"),
        ({k: AB[k] for k in ("prompt", "response_a", "preference")}, "`response_b` is missing"),
        ({k: PAIR[k] for k in ("prompt", "chosen")}, "`rejected` is missing"),
        ({k: PAIR[k] for k in ("chosen", "rejected")}, "`prompt` is missing"),
        (PAIR | {"prompt": ""}, "`prompt` is empty"),
        (PAIR | {"prompt": 3}, "`prompt` is a number"),
        (PAIR | {"prompt": []}, "`prompt` is empty"),
        (PAIR | {"prompt": [{"role": "robot", "content": "x"}]}, "no message with a role"),
        (PAIR | {"prompt": [{"role": "assistant", "content": "x"}]}, "assistant's turn"),
        (PAIR | {"chosen": ""}, "`chosen` is empty"),
        (PAIR | {"chosen": None}, "`chosen` is null"),
        (PAIR | {"chosen": [{"role": "user", "content": "p"}]}, "must end with the assistant"),
        (PAIR | {"chosen": [{"role": "user", "content": "q"},
                            {"role": "assistant", "content": "x"}]}, "exactly the prompt"),
        (PAIR | {"chosen_length": "9"}, "`chosen_length` is '9'"),
        (PAIR | {"rejected_length": -1}, "`rejected_length` is -1"),
        (PAIR | {"sft_target": 4}, "`sft_target` is a number"),
        (PAIR | {"enable_thinking": "yes"}, "`enable_thinking` is a string"),
        (RANK | {"ranking": [1, 1, 2]}, "set ties=true where ties are meant"),
        (RANK | {"ranking": [1, 2]}, "`responses` has 3 entries and `ranking` 2"),
        (RANK | {"ranking": [0, 1, 2]}, "not the ranks 1 to 3"),
        (RANK | {"ranking": [1, 2, 4]}, "not the ranks 1 to 3"),
        (RANK | {"ranking": [1, 2.5, 3]}, "`ranking` holds 2.5"),
        (RANK | {"ranking": "1,2,3"}, "`ranking` is a string"),
        (RANK | {"responses": ["x"], "ranking": [1]}, "at least two"),
        (RANK | {"responses": ["x", "y", "x"]}, "one text twice"),
        (RANK | {"responses": ["x", "y", ""]}, r"`responses\[2\]` is empty"),
        (LABEL | {"label": "fine"}, "`label` is 'fine'"),
        (LABEL | {"label": 1}, "`label` is 1"),
        (LABEL | {"score": 3}, "the fields of two forms"),
        (SCORE | {"score": -0.5}, "grades begin at 0"),
        (SCORE | {"score": "5"}, "`score` is '5', not a number"),
        (SCORE | {"score": True}, "`score` is True, not a number"),
        ({"prompt": "p", "response": "x"}, "is missing"),
        ({"prompt": "p", "completion": "x"}, "not a preference: a row has one of"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_told_by_its_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    path = written([PAIR, row], tmp_path)
    with pytest.raises(UsageError, match=f"rows.jsonl, line 2: .*{message}"):
        list(read_preferences(path))


def test_a_ranking_of_ties_alone_is_refused_even_where_ties_are_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prefers none"):
        list(read_preferences(written([RANK | {"ranking": [1, 1, 1]}], tmp_path), ties=True))


def test_broken_json_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(PAIR) + "\n\n{oops\n")
    with pytest.raises(UsageError, match="line 3"):
        list(read_preferences(path))


def test_only_rows_of_preferences_are_taken_for_them() -> None:
    assert all(is_preference(row) for row in FORMS)
    assert not is_preference({"prompt": "p", "completions": ["a"], "labels": [True]})
    assert not is_preference({"id": "x", "question": "?", "solutions": []})


def test_crossing_uses_every_place_evenly_and_no_pair_twice() -> None:
    for first, second in ((2, 2), (3, 2), (4, 6), (1, 5), (6, 4)):
        found = crossed(first, second, 100)
        assert len(set(found)) == len(found) == first * second
        head = [i for i, _ in crossed(first, second, first)]
        assert sorted(head) == list(range(first))
    assert crossed(0, 3, 9) == []


def test_text_prompts_become_a_users_turn_unless_they_are_rendered() -> None:
    tokenizer = build_tokenizer()
    encode = TextEncoder(tokenizer, None)
    asked = "<|im_start|>user\n3+4<|im_end|>\n<|im_start|>assistant\n"
    assert encode.prompt("3+4") == encode.prompt(asked) == asked
    assert TextEncoder(tokenizer, False).prompt("3+4") == "3+4"
    text = encode("3+4", "7")
    assert tokenizer.decode(text.ids[: text.start]) == asked
    assert tokenizer.decode(text.ids[text.start :]) == "7<|im_end|>"
    assert text.trained == len(text.ids) - text.start
    whole = TextEncoder(tokenizer, None, turns=True)("3+4", "7")
    assert tokenizer.decode(whole.ids) == asked + "7<|im_end|>\n"


def test_groups_that_are_too_long_are_left_out_and_counted() -> None:
    rows = [Pair("a", "b", "c"), Pair("a", "b", "c " * 50)]
    groups, left_out = make_groups(rows, TextEncoder(build_tokenizer(), None), 40)
    assert (len(groups), left_out) == (1, 1)


def test_the_mismatched_response_belongs_to_another_prompt() -> None:
    rows = [Judged(p, r, True) for p, r in (("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"))]
    groups, _ = make_groups(rows, TextEncoder(build_tokenizer(), None), 100)
    made = with_mismatched(groups)
    tokenizer = build_tokenizer()
    mixed = [tokenizer.decode(g.texts[1].ids[g.texts[1].start :])[0] for g in made]
    assert mixed == ["3", "3", "4", "3"]
    for group in made:
        own, other = group.texts
        assert own.ids[: own.start] == other.ids[: other.start]
    with pytest.raises(UsageError, match="several prompts"):
        with_mismatched(groups[:2])


def test_what_is_held_out_shares_no_prompt_with_what_is_trained_on() -> None:
    rows = [Judged(p, r, True) for p, r in (("a", "1"), ("b", "2"), ("c", "3"), ("b", "4"))]
    groups, _ = make_groups(rows, TextEncoder(build_tokenizer(), None), 100)
    train, held = hold_out(groups, 2)
    assert [g.prompt for g in train] == ["a"]
    assert [g.prompt for g in held] == ["b", "c", "b"]
    with pytest.raises(UsageError, match="nothing is left"):
        hold_out(groups, 3)
