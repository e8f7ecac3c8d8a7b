"""What a model says of whole texts: the log-probability of a response, or a score of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reasonbench.runs.files import replacing
from reasonbench.trainers import parallel
from reasonbench.trainers.completion_loss import pad
from reasonbench.trainers.group_training import Forward, in_batches
from reasonbench.trainers.logprobs import completion_logprobs
from reasonbench.trainers.preference_rows import Text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

REFERENCE = "reference.pt"
"""The file of the reference model's log-probabilities, in the run's folder."""


def logprob_forward(model: PreTrainedModel, pad_id: int, multiple: int) -> Forward:
    """[texts] summed log-probability of each response, nats, fp32."""

    def forward(texts: Sequence[Text]) -> Tensor:
        padded = pad([text.encoded() for text in texts], pad_id, model.device, multiple)
        logprobs = completion_logprobs(model, padded).logprobs
        rows = padded.where // padded.ids.shape[1]
        return logprobs.new_zeros(len(texts)).index_add(0, rows, logprobs)

    return forward


def score_forward(model: PreTrainedModel, pad_id: int, multiple: int) -> Forward:
    """[texts] raw score (a logit) that a reward model gives at the end of each text, fp32."""

    def forward(texts: Sequence[Text]) -> Tensor:
        length = math.ceil(max((len(t.ids) for t in texts), default=1) / multiple) * multiple
        # without texts one row of padding goes along with the other processes
        ids = torch.full((max(1, len(texts)), length), pad_id)
        for row, text in enumerate(texts):
            ids[row, : len(text.ids)] = torch.tensor(text.ids)
        ends = torch.tensor([len(t.ids) - 1 for t in texts], device=model.device)
        # causal attention never looks right, so padding on the right needs no mask
        hidden = model.model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
        read = hidden[torch.arange(len(texts), device=model.device), ends.long()]
        scores: Tensor = model.score(read).float().squeeze(-1)
        return scores

    return forward


def reference_values(
    open_forward: Callable[[], Forward],
    texts: Sequence[Text],
    out: Path,
    key: str,
    budget: int,
    multiple: int,
) -> tuple[list[float], bool]:
    """The reference model's log-probabilities, computed once and kept in the folder.

    Of several processes each has to call it; the first one reads and writes the file.

    Args:
        open_forward: loads the model; not called where the file holds what is wanted.
        texts: all of the data.
        out: the run's folder.
        key: what else they depend on (the model, the precision).
        budget: padded tokens in a batch at most.
        multiple: what padded lengths are rounded up to.

    Returns:
        One number a text, and whether they were read from the file.
    """
    digest = hashlib.sha256(key.encode())
    for text in texts:
        digest.update(text.start.to_bytes(4, "little"))
        digest.update(text.ids.tobytes())
    path = out / REFERENCE
    found: list[float] | None = None
    if parallel.is_main() and path.is_file():
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if stored["digest"] == digest.hexdigest():
            found = stored["values"].tolist()
    found = parallel.from_main(found)
    if found is not None:
        return found, True
    values = in_batches(open_forward(), texts, budget, multiple).cpu()
    if parallel.is_main():
        with replacing(path) as partial:
            torch.save({"digest": digest.hexdigest(), "values": values}, partial)
    made: list[float] = values.tolist()
    return made, False
