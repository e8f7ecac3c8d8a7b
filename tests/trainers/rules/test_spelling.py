from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.trainers.rules import (
    BUILTIN,
    get,
    make_rules,
    names,
    parse_rule,
    spell,
)
from reasonbench.trainers.rules.base import Options


def made(*spec: str) -> dict[str, float]:
    return {one.rule.name: one.weight for one in make_rules(spec, Graders())}


def test_weights_are_read_in_order() -> None:
    assert list(made("format:0.5", "accuracy:1", "reflection:0").items()) == [
        ("format", 0.5),
        ("accuracy", 1.0),
        ("reflection", 0.0),
    ]


def test_a_rule_has_a_weight_of_its_own_where_none_is_given() -> None:
    assert made("accuracy", "language", "reflection") == {
        "accuracy": 1.0,
        "language": 0.1,
        "reflection": 0.0,
    }


def test_accuracy_is_logged_where_nobody_asks_for_it() -> None:
    assert made("format") == {"format": 1.0, "accuracy": 0.0}
    assert made() == {"accuracy": 1.0}


@pytest.mark.parametrize(
    "spec",
    [
        "accuracy:1",
        "accuracy:1,wrong=-1.0",
        "language:0.1,target=korean",
        "overlong:0.5,max=100,cache=20",
        "cosine:1,max=100,exceed=-5.0",
        "repetition:0.2,n=20",
    ],
)
def test_spell_gives_back_what_was_parsed(spec: str) -> None:
    (rule, *_) = make_rules([spec], Graders())
    assert spell(rule) == spec


def test_options_may_come_without_a_weight() -> None:
    rule, weight = parse_rule("accuracy:wrong=-1")
    assert (rule.wrong, weight) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("acuracy:1", "unknown reward rule 'acuracy': did you mean accuracy"),
        ("accuracy:x", "the weight 'x' is not a finite number"),
        ("accuracy:nan", "the weight 'nan' is not a finite number"),
        ("accuracy:inf", "the weight 'inf' is not a finite number"),
        ("accuracy:1,rong=2", "unknown option of reward accuracy 'rong': did you mean wrong"),
        ("accuracy:1,wrong", "option 'wrong' of reward .* is not of the form name=value"),
        ("accuracy:1,wrong=a", "wrong: "),
        ("accuracy:1,wrong=nan", "wrong: "),
        ("accuracy:1,wrong=0,wrong=1", "gives 'wrong' twice"),
        ("format:1,x=2", "reward format has no options"),
        ("overlong:1", "max: Field required"),
        ("overlong:1,max=10,cache=20", "cache=20 is more than max=10"),
        ("overlong:1,max=0,cache=0", "max: "),
        ("repetition:1,n=0", "n: "),
        ("language:1,target=koreann", "unknown language 'koreann': did you mean korean"),
        ("", "is not of the form"),
        ("@", "is not of the form"),
    ],
)
def test_wrong_spellings_get_one_sentence(spec: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        make_rules([spec], Graders())


def test_a_rule_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="'format' is given twice"):
        make_rules(["format:1", "format:2"], Graders())


def test_every_rule_says_what_it_is() -> None:
    assert set(names()) >= set(BUILTIN)
    for name in BUILTIN:
        cls = get(name)
        assert issubclass(cls, Options)
        assert (cls.name, bool(cls.title), bool(cls.source)) == (name, True, True)


def test_rules_and_texts_need_no_torch() -> None:
    code = (
        "import sys, reasonbench.trainers.rules as r, reasonbench.trainers.contamination, "
        "reasonbench.trainers.export_rewards, reasonbench.text; "
        "[r.get(n) for n in r.BUILTIN]; "
        "print([m for m in ('torch', 'transformers', 'vllm', 'sympy') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_documentation_lists_every_rule() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/reward-rules.md").read_text("utf-8")
    assert [name for name in BUILTIN if f"| `{name}` |" not in text] == []
