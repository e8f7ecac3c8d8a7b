"""Words and phrases with which a solution looks back: R1-Zero's "aha moments"."""

from __future__ import annotations

import re

_PHRASE = re.compile(
    r"""(?ix)
    \b(?:
      wait | hmm+ | hold\ on | on\ second\ thought | alternatively | let\ me\ think\ again
      | (?:let\ me|let[’']s|let\ us|i(?:[’']ll|\ will|\ should|\ need\ to))\ (?:just\ )?
        (?:check|verify|(?:re-?)(?:read|think|compute|count|solve|visit|assess))
      | (?:double|cross)[- ]check(?:ing)?
      | re-?(?:check|evaluate|examine|consider|calculate)(?:ing)?
      | try\ (?:again|another) | start\ over | go\ back
      | (?:i\ made|there[’']s|there\ is|that[’']s|that\ is|this\ is)\ (?:a|an)\ (?:mistake|error)
      | (?:that|this)\ (?:is|was|seems)\ (?:wrong|not\ right|incorrect|off) | that\ can[’']t\ be
    )\b
    | 等等 | 等一下 | 等会儿? | 且慢 | 不对 | 不，等 | 再想想 | 换个(?:角度|思路|方法)
    | (?:让我|我们?来?)?(?:重新|再)(?:检查|验证|思考|考虑|计算|算|看|审视) | 检查一下 | 验证一下
    | (?:我|这里)(?:搞|弄|算|想)?错了
    | 잠깐 | 잠시만 | 가만 | 아니[,.] | 다시\ (?:한\ 번\ )?(?:확인|생각|계산|검토|살펴|풀) | 검산
    | 틀렸 | 실수(?:했|를) | 다른\ (?:방법|방식)으로
    """
)
"""English, Chinese and Korean; "wait" and its like as R1-Zero's authors count them, with what
checks, corrects or starts again."""


def reflections(text: str) -> int:
    """How many reflection words and phrases a text has; linear in its length."""
    return sum(1 for _ in _PHRASE.finditer(text))


def reflection_spans(text: str) -> list[tuple[int, int]]:
    """Where they begin and end, in characters, in order; see `reflections`."""
    return [match.span() for match in _PHRASE.finditer(text)]
