"""A number that tells two weights apart, computed where they lie."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import hardshrink

WIDTH = 512
"""Input columns of a matrix that count: of a wider one every second, third … column. To read one
column back from packed weights costs a product with the matrix."""

_CHUNK = 1 << 20
_GOLDEN = -7046029254386353131  # 2^64 / golden ratio, odd, as a signed number
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def columns(width: int) -> slice:
    """Those of a matrix with so many columns that count."""
    return slice(None, None, -(-width // WIDTH))


def fingerprint(weight: Tensor) -> int:
    """The sum over elements of (their bits × an odd number of their place), modulo 2^64, signed.

    Equal weights (same dtype, same bits, same order) have equal numbers on every device. A change
    of one element always changes it, since an odd factor loses no bits; several changes together
    go unseen with the chance of a hash of 64 bits. Shapes do not enter, zeros have no sign, and
    numbers up to the smallest normal one are zeros, as some kernels take them.

    Args:
        weight: a vector, or a matrix [out, in], of which `columns` count.
    """
    if weight.dim() == 2:
        weight = weight[:, columns(weight.shape[1])]
    flat = weight.detach().reshape(-1)
    if flat.is_floating_point():
        flat = hardshrink(flat, torch.finfo(flat.dtype).smallest_normal)
    bits = flat.view(_INTEGERS[flat.element_size()])
    total = 0
    for chunk, piece in enumerate(torch.split(bits, _CHUNK)):
        number = int((piece * _factors(piece.device)[: len(piece)]).sum())
        total += number * (chunk * _GOLDEN | 1)
    return (total + (1 << 63)) % (1 << 64) - (1 << 63)


@lru_cache(maxsize=8)
def _factors(device: torch.device) -> Tensor:
    """The odd numbers of the places in a chunk."""
    places = torch.arange(1, _CHUNK + 1, device=device) * _GOLDEN
    # one round of splitmix64's mixing: places that are powers of two apart get unlike factors
    return (places ^ (places >> 29)) * -4658895280553007687 | 1
