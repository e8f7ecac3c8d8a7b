"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) by peft, an optional extra.

The adapters are put into the model itself, so that every trainer goes on with the model it has:
only the adapters ask for gradients. What is left is a folder in peft's layout, which
`reasonbench eval --lora` reads, or a whole model with the adapters added to its weights.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from reasonbench.errors import UsageError
from reasonbench.trainers.config import LoraConfig
from reasonbench.trainers.parallel import collected, is_main
from reasonbench.trainers.start import move_files, save_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER = "adapter_model.safetensors"
"""The file of an adapter's weights."""


class Adapters:
    """The adapters of a model that is trained."""

    def __init__(self, wrapped: Any, config: LoraConfig, dtype: torch.dtype) -> None:
        """Args: wrapped: peft's model; config; dtype: of the weights that are written."""
        self._wrapped, self._config, self._dtype = wrapped, config, dtype

    def save(self, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
        """Writes adapter and tokenizer to a folder, or the merged model where that is asked for.

        Every process of a run has to call it; the main one writes.
        """
        state = {
            name: collected(weight).to(self._dtype)
            for name, weight in self._wrapped.named_parameters()
            if weight.requires_grad
        }
        if not is_main():
            return
        draft = out / "writing"
        shutil.rmtree(draft, ignore_errors=True)
        # "auto" would look for the model's vocabulary on the network
        self._wrapped.save_pretrained(draft, state_dict=state, save_embedding_layers=False)
        (draft / "README.md").unlink(missing_ok=True)  # peft's template of a model card
        if self._config.merge:
            merged = _merged(self._wrapped, draft, self._dtype)
            shutil.rmtree(draft)
            save_model(merged, tokenizer, out)
            return
        tokenizer.save_pretrained(draft)
        move_files(draft, out)


def add_adapters(model: PreTrainedModel, config: LoraConfig, dtype: torch.dtype) -> Adapters:
    """Puts adapters into a model and freezes the rest of it.

    Call it before the model is sharded and before its optimizer is made.

    Args:
        model: loaded from a folder or a hub.
        config: how large they are and where they go.
        dtype: of the weights that are written in the end.

    Raises:
        UsageError: peft is not installed, or no layer has one of the names of `targets`.
    """
    check_peft()
    import peft

    given = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.targets or "all-linear",
    )
    try:
        wrapped = peft.get_peft_model(model, given, autocast_adapter_dtype=False)
    except ValueError as error:
        raise UsageError(
            f"lora.targets={config.targets} cannot be given adapters: {str(error).rstrip('.')}."
        ) from error
    return Adapters(wrapped, config, dtype)


def check_peft() -> None:
    """Raises:
    UsageError: peft is not installed.
    """
    if find_spec("peft") is None:
        raise UsageError("adapters need peft: install it with `pip install 'reasonbench[lora]'`")


def _merged(wrapped: Any, adapter: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The model that the adapters were trained on, read again, with them added in fp32."""
    import peft
    from transformers import AutoModelForCausalLM

    source = wrapped.peft_config["default"].base_model_name_or_path
    base = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    whole = peft.PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
    merged: PreTrainedModel = whole.to(dtype)
    return merged
