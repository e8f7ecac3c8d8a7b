"""Which languages a response mixes.

What is told apart is scripts (reasonbench.text.languages): French words in an English response are
not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reasonbench.text.languages import LATIN, Language, by_words
from reasonbench.text.prose import GAP, prose
from reasonbench.text.scripts import ALPHABETS, UNSPACED, Word, plain_latin, words

TERM_WORDS = 3
"""This many Latin words in a row, or fewer, are a term in a sentence of another language."""

MIXED_WORDS = 2.0
"""A response is mixed from this many words of a script that no term of its language is in."""
MIXED_SHARE = 0.02
"""Of Latin and Greek words in another language, it takes this share of all words too."""

_LETTERS = ("latin", "greek")
"""Scripts whose words can be terms and names of formulas in any language."""
_SENTENCE = re.compile(r"\n|[。！？؟।]|[.!?;；](?=\s|$)")
_JOINS = re.compile(r"[\s,'’\-]*+")
_OPERATOR = re.compile(rf"[=+*/^<>≤≥≈≠×÷·√∑∫%|&{GAP}]")
_NAMED = frozenset("0123456789_^\\{}")
_LATIN_WORDS = re.compile(
    r"(?<![A-Za-z0-9_^\\{}])(?<![A-Za-z]['’])[A-Za-z](?:[A-Za-z]++(?:['’][A-Za-z]++)*+|(?:['’][A-Za-z]++)++)"
    r"(?![0-9_^\\{}(])"
)
"""The words that `_sentences` finds in a text of English letters alone."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """The words of a text by language, terms and variables left out.

    Attributes:
        main: what it should be in; None for a text without words.
        own: words of it.
        foreign: words of other scripts, by script.
        terms: words left out: Latin terms in a sentence of another language, names in formulas,
            words quoted from the question.
    """

    main: Language | None
    own: float
    foreign: Mapping[str, float]
    terms: float

    @property
    def share(self) -> float | None:
        """Share of words that are in the main language, 0–1; None without words."""
        total = self.own + sum(self.foreign.values())
        return self.own / total if total else None

    @property
    def mixed(self) -> bool:
        """Whether a reader would say that it switches language.

        Two Chinese words do that in an English text of any length; English words left in a Korean
        one must be more than a fiftieth of it, besides being two.
        """
        other = sum(self.foreign.values())
        letters = sum(self.foreign.get(script, 0.0) for script in _LETTERS)
        share = self.share
        if share is None:
            return False
        return other - letters >= MIXED_WORDS or (other >= MIXED_WORDS and 1 - share >= MIXED_SHARE)

    @property
    def languages(self) -> tuple[str, ...]:
        """The main language, then the scripts mixed into it, the commonest first."""
        if self.main is None:
            return ()
        others = sorted(self.foreign, key=lambda script: -self.foreign[script])
        return (self.main.name, *(others if self.mixed else ()))


def mixture(text: str, question: str = "") -> Mixture:
    """What languages a whole response is in; its main one is that of most of its words.

    Args:
        text: the response, tags and all.
        question: its words, where the response repeats them, are a quotation and left out.
    """
    return measure(text, None, question)


def measure(text: str, main: Language | None = None, question: str = "") -> Mixture:
    """The words of a text that are in a language, and those that are not.

    Formulas, code and LaTeX are left out (reasonbench.text.prose), and so are single letters of
    alphabets and names that touch a digit, `_`, `^` or an opening bracket. In a language that has
    another script, at most `TERM_WORDS` Latin or Greek words in a row are a term and left out
    where the sentence also holds words of the language; no more of them in a sentence than it has
    such words (or than `TERM_WORDS`). A sentence without such words is left out only where it is a
    formula: single names among operators.

    Args:
        text: what to measure.
        main: the language it should be in; that of most of its words where None.
        question: words of other scripts that stand in it too are a quotation and left out.
    """
    plain = prose(text)
    if main is None:
        main = by_words(plain)
    if main is None:
        return Mixture(None, 0.0, {}, 0.0)
    if main == LATIN and plain_latin(plain):  # 5 times as quick, and the same
        return Mixture(main, float(sum(1 for _ in _LATIN_WORDS.finditer(plain))), {}, 0.0)
    return _measured(plain, main, question)


def _measured(plain: str, main: Language, question: str) -> Mixture:
    asked = {question[w.start : w.end] for w in words(question) if w.script not in main.scripts}
    own = terms = 0.0
    foreign: dict[str, float] = {}
    for start, end, found in _sentences(plain):
        mine = sum(word.number for word in found if word.script in main.scripts)
        own += mine
        others = []
        for word in found:
            if word.script in main.scripts:
                continue
            if _quoted(plain[word.start : word.end], word, asked, question):
                terms += word.number
            else:
                others.append(word)
        formula = not mine and _OPERATOR.search(plain, start, end) is not None
        spare = max(float(TERM_WORDS), mine) if mine and main is not LATIN else 0.0
        for run in _runs(plain, others):
            size = sum(word.number for word in run)
            named = formula and len(run) == 1 and run[0].script in _LETTERS
            if named or (run[0].script in _LETTERS and len(run) <= TERM_WORDS and size <= spare):
                terms += size
                spare -= 0.0 if named else size
                continue
            for word in run:
                foreign[word.script] = foreign.get(word.script, 0.0) + word.number
    return Mixture(main, own, foreign, terms)


def _sentences(plain: str) -> Iterator[tuple[int, int, list[Word]]]:
    """(start, end, words) of each sentence that has words, names of formulas left out."""
    ends = (match.start() for match in _SENTENCE.finditer(plain))
    start, end = 0, next(ends, len(plain))
    found: list[Word] = []
    for word in words(plain):
        if word.start >= end:
            if found:
                yield start, end, found
            found = []
            while word.start >= end:
                start, end = end, next(ends, len(plain))
        if not _is_name(plain, word):
            found.append(word)
    if found:
        yield start, end, found


def _is_name(plain: str, word: Word) -> bool:
    """Whether a word is a variable or a function's name."""
    if word.script not in ALPHABETS:
        return False
    if word.end - word.start == 1:
        return True
    before = plain[word.start - 1] if word.start else " "
    after = plain[word.end] if word.end < len(plain) else " "
    return word.script in _LETTERS and (before in _NAMED or after in _NAMED or after == "(")


def _quoted(text: str, word: Word, asked: set[str], question: str) -> bool:
    return text in asked or (word.script in UNSPACED and text in question)


def _runs(plain: str, found: Sequence[Word]) -> Iterator[list[Word]]:
    """Words of Latin or Greek letters that stand in a row; each other word by itself."""
    run: list[Word] = []
    for word in found:
        if run and not (
            word.script in _LETTERS
            and run[-1].script in _LETTERS
            and _JOINS.fullmatch(plain, run[-1].end, word.start)
        ):
            yield run
            run = []
        run.append(word)
    if run:
        yield run
