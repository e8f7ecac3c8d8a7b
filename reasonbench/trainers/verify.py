"""Whether the engine serves the weights that the trainer has.

Two looks at it, since each sees what the other does not. Fingerprints: what each worker multiplies
with, read back through its kernels, must be bit for bit what the trainer's weights are in the
engine's number format; this sees a lost update however small it was. Log-probabilities: those of
recent roll-outs must be the trainer's up to rounding; this sees what is wrong with the forward
pass (a layer that is computed otherwise, weights under a wrong name, positions).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from reasonbench.engines.base import Held, LiveEngine
from reasonbench.engines.fingerprint import fingerprint
from reasonbench.trainers.completion_loss import pad
from reasonbench.trainers.data import Encoded
from reasonbench.trainers.logprobs import completion_logprobs
from reasonbench.trainers.push import weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Sample = tuple[Sequence[int], Sequence[int]]
"""The token ids of a prompt and of what was written behind it."""


class StaleEngineError(RuntimeError):
    """The engine does not serve the weights that the trainer has: roll-outs would be wrong."""


class Tolerance(NamedTuple):
    """The largest gap between log-probabilities, in nats a token, that rounding explains.

    Attributes:
        mean: of the absolute gap over all tokens.
        max: of one token.
    """

    mean: float
    max: float


TOLERANCES: Mapping[str, Tolerance] = {
    "float32": Tolerance(1e-5, 1e-3),
    "float16": Tolerance(4e-3, 1.0),
    "bfloat16": Tolerance(0.03, 5.0),
}
"""By number format, from the finest. Measured with the built-in policy in vLLM on CPU against the
trainer in fp32, over about 1,000 tokens: mean 5e-7 and largest 2e-5 nats in fp32, 6e-4 and 0.04 in
fp16, 5e-3 and 0.19 in bf16 (0.38 where the trainer computes in bf16 too); over 60 tokens the mean
is up to twice that. The largest gap has a long tail, at tokens of small probability: 0.95 in 36
verifications of 700 tokens while GRPO trained in bf16, 1.5 among a million tokens of its
roll-outs. So the mean and the fingerprints decide; the largest catches what is broken."""


def default_tolerance(*dtypes: str) -> Tolerance:
    """What the coarsest of the number formats that the engine and the trainer compute in needs."""
    return max(TOLERANCES.get(dtype, TOLERANCES["bfloat16"]) for dtype in dtypes)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found.

    Attributes:
        version: the weights' version.
        mean: mean absolute gap of log-probabilities, in nats a token.
        max: the largest gap of a token.
        tokens: how many were compared.
        exact: weights that were compared bit for bit.
        weights: all that the trainer has.
        seconds: that it took.
    """

    version: int
    mean: float
    max: float
    tokens: int
    exact: int
    weights: int
    seconds: float


class Expected(NamedTuple):
    """What the engine must show, made from the trainer's model.

    Attributes:
        fingerprints: by the checkpoint's name of a weight, in the engine's number format.
        logprobs: one per completion token of every sample, in their order.
    """

    fingerprints: Mapping[str, int]
    logprobs: tuple[float, ...]


async def verify(
    engine: LiveEngine,
    model: PreTrainedModel,
    samples: Sequence[Sample],
    tolerance: Tolerance | None = None,
    *,
    version: int | None = None,
    expect: Callable[[Sequence[Sample], str], Expected] | None = None,
) -> Verified:
    """Compare the engine with the trainer's model after a push.

    Args:
        model: the trainer's; it must not change until this returns.
        samples: recent roll-outs; about eight short ones are enough, and none needs to be there.
        tolerance: of log-probabilities; see `default_tolerance`.
        version: what was pushed last; the engine's own where not given.
        expect: makes the trainer's side from samples and the engine's number format, where that
            takes several processes; `expected` of the model by default.

    Raises:
        StaleEngineError: they differ.
    """
    started = time.perf_counter()
    dtype = engine.info.dtype or "float32"
    make = expect or partial(expected, model)
    own, logprobs, held = await asyncio.gather(
        asyncio.to_thread(make, samples, dtype), score(engine, samples), engine.held()
    )
    return compare(
        own,
        logprobs,
        held,
        tolerance or default_tolerance(dtype, str(model.dtype).removeprefix("torch.")),
        version=engine.weight_version if version is None else version,
        stamped=engine.weight_version,
        started=started,
    )


