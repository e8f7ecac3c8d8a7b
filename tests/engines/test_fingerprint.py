"""Fingerprints of weights: equal for equal ones, and for no others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.engines.fingerprint import WIDTH, fingerprint

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@given(st.sampled_from(DTYPES), st.integers(0, 999), st.integers(0, 1 << 20))
def test_the_smallest_change_of_one_number_shows(dtype: torch.dtype, place: int, seed: int) -> None:
    weight = torch.randn(1000, generator=torch.Generator().manual_seed(seed)).to(dtype)
    other = weight.clone()
    bits = other.view(torch.int32 if dtype == torch.float32 else torch.int16)
    bits[place] ^= 1
    assert fingerprint(other) != fingerprint(weight)
    assert fingerprint(weight.clone()) == fingerprint(weight)


@pytest.mark.parametrize("dtype", DTYPES)
def test_order_sign_and_scale_show(dtype: torch.dtype) -> None:
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    variants = [weight, weight.T, weight.flip(0), -weight, 2 * weight, 4 * weight, 256 * weight]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)


def test_places_beyond_a_chunk_count() -> None:
    weight = torch.zeros((1 << 20) + 3)
    weight[0], weight[-1] = 1.0, 2.0
    swapped = weight.clone()
    swapped[0], swapped[-1] = 2.0, 1.0
    moved = torch.zeros_like(weight)
    moved[-3], moved[-1] = 1.0, 2.0
    assert len({fingerprint(x) for x in (weight, swapped, moved)}) == 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_have_no_sign_and_what_is_not_a_number_shows(dtype: torch.dtype) -> None:
    weight = torch.tensor([1.0, 0.0, 2.0]).to(dtype)
    assert fingerprint(weight) == fingerprint(torch.tensor([1.0, -0.0, 2.0]).to(dtype))
    assert fingerprint(weight) != fingerprint(torch.tensor([1.0, torch.nan, 2.0]).to(dtype))


def test_of_a_wide_matrix_every_second_column_counts() -> None:
    weight = torch.randn(4, 2 * WIDTH, generator=torch.Generator().manual_seed(0))
    assert fingerprint(weight) == fingerprint(weight[:, ::2])
