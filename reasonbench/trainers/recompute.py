"""Activation checkpointing: layers keep their input and are computed again in the backward pass.

Chen et al. 2016, arXiv 1604.06174. Memory of activations falls from that of all layers to that of
one and an input for each; about a third more computation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def recompute_layers(model: PreTrainedModel) -> int:
    """Lets every layer of the decoder forget what is inside it until the backward pass.

    In training and evaluation mode alike, wherever gradients are wanted; without them it changes
    nothing. Gradients are the same.

    Returns:
        How many layers there are.

    Raises:
        UsageError: the model does not say which of its modules are layers.
    """
    names = set(getattr(model, "_no_split_modules", None) or ())
    layers = [m for m in model.get_decoder().modules() if type(m).__name__ in names]
    if not layers:
        raise UsageError(f"{type(model).__name__} has no layers that can be computed again")
    for layer in layers:
        layer.forward = _Recomputed(layer, layer.forward)
    return len(layers)


class _Recomputed:
    """The forward pass of one layer; a class, so that copying a model copies it with its own."""

    def __init__(self, layer: nn.Module, forward: Callable[..., Any]) -> None:
        self.layer, self.forward = layer, forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return checkpoint(self.forward, *args, use_reentrant=False, **kwargs)
