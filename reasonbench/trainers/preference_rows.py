"""Preferences to groups of token sequences: what a loss compares stands in one group."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.trainers.data import Encoded
from reasonbench.trainers.preference_data import Asked, Graded, Judged, Pair, Preference, Ranked
from reasonbench.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Want = Literal["pair", "judged", "ranking", "graded"]
"""What a loss learns from."""


class Text(NamedTuple):
    """One prompt with one response, as tokens.

    Attributes:
        ids: of both; 32-bit, since a list of Python's integers is nine times as large.
        start: where the response begins.
    """

    ids: array[int]
    start: int

    def encoded(self) -> Encoded:
        """The same for `completion_loss.pad`: the response is what is trained on."""
        size = len(self.ids)
        return Encoded(list(self.ids), [place >= self.start for place in range(size)])

    @property
    def trained(self) -> int:
        """Tokens of the response, its end included."""
        return len(self.ids) - self.start


@dataclass(frozen=True, slots=True)
class Group:
    """What one term of a loss compares.

    Attributes:
        texts: a pair's chosen and rejected one (then its supervised target, if it has one of its
            own); the ranked ones; a judged or graded one alone (for KTO followed by its prompt with
            the response to another prompt).
        prompt: which prompt it is of; groups of one prompt are held out together.
        good: of a judged one.
        ranking: of ranked ones, 1 for the best.
        grade: of a graded one, from 0 to 1.
        reference: summed log-probability of each text's response by the reference model, in nats.
    """

    texts: tuple[Text, ...]
    prompt: str
    good: bool | None = None
    ranking: tuple[int, ...] = ()
    grade: float = 0.0
    reference: tuple[float, ...] = ()

    @property
    def longest(self) -> int:
        return max(len(text.ids) for text in self.texts)


class TextEncoder:
    """Prompts and responses to tokens.

    Args:
        tokenizer: of the model that is trained.
        chat: text prompts are a user's turn of the chat template. None: where the tokenizer has a
            template and the text holds none of its special tokens (a rendered prompt does).
        turns: responses end as the template ends a turn, which is where outcome rewards read;
            otherwise with the end-of-sequence token, which is what a model learns to write.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, chat: bool | None, turns: bool = False
    ) -> None:
        if tokenizer.eos_token is None:
            raise UsageError("the tokenizer has no end-of-sequence token: set eos_token")
        if chat and tokenizer.chat_template is None:
            raise UsageError("the tokenizer has no chat template: leave `chat` out")
        self._tokenizer = tokenizer
        self._chat = chat
        self._special = tuple(filter(None, map(str, tokenizer.all_special_tokens)))
        self._end = str(tokenizer.eos_token)
        if turns and tokenizer.chat_template is not None:
            self._end = turn_end(tokenizer)

    def __call__(self, prompt: Asked, response: str, thinking: bool = False) -> Text:
        """Tokens of a prompt and a response; encoded apart, as they meet at generation."""
        head = self._ids(self.prompt(prompt, thinking))
        return Text(array("i", head + self._ids(response + self._end)), len(head))

    def prompt(self, prompt: Asked, thinking: bool = False) -> str:
        """A prompt as the model reads it.

        Raises:
            UsageError: a conversation, and the tokenizer has no chat template.
        """
        if isinstance(prompt, str):
            rendered = any(token in prompt for token in self._special)
            bare = self._tokenizer.chat_template is None or rendered
            if self._chat is False or (self._chat is None and bare):
                return prompt
            prompt = (Message("user", prompt),)
        if self._tokenizer.chat_template is None:
            raise UsageError(
                "the tokenizer has no chat template: give prompts as text, or set chat_template"
            )
        return str(
            self._tokenizer.apply_chat_template(
                [turn._asdict() for turn in prompt],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=thinking,
            )
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def turn_end(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the chat template writes behind an assistant's message."""
    mark = "@@solution@@"
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(mark)[2]


def convert(
    rows: Iterable[tuple[int, Preference]], want: Want, source: str, per_prompt: int = 4
) -> Iterator[Preference]:
    """Rows of any form as the form that a loss learns from.

    - `pair`: a ranking gives every pair of a better and a worse response; good and bad responses
      to one prompt give up to `per_prompt` pairs (they are held in memory until the end).
    - `judged`: a pair gives a good and a bad response.
    - `ranking`: a pair is a ranking of two.
    - `graded`: grades only.

    Args:
        rows: each with its line.
        want: the form.
        source: the file, for errors.
        per_prompt: the most pairs of good and bad responses to one prompt.

    Raises:
        UsageError: a row cannot be taken so (with its line).
    """
    judged: dict[tuple[Asked, bool], tuple[list[str], list[str]]] = {}
    for line, row in rows:
        if want == "pair" and isinstance(row, Judged):
            good, bad = judged.setdefault((row.prompt, row.thinking), ([], []))
            (good if row.good else bad).append(row.response)
            continue
        made = _as(row, want)
        if made is None:
            raise UsageError(
                f"{source}, line {line}: {_WHAT[type(row)]} cannot be learned from as "
                f"{_WANTED[want]}"
            )
        yield from made
    for (prompt, thinking), (good, bad) in judged.items():
        for i, j in crossed(len(good), len(bad), per_prompt):
            yield Pair(prompt, good[i], bad[j], thinking=thinking)


_WHAT = {Pair: "a pair", Judged: "a good or bad response", Ranked: "a ranking", Graded: "a grade"}
_WANTED = {
    "pair": "a pair",
    "judged": "a good or bad response",
    "ranking": "a ranking",
    "graded": "a grade",
}


def _as(row: Preference, want: Want) -> Sequence[Preference] | None:
    if isinstance(row, Pair):
        two = (row.chosen, row.rejected)
        if want == "judged":
            return [Judged(row.prompt, r, r == row.chosen, row.thinking) for r in two]
        if want == "ranking":
            return [Ranked(row.prompt, two, (1, 2), row.thinking)]
    if isinstance(row, Ranked) and want == "pair":
        order = sorted(zip(row.ranking, row.responses, strict=True), key=lambda r: r[0])
        return [
            Pair(row.prompt, better, worse, thinking=row.thinking)
            for (first, better), (second, worse) in combinations(order, 2)
            if first < second
        ]
    same = {"judged": Judged, "ranking": Ranked, "graded": Graded, "pair": Pair}[want]
    return [row] if isinstance(row, same) else None


def crossed(first: int, second: int, most: int) -> list[tuple[int, int]]:
    """Places of up to `most` different pairs of two lists, each place as often as any other."""
    if not first or not second:
        return []
    turn = math.lcm(first, second)
    made = range(min(most, first * second))
    return [(i % first, (i + i // turn) % second) for i in made]


def make_groups(
    rows: Iterable[Preference],
    encode: TextEncoder,
    max_length: int,
    *,
    score_max: float = 1.0,
    targets: bool = False,
) -> tuple[list[Group], int]:
    """Groups of token sequences, and how many were left out as too long.

    Args:
        rows: all of one form.
        encode: to tokens.
        max_length: tokens of the longest text of a group at most.
        score_max: what the best grade is.
        targets: pairs bring their supervised target, if they have one of their own.
    """
    groups: list[Group] = []
    left_out = 0
    for row in rows:
        group = _group(row, encode, score_max, targets)
        if group.longest <= max_length:
            groups.append(group)
        else:
            left_out += 1
    return groups, left_out


def _group(row: Preference, encode: TextEncoder, score_max: float, targets: bool) -> Group:
    def texts(*responses: str) -> tuple[Text, ...]:
        return tuple(encode(row.prompt, response, row.thinking) for response in responses)

    prompt = row.prompt if isinstance(row.prompt, str) else json.dumps(row.prompt)
    if isinstance(row, Pair):
        extra = (row.sft_target,) if targets and row.sft_target is not None else ()
        return Group(texts(row.chosen, row.rejected, *extra), prompt)
    if isinstance(row, Ranked):
        return Group(texts(*row.responses), prompt, ranking=row.ranking)
    if isinstance(row, Graded):
        return Group(texts(row.response), prompt, grade=row.score / score_max)
    return Group(texts(row.response), prompt, good=row.good)


def with_mismatched(groups: Sequence[Group]) -> list[Group]:
    """Judged responses, each followed by its prompt with the response to another prompt.

    KTO measures by these how far the model has moved (Ethayarajh et al. 2024, section 4.1). The
    response is that of the next group whose prompt is another one.

    Raises:
        UsageError: all have one prompt.
    """
    count = len(groups)
    after = [0] * count
    # from the end: the next group of another prompt, looking once around
    for place in range(2 * count - 2, -1, -1):
        here, following = place % count, (place + 1) % count
        same = groups[here].prompt == groups[following].prompt
        after[here] = after[following] if same else following
    made = []
    for index, group in enumerate(groups):
        other = groups[after[index]]
        if other.prompt == group.prompt:
            raise UsageError("kto compares responses to several prompts; the data has one")
        own, text = group.texts[0], other.texts[0]
        mixed = Text(own.ids[: own.start] + text.ids[text.start :], own.start)
        made.append(Group((own, mixed), group.prompt, group.good, grade=group.grade))
    return made


def hold_out(groups: Sequence[Group], count: int) -> tuple[list[Group], list[Group]]:
    """Groups to train on and groups to measure with, which share no prompt.

    Args:
        groups: all.
        count: prompts, the last that appear, whose groups are held out.

    Raises:
        UsageError: nothing is left to train on.
    """
    prompts = list(dict.fromkeys(group.prompt for group in groups))
    if count >= len(prompts):
        raise UsageError(
            f"the data has {len(prompts)} prompts within max_length, of which {count} are held "
            "out: nothing is left to train on"
        )
    held = set(prompts[len(prompts) - count :])
    train = [group for group in groups if group.prompt not in held]
    return train, [group for group in groups if group.prompt in held]
