"""Several processes that learn one policy: the first one leads, the others follow its orders.

The leader has the engine: it writes, judges, evaluates and keeps the record. What takes all
processes (an update from a batch, weights put together from their shards) it orders by name, and
every process does the same. One process alone does all of it without anybody hearing of it.

A follower that fails ends, and with it the run: the leader's next step meets nobody. A signal that
reaches any of them stops the run as it does a single process: after the step in progress.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from reasonbench.errors import UsageError
from reasonbench.trainers import parallel, rl_checkpoint
from reasonbench.trainers.attention import MULTIPLE, use_short_attention
from reasonbench.trainers.config import SftConfig
from reasonbench.trainers.grpo_config import Algorithm, GrpoConfig
from reasonbench.trainers.policy_update import Learner
from reasonbench.trainers.push import weights
from reasonbench.trainers.rl_sums import Sums
from reasonbench.trainers.rl_watch import Trained
from reasonbench.trainers.rollouts import Rollouts
from reasonbench.trainers.sft import TrainingDiverged
from reasonbench.trainers.source import source_of
from reasonbench.trainers.start import chosen_device, load_model, load_tokenizer, save_model
from reasonbench.trainers.verify import Expected, Sample, expected

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BEGIN, _END = "begin", "end"


class LeaderLostError(RuntimeError):
    """The leading process is gone; what it printed says why."""


def load_policy(config: GrpoConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, int]:
    """The model to start from, its tokenizer, and what padded lengths are rounded up to.

    With several processes it is in fp32 on the CPU: `Learner` leaves each its part.

    Raises:
        UsageError: it is not there, or cannot be trained.
    """
    settings = SftConfig(model=source_of(config.model), dtype=config.dtype, device=config.device)
    tokenizer = load_tokenizer(settings)
    model = load_model(settings, tokenizer)
    short = chosen_device(config.device) == "cpu" and use_short_attention(model)
    return model, tokenizer, MULTIPLE if short else 1


class _Work:
    """What every process does alike; arguments come from the leader."""

    def __init__(
        self,
        config: GrpoConfig,
        learner: Learner,
        tokenizer: PreTrainedTokenizerBase,
        out: Path,
    ) -> None:
        self.config, self.learner, self.tokenizer, self.out = config, learner, tokenizer, out
        self.dtype: torch.dtype = getattr(torch, config.dtype)

    def learn(self, batch: Rollouts, step: int) -> Sums:
        found = self.learner.learn(batch, step)
        if self.learner.model.device.type == "cuda":
            torch.cuda.empty_cache()  # what is held in reserve the engine wakes up in
        return found

    def weights(self) -> dict[str, Tensor]:
        return weights(self.learner.model, dtype=self.dtype)

    def expected(self, samples: Sequence[Sample], dtype: str) -> Expected:
        return expected(self.learner.model, samples, dtype)

    def save(self, folder: Path) -> None:
        save_model(self.learner.model, self.tokenizer, folder, self.dtype)

    def state(self) -> dict[str, Any]:
        return self.learner.state()

    def resume(self) -> rl_checkpoint.Place:
        place, state = rl_checkpoint.load(self.out, self.config)
        self.learner.load(state)
        return place


class Team:
    """The leader's side.

    Attributes:
        asked_to_stop: a signal reached one of the followers.
    """

    def __init__(self, config: GrpoConfig, out: Path) -> None:
        """Args: config: of the run; out: its folder, where every process finds the checkpoint."""
        self._config, self._out = config, out
        self._group = parallel.orders()
        self._work: _Work | None = None
        self._broken = False
        self.asked_to_stop = False

    def begin(
        self,
        algorithm: Algorithm,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        pad_id: int,
        multiple: int,
    ) -> Learner:
        """Everybody makes a learner; the leader's own comes back."""
        self._order(_BEGIN, algorithm, pad_id)
        learner = Learner(self._config, algorithm, model, pad_id, multiple)
        self._work = _Work(self._config, learner, tokenizer, self._out)
        return learner

    def learn(self, batch: Rollouts, step: int) -> Sums:
        """See `Learner.learn`."""
        return cast(Sums, self._all("learn", batch, step))

    def weights(self) -> Mapping[str, Tensor] | PreTrainedModel:
        """What is pushed: the model itself, or its weights put together."""
        if self._group is None:
            return self._mine.learner.model
        return cast(dict[str, Tensor], self._all("weights"))

    def expected(self, samples: Sequence[Sample], dtype: str) -> Expected:
        """See `verify.expected`."""
        return cast(Expected, self._all("expected", samples, dtype))

    def save(self, folder: Path) -> None:
        """Writes the model folder."""
        self._all("save", folder)

    def checkpoint(self, place: rl_checkpoint.Place) -> None:
        """Writes the checkpoint."""
        state = self._all("state")
        rl_checkpoint.save(self._out, self._config, place, state)

    def resume(self) -> rl_checkpoint.Place:
        """Everybody takes up the checkpoint in the folder."""
        return cast(rl_checkpoint.Place, self._all("resume"))

    def end(self, result: Trained | None = None) -> None:
        """Sends the followers home, with what came of the run. Safe to call twice."""
        if not self._broken:
            self._broken = True
            self._order(_END, result)

    @property
    def _mine(self) -> _Work:
        assert self._work is not None, "begin comes first"
        return self._work

    def _order(self, name: str, *args: Any) -> None:
        if self._group is not None:
            parallel.from_main((name, args), self._group)

    def _all(self, name: str, *args: Any) -> Any:
        """What every process does now; the leader's result.

        After an error of the leader alone nobody can be told anything: they are somewhere else.
        """
        self._broken = True
        self._order(name, *args)
        try:
            found = getattr(self._mine, name)(*args)
        except (TrainingDiverged, UsageError):  # which everybody sees at the same place
            self._broken = False
            raise
        self.asked_to_stop |= any(parallel.everywhere(False, self._group))
        self._broken = False
        return found


def follow(
    config: GrpoConfig, out: Path, stopping: Callable[[], bool] = lambda: False
) -> Trained | None:
    """A follower's whole life: does what is ordered until the end.

    Args:
        config, out: as the leader has them.
        stopping: whether a signal asked this process to stop.

    Returns:
        What the leader's run gave; None where it failed, and said why.

    Raises:
        LeaderLostError: the leader is gone without a word.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    group = parallel.orders()
    work: _Work | None = None
    while True:
        nothing: tuple[str, tuple[Any, ...]] = (_END, (None,))
        try:
            name, args = parallel.from_main(nothing, group)
        except RuntimeError as error:
            raise LeaderLostError("the first process has ended") from error
        if name == _END:
            return cast("Trained | None", args[0])
        if name == _BEGIN:
            algorithm, pad_id = args
            model, tokenizer, multiple = load_policy(config)
            learner = Learner(config, algorithm, model, pad_id, multiple)
            work = _Work(config, learner, tokenizer, out)
            continue
        assert work is not None, "begin comes first"
        try:
            getattr(work, name)(*args)
        except (TrainingDiverged, UsageError):
            continue  # the leader sees it too, and decides
        parallel.everywhere(stopping(), group)