async def score(engine: LiveEngine, samples: Sequence[Sample]) -> tuple[float, ...]:
    """The engine's log-probabilities of every completion token, sample after sample."""
    found = await asyncio.gather(*(engine.logprobs(*sample) for sample in samples))
    return tuple(number for sample in found for number in sample)


def expected(model: PreTrainedModel, samples: Sequence[Sample], dtype: str) -> Expected:
    """What an engine that has the model's weights shows.

    Where the model is sharded over processes, every process has to call this.

    Args:
        dtype: the engine's number format ("bfloat16").
    """
    stored = weights(model, tied=True)
    number = getattr(torch, dtype)
    fingerprints = {
        name: fingerprint(tensor.to(number) if tensor.is_floating_point() else tensor)
        for name, tensor in stored.items()
    }
    return Expected(fingerprints, trainer_logprobs(model, samples))


@torch.no_grad()
def trainer_logprobs(model: PreTrainedModel, samples: Sequence[Sample]) -> tuple[float, ...]:
    """The model's own log-probabilities of every completion token at T = 1, in nats, fp32."""
    if not samples:
        return ()
    batch = [
        Encoded([*prompt, *written], [False] * len(prompt) + [True] * len(written))
        for prompt, written in samples
    ]
    training = model.training
    model.eval()
    try:
        found = completion_logprobs(model, pad(batch, 0, model.device))
        return tuple(found.logprobs.tolist())
    finally:
        model.train(training)


def compare(
    own: Expected,
    logprobs: Sequence[float],
    held: Held,
    tolerance: Tolerance,
    *,
    version: int,
    stamped: int,
    started: float,
) -> Verified:
    """The verdict over what the trainer expects and what the engine shows.

    Args:
        own: the trainer's side.
        logprobs, held: the engine's.
        version: what was pushed last.
        stamped: what the engine stamps on completions.
        started: clock reading when the verification began.

    Raises:
        StaleEngineError: they differ.
    """
    if {stamped, *held.version} != {version}:
        raise StaleEngineError(
            f"the engine is not at version {version} of the weights: it stamps version {stamped} "
            f"and its workers hold {', '.join(map(str, held.version))}."
        )
    common = held.fingerprints.keys() & own.fingerprints.keys()
    wrong = sorted(n for n in common if held.fingerprints[n] != own.fingerprints[n])
    if wrong:
        raise StaleEngineError(
            f"{len(wrong)} of {len(common)} weights that the engine computes with are not the "
            f"trainer's of version {version} ({', '.join(wrong[:3])}"
            f"{', …' if len(wrong) > 3 else ''}): the push did not arrive whole."
        )
    gaps = [abs(a - b) for a, b in zip(own.logprobs, logprobs, strict=True)]
    mean, largest = (sum(gaps) / len(gaps), max(gaps)) if gaps else (0.0, 0.0)
    # so that a gap that is not a number fails as well
    if not (mean <= tolerance.mean and largest <= tolerance.max):
        raise StaleEngineError(
            f"the engine's log-probabilities are not the trainer's at version {version} of the "
            f"weights: {mean:.2g} nats a token apart (at most {tolerance.mean:g}), {largest:.2g} "
            f"at the worst token (at most {tolerance.max:g})."
        )
    return Verified(version, mean, largest, len(gaps), len(common), len(own.fingerprints),
                    time.perf_counter() - started)  # fmt: skip
