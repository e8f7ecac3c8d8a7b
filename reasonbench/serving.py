"""One engine for checkpoint after checkpoint: new weights are loaded into it while it runs.

Whether they arrived is verified weight by weight. An engine that cannot take them, or a checkpoint
of another architecture or tokenizer, means starting it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonbench import engines
from reasonbench.checkpoints import Checkpoint
from reasonbench.config import EvalConfig
from reasonbench.engines.base import Engine, EngineDeadError, EngineError, Watch
from reasonbench.engines.delegating import Delegating
from reasonbench.evaluate import engine_config
from reasonbench.rewarding import beside_reward, check_reward, open_configured
from reasonbench.rewards.base import Reward
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams

_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
_SAME = ("config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
         "chat_template.jinja", "vocab.json", "generation_config.json")  # fmt: skip
"""Files that an engine reads once: where one differs it is started anew."""


class Stamped(Delegating):
    """An engine whose completions say another weight version (see `engines.base.Engine`)."""

    def __init__(self, engine: Engine, weight_version: int) -> None:
        super().__init__(engine)
        self.weight_version = weight_version

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        made = await super().sample(prompt, params, key, watch)
        return replace(made, weight_version=self.weight_version)


class Serving:
    """The engine, and the reward beside it, of the checkpoint that was asked for last.

    Attributes:
        notice: why the engine was started anew, or None.
    """

    def __init__(self, config: EvalConfig) -> None:
        self._config = config
        self._engine: Engine | None = None
        self._reward: Reward | None = None
        self._read: list[bytes | None] = []
        self._loads = 0
        self.notice: str | None = None

    @property
    def running(self) -> bool:
        """Whether an engine is there already, so that a checkpoint may only have to be loaded."""
        return self._engine is not None

    async def serve(self, checkpoint: Checkpoint) -> tuple[Stamped, Reward | None]:
        """The engine with a checkpoint's weights, and the reward.

        Raises:
            UsageError: the checkpoint, or the reward, cannot be opened.
            EngineDeadError: the engine died.
        """
        self.notice = None
        read = await asyncio.to_thread(lambda: [*_contents(checkpoint.folder)])
        if self._engine is not None and (read != self._read or not await self._reload(checkpoint)):
            await self.aclose()
        if self._engine is None:
            await self._open(checkpoint)
            self._read = read
        assert self._engine is not None
        return Stamped(self._engine, checkpoint.step), self._reward

    async def aclose(self) -> None:
        """Close both. Safe to call twice."""
        reward, engine = self._reward, self._engine
        self._reward = self._engine = None
        if reward is not None:
            await reward.aclose()
        if engine is not None:
            await engine.aclose()

    async def _open(self, checkpoint: Checkpoint) -> None:
        config = self._config
        own = engine_config(config, str(checkpoint.folder))
        if not any((checkpoint.folder / name).is_file() for name in _TOKENIZER):
            beside = next(_with_tokenizer(checkpoint.folder, Path(config.model[0])), None)
            own = own.model_copy(update={"tokenizer": None if beside is None else str(beside)})
        judged = config.reward is not None
        if judged:
            await asyncio.to_thread(check_reward, config)
        self._engine = await engines.open_engine(beside_reward(config, own, opening=judged))
        if judged:
            self._reward = await open_configured(config, own, self._engine)

    async def _reload(self, checkpoint: Checkpoint) -> bool:
        """Give the running engine new weights; whether it has them now."""
        engine: Any = self._engine
        if self._config.quantization or self._config.lora or not hasattr(engine, "load_weights"):
            return False
        try:
            await engine.load_weights(checkpoint.folder, checkpoint.step)
            held = (await engine.held()).fingerprints
        except EngineDeadError:
            raise
        except EngineError as error:
            self.notice = (
                f"the engine did not take {checkpoint.folder.name} and starts anew: {error}"
            )
            return False
        stored = await asyncio.to_thread(
            _fingerprints, checkpoint.folder, engine.info.dtype or "float32"
        )
        common = held.keys() & stored.keys()
        if not common or any(held[name] != stored[name] for name in common):
            self.notice = (
                f"the weights of {checkpoint.folder.name} did not arrive: the engine starts anew"
            )
            return False
        return True


def _contents(folder: Path) -> Iterator[bytes | None]:
    for name in _SAME:
        yield (folder / name).read_bytes() if (folder / name).is_file() else None


def _with_tokenizer(folder: Path, root: Path) -> Iterator[Path]:
    """Folders above a checkpoint, up to the watched one, that hold a tokenizer."""
    for above in folder.parents:
        if any((above / name).is_file() for name in _TOKENIZER):
            yield above
        if above.resolve() == root.resolve():
            return


def _fingerprints(folder: Path, dtype: str) -> dict[str, int]:
    """Of a checkpoint's weights in the engine's number format."""
    import torch
    from safetensors import safe_open

    from reasonbench.engines.fingerprint import fingerprint

    found: dict[str, int] = {}
    number = getattr(torch, dtype)
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                tensor = file.get_tensor(name)
                found[name] = fingerprint(
                    tensor.to(number) if tensor.is_floating_point() else tensor
                )
    return found
