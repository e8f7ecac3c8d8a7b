"""What a vLLM worker does with new weights: load them, and show which ones it computes with.

vLLM's layerwise reload brings tensors of a checkpoint into the layout of its kernels, into the
memory that they had. On CPU it leaves one layer behind: an output layer that is tied to the
embedding keeps a packed copy of its own, which is packed anew here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from vllm.distributed.parallel_state import get_tensor_model_parallel_world_size
from vllm.model_executor.model_loader import get_model_loader
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)

from reasonbench.engines.fingerprint import columns, fingerprint


def load_files(model: nn.Module, model_config: Any, files: Sequence[str]) -> None:
    """Load the tensors of safetensors files.

    Raises:
        ValueError: a weight of the model is in none of them.
    """
    load(model, model_config, _stored(files))


def load(model: nn.Module, model_config: Any, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Load tensors by their names in a checkpoint; see `load_files`."""
    names = {name for name, _ in model.named_parameters()}
    initialize_layerwise_reload(model)
    # nn.Module's attributes are tensors or modules to a type checker
    loaded = model.load_weights(tensors)  # type: ignore[operator]
    finalize_layerwise_reload(model, model_config)
    pack_tied(model)
    # what a quantisation makes of the weights has names of its own
    missing = names - loaded if model_config.quantization is None and loaded is not None else ()
    if missing:
        raise ValueError(f"{len(missing)} weights were not pushed, {min(missing)} among them")


def pack_tied(model: nn.Module) -> None:
    """Pack anew the layers on CPU that share a weight with others."""
    sharing: dict[int, list[Any]] = {}
    for layer in model.modules():
        weight = layer._parameters.get("weight")
        if weight is not None and weight.numel():
            sharing.setdefault(id(weight), []).append(layer)
    for layers in sharing.values():
        for layer in layers:
            if len(layers) > 1 and hasattr(layer, "cpu_linear"):
                layer.quant_method.process_weights_after_loading(layer)


def _stored(files: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    for file in files:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                yield name, tensors.get_tensor(name)


@torch.inference_mode()
def fingerprints(model: nn.Module) -> dict[str, int]:
    """Of every weight that can be read back, by its name in a checkpoint; see `Held`.

    Layers of which this worker holds a part, and quantised ones, cannot.
    """
    if get_tensor_model_parallel_world_size() > 1:
        return {}
    packed: dict[str, list[str]] = getattr(model, "packed_modules_mapping", {})
    found: dict[str, int] = {}
    for path, layer in model.named_modules():
        for own, parameter in layer.named_parameters(recurse=False):
            weight = _computed_with(layer, own, parameter)
            if weight is None:
                continue
            before, _, last = path.rpartition(".")
            parts = packed.get(last, [last])
            pieces = [weight]
            if len(parts) > 1:
                sizes: Any = layer.output_partition_sizes
                pieces = list(torch.split(weight, sizes))
            for part, piece in zip(parts, pieces, strict=True):
                found[".".join(filter(None, (before, part, own)))] = fingerprint(piece)
    return found


def readable(model: nn.Module, vllm_config: Any) -> frozenset[str]:
    """The weights that read back as they are stored, told while the model's are those it came with.

    A loader may turn or reorder a weight for its layer; such a weight says nothing when it differs.
    """
    found = fingerprints(model)
    loader = get_model_loader(vllm_config.load_config)
    if not found or not hasattr(loader, "get_all_weights"):
        return frozenset()
    config = vllm_config.model_config
    device = next(model.parameters()).device
    stored = {
        name: fingerprint(tensor.to(device, config.dtype))
        for name, tensor in loader.get_all_weights(config, model)
        if name in found
    }
    same = {found[name] for name in stored if stored[name] == found[name]}
    # a tied layer is stored once, under the name of another
    return frozenset(name for name in found if stored.get(name, found[name]) == found[name] in same)


def _computed_with(layer: Any, own: str, parameter: Tensor) -> Tensor | None:
    """What a layer multiplies with or looks up, in the checkpoint's layout; None if unknown.

    A matrix that was packed for a kernel is what the kernel makes of the identity: every sum has
    one term, so nothing is rounded.
    """
    method = getattr(layer, "quant_method", None)
    if method is None:
        return parameter
    if not type(method).__name__.startswith("Unquantized"):
        return None
    vocabulary = getattr(layer, "org_vocab_size", None)
    weight: Tensor = parameter
    if own == "weight" and hasattr(layer, "cpu_linear") and not _looked_up(layer):
        width = layer.input_size_per_partition
        identity = torch.eye(width, dtype=parameter.dtype)[columns(width)]
        weight = layer.cpu_linear(identity, parameter, None).T
    return weight[:vocabulary] if vocabulary is not None else weight


def _looked_up(layer: nn.Module) -> bool:
    """Whether it is an embedding, whose rows are read as they lie."""
    from vllm.model_executor.layers.vocab_parallel_embedding import (
        ParallelLMHead,
        VocabParallelEmbedding,
    )

    return isinstance(layer, VocabParallelEmbedding) and not isinstance(layer, ParallelLMHead)
