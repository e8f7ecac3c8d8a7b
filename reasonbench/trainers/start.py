"""Where a run starts and what it leaves: model and tokenizer, from a folder or from nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from reasonbench.errors import UsageError
from reasonbench.trainers import parallel, ranks
from reasonbench.trainers.attention import MULTIPLE, use_short_attention
from reasonbench.trainers.config import SftConfig
from reasonbench.trainers.recompute import recompute_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_tokenizer(config: SftConfig) -> PreTrainedTokenizerBase:
    """The tokenizer that the configuration names, or the model's own."""
    from transformers import AutoTokenizer

    name = config.tokenizer or config.model
    if name is None:
        raise UsageError("a model from `init` needs a `tokenizer`: a folder, or `builtin`")
    if name == "builtin":
        from reasonbench.builtin.tokenizer import build_tokenizer

        return build_tokenizer()
    return AutoTokenizer.from_pretrained(_existing(name))


def load_model(config: SftConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The model to train, in the precision it computes in, on its device.

    With several processes it stays in fp32 on the CPU until `ready` shards it, with the weights
    that one process would start from.

    Raises:
        UsageError: not exactly one of `model` and `init`, CUDA asked for where there is none, or a
            model that changes its logits after the head (the loss would be another).
    """
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    if (config.model is None) == (config.init is None):
        raise UsageError("give a `model` to start from or an `init` configuration, one of the two")
    device = chosen_device(config.device)
    if config.init is not None:
        settings = {"vocab_size": len(tokenizer), **config.init}
        ends = {
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
        }
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings, **ends))
        # T = 1 is the distribution that was trained, which is what sampling strategies want.
        model.generation_config = GenerationConfig(
            do_sample=True, temperature=1.0, top_p=1.0, top_k=0, **ends
        )
    else:
        assert config.model is not None
        model = AutoModelForCausalLM.from_pretrained(_existing(config.model), dtype=torch.float32)
    for name in ("final_logit_softcapping", "logits_scaling", "logit_scale"):
        if (getattr(model.config, name, None) or 1.0) != 1.0:
            raise UsageError(f"models with {name} cannot be trained yet: the loss leaves it out")
    return on_device(model, device, getattr(torch, config.dtype))


def on_device(model: PreTrainedModel, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """A model loaded in fp32 as a process alone computes with it; see `load_model` for several."""
    if ranks.world_size() > 1:
        return model.to(dtype).float()
    return model.to(device=device, dtype=dtype)


def ready(model: PreTrainedModel, config: SftConfig, head: nn.Module | None = None) -> int:
    """Prepares a loaded model for training: attention, activation checkpointing, shards.

    Adapters come before it, the optimizer after.

    Args:
        model: as `load_model` gives it.
        config: its `device`, `dtype` and `recompute` are looked at.
        head: what the hidden states go to, where that is no vocabulary.

    Returns:
        What the padded length of a batch is best rounded up to.
    """
    device = chosen_device(config.device)
    short = device == "cpu" and use_short_attention(model)
    if config.recompute:
        recompute_layers(model)
    parallel.shard(model, device, getattr(torch, config.dtype), head)
    return MULTIPLE if short else 1


def chosen_device(device: str) -> str:
    """The device of this process by the name that a configuration gives ("auto", "cpu", "cuda").

    Raises:
        UsageError: CUDA is asked for where there is none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device: set device to cpu")
    if device == "cuda" and ranks.world_size() > 1:
        return f"cuda:{torch.cuda.current_device()}"
    return device


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    dtype: torch.dtype | None = None,
) -> None:
    """Writes a folder that `from_pretrained` and `vllm serve` take; replaces one file at a time.

    Every process of a run has to call it; the main one writes.

    Args:
        dtype: of the weights that are written, where the model is sharded: its shards are fp32.
    """
    plain = parallel.assembled(model, dtype or model.dtype)
    if plain is None:
        return
    draft = out / "writing"
    shutil.rmtree(draft, ignore_errors=True)
    plain.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    move_files(draft, out)


def move_files(draft: Path, out: Path) -> None:
    """Moves the files of a folder into another, and removes it; each replaces its like whole."""
    for file in sorted(draft.iterdir()):
        file.replace(out / file.name)
    shutil.rmtree(draft)


def _existing(name: str) -> str:
    """A name as given; a path that does not exist is told at once rather than looked up online."""
    path = Path(name)
    if path.is_dir() and not (path / "config.json").is_file():
        raise UsageError(f"{name} holds no config.json: it is not a model folder")
    if name.startswith((".", "/", "~")) and not path.is_dir():
        raise UsageError(f"there is no model folder {name}")
    return name
