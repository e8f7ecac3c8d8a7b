"""A draft as a row of training data, in a form of which the student's template loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from reasonbench.distill.draft import Draft
from reasonbench.distill.response import CLOSE, OPEN
from reasonbench.errors import UsageError
from reasonbench.prompts import messages
from reasonbench.trainers.data import Encoder
from reasonbench.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ask = Literal["step", "bare", "sampled"]
Form = Literal["auto", "messages", "prompt"]
Row = dict[str, Any]


class RowMaker:
    """Makes rows that `reasonbench train sft` reads.

    `messages` are the question's turns and the response with its thinking in `<think>`. Some chat
    templates cut the thinking off an assistant's turn, or open the span themselves (DeepSeek-R1's
    do both). Then the row is `prompt` (the turns) and `completion` (what follows the template's
    own opening), with `enable_thinking` for templates that ask.

    Args:
        ask: which prompt a row has.
        form: which form; `auto` looks at the student's template, row by row.
        student: the student's tokenizer; without one `auto` is `messages`.
    """

    def __init__(
        self,
        ask: Ask = "step",
        form: Form = "auto",
        student: PreTrainedTokenizerBase | None = None,
    ) -> None:
        self._ask, self._form, self._student = ask, form, student
        self._encoder = None if student is None else Encoder(student)

    def __call__(self, draft: Draft) -> Row:
        """The row, with its id and its provenance.

        Raises:
            UsageError: the row's prompt is to be the teacher's and none is stored, or the
                student has no chat template.
        """
        graded = {
            "verdict": draft.verdict,
            "layer": draft.layer,
            "answer": draft.answer,
            "tokens": draft.tokens,
        }
        return {
            "id": draft.id,
            **self._record(draft),
            "source": {**draft.source, **graded},
        }

    def _record(self, draft: Draft) -> Row:
        if self._ask == "sampled":
            if draft.asked is None:
                raise UsageError(
                    f"--ask sampled: {draft.id.partition('/')[0]} stores no prompts; use step or "
                    "bare."
                )
            if draft.asked.plain is not None:
                return {"prompt": draft.asked.plain, "completion": f" {draft.response}"}
            turns = draft.asked.messages
        else:
            request = "" if self._ask == "bare" else None
            question = draft.problem.question
            turns = messages(question, instruction=request)
        whole = {"messages": [*map(_turn, turns), _turn(Message("assistant", draft.response))]}
        if self._form == "messages" or (self._form == "auto" and self._keeps(whole, draft)):
            return whole
        thinks = OPEN in draft.response
        completion = draft.response
        if self._student is not None:
            head = str(
                self._student.apply_chat_template(
                    [*map(_turn, turns)],
                    tokenize=False,
                    add_generation_prompt=True,
                    enable_thinking=thinks,
                )
            )
            if head.rfind(OPEN) > max(head.rfind(CLOSE), head.rfind(turns[-1].content)):
                completion = completion.removeprefix(OPEN).lstrip("\n")
        return {
            "prompt": [*map(_turn, turns)],
            "completion": completion,
            "enable_thinking": thinks,
        }

    def _keeps(self, row: Row, draft: Draft) -> bool:
        """Whether the template trains on the whole response where it gets `messages`."""
        if self._encoder is None:
            return True
        try:
            spans = self._encoder.spans(row)
        except UsageError:
            return False
        trained = "".join(span.text for span in spans if span.trained)
        return _squeezed(draft.response) in _squeezed(trained)


def student_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the model that is to be trained; "builtin" is the built-in policy.

    Raises:
        UsageError: there is none, or it has no chat template.
    """
    from transformers import AutoTokenizer

    from reasonbench.builtin import model_path

    try:
        found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(model_path()) if name == "builtin" else name
        )
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--student {name}: no tokenizer there ({str(error).splitlines()[0]})."
        ) from None
    if found.chat_template is None:
        raise UsageError(f"--student {name} has no chat template, so nothing to decide by.")
    return found


def _turn(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _squeezed(text: str) -> str:
    return "".join(text.split())
