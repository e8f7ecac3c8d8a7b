"""A number that tells two tensors apart, computed where they lie."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 1 << 22
_GOLDEN = -7046029254386353131  # 2^64 / golden ratio, odd, as a signed number

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def fingerprint(tensor: Tensor) -> int:
    """The sum over elements of (their bits × an odd number of their place), modulo 2^64, signed.

    Equal tensors (same dtype, same bits, same order) have equal numbers on every device. A change
    of one element always changes it, since an odd factor loses no bits; several changes together
    go unseen with the chance of a hash of 64 bits. Shapes do not enter.
    """
    bits = tensor.detach().contiguous().view(-1).view(_INTEGERS[tensor.element_size()])
    total = 0
    for start in range(0, len(bits), _CHUNK):
        piece = bits[start : start + _CHUNK].long()
        places = torch.arange(start + 1, start + 1 + len(piece), device=piece.device)
        # one round of splitmix64's mixing: places that are powers of two apart get unlike factors
        factors = places * _GOLDEN
        factors = (factors ^ (factors >> 29)) * -4658895280553007687 | 1
        total += int((piece * factors).sum())
    return (total + (1 << 63)) % (1 << 64) - (1 << 63)
