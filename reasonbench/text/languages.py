"""Languages as far as their script tells them apart.

English, French, Vietnamese and all others in Latin letters are one ("latin"); so are those in
Cyrillic, Arabic and Devanagari letters. Japanese without any kana reads as Chinese.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import NamedTuple

from reasonbench.errors import unknown
from reasonbench.text.prose import prose
from reasonbench.text.scripts import ALPHABETS, OTHER, SCRIPTS, plain_latin, words

KANA_SHARE = 0.1
"""Han text with at least this share of kana characters is Japanese."""


class Language(NamedTuple):
    """What a text is meant to be written in.

    Attributes:
        name: of the language, or of the script where that is all there is to tell.
        scripts: those its words are in.
    """

    name: str
    scripts: frozenset[str]


LATIN = Language("latin", frozenset({"latin"}))
CHINESE = Language("chinese", frozenset({"han", "bopomofo"}))
JAPANESE = Language("japanese", frozenset({"han", "kana"}))
KOREAN = Language("korean", frozenset({"hangul"}))

LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (
        LATIN,
        CHINESE,
        JAPANESE,
        KOREAN,
        *(
            Language(name, frozenset({name}))
            for name in SCRIPTS
            if name not in ("latin", "han", "kana", "hangul", "bopomofo")
        ),
    )
}
"""By name."""

_ALSO = {
    "latin": "en english de german fr french es spanish it italian pt portuguese nl dutch pl polish"
    " tr turkish vi vietnamese id indonesian cs czech sv swedish ro romanian hu hungarian",
    "chinese": "zh zh-cn zh-tw han",
    "japanese": "ja",
    "korean": "ko hangul",
    "cyrillic": "ru russian uk ukrainian bg bulgarian sr serbian kk kazakh",
    "greek": "el",
    "arabic": "ar fa persian ur urdu",
    "hebrew": "he",
    "devanagari": "hi hindi mr marathi ne nepali",
    "bengali": "bn",
    "gurmukhi": "pa punjabi",
    "gujarati": "gu",
    "oriya": "or odia",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "sinhala": "si",
    "thai": "th",
    "lao": "lo",
    "tibetan": "bo",
    "burmese": "my",
    "khmer": "km",
    "georgian": "ka",
    "armenian": "hy",
    "ethiopic": "am amharic",
}
_NAMES = {name: name for name in LANGUAGES} | {
    also: name for name, words_of in _ALSO.items() for also in words_of.split()
}


_LATIN_WORD = re.compile("[A-Za-z]['’]?[A-Za-z]")


def language(name: str) -> Language:
    """The language of a name or an ISO 639-1 code ("ko", "korean", "Hindi").

    Raises:
        UsageError: it is none that is known here.
    """
    key = name.strip().lower()
    if key not in _NAMES:
        raise unknown("language", name, _NAMES)
    return LANGUAGES[_NAMES[key]]


def language_of(text: str) -> Language | None:
    """The language most words of a text are in, formulas and code left out; None without words.

    Latin letters must outnumber the words of every other language: a Chinese sentence full of
    English terms is Chinese.
    """
    return by_words(prose(text))


def by_words(plain: str) -> Language | None:
    """`language_of` for text that is prose already."""
    if plain_latin(plain):
        return LATIN if _LATIN_WORD.search(plain) else None
    counts: defaultdict[str, float] = defaultdict(float)
    characters: Counter[str] = Counter()
    for word in words(plain):
        length = word.end - word.start
        # a single letter is a variable; a single Han character is a word
        if length > 1 or word.script not in ALPHABETS:
            counts[word.script] += word.number
            characters[word.script] += length
    han, kana = characters["han"], characters["kana"]
    east = CHINESE if kana < KANA_SHARE * (han + kana) else JAPANESE
    candidates = [
        east,
        *(one for one in LANGUAGES.values() if one not in (CHINESE, JAPANESE, LATIN)),
        LATIN,
    ]
    sums = [sum(counts[script] for script in one.scripts) for one in candidates]
    best = max(range(len(sums)), key=sums.__getitem__)
    if counts[OTHER] > sums[best]:
        return Language(OTHER, frozenset({OTHER}))
    return candidates[best] if sums[best] else None
