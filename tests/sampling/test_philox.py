from __future__ import annotations

import random

import pytest
import torch

from namegen_ext.sampling.philox import WORDS_PER_BLOCK, philox4x32, uniform_block

Words = tuple[int, ...]

# The known answers published with Random123 (Salmon et al. 2011) for philox4x32-10: counter, key, result.
KNOWN_ANSWERS: list[tuple[Words, Words, Words]] = [
    (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox_in_plain_integers(counter: Words, key: Words) -> Words:
    """The paper's definition with Python's unbounded integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product_0, product_1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1 = (product_1 >> 32) ^ c1 ^ k0, product_1 % 2**32
        c2, c3 = (product_0 >> 32) ^ c3 ^ k1, product_0 % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def columns(counters: list[Words]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    c0, c1, c2, c3 = torch.tensor(counters, dtype=torch.int64).T
    return c0, c1, c2, c3


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(counter: Words, key: Words, expected: Words) -> None:
    words = philox4x32(columns([counter]), (key[0], key[1]))
    assert tuple(int(word) for word in words) == expected


def test_agrees_with_plain_integers() -> None:
    rng = random.Random(0)
    edges = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
    counters: list[Words] = [tuple(rng.choice(edges) for _ in range(4)) for _ in range(50)]
    counters += [tuple(rng.getrandbits(32) for _ in range(4)) for _ in range(150)]
    key = (rng.getrandbits(32), rng.getrandbits(32))
    words = torch.stack(philox4x32(columns(counters), key)).T.tolist()
    assert [tuple(row) for row in words] == [philox_in_plain_integers(counter, key) for counter in counters]


def test_uniform_block_is_the_documented_function_of_seed_sample_and_step() -> None:
    seed = 0x0123456789ABCDEF
    samples = [0, 1, 2**32 - 1, 2**32, 2**40 + 17]
    for block in (0, 3):
        uniforms = uniform_block(seed, torch.tensor(samples), block)  # (4, N)
        assert [uniform.dtype for uniform in uniforms] == [torch.float64] * WORDS_PER_BLOCK
        for column, sample in enumerate(samples):
            counter = (sample % 2**32, sample // 2**32, block, 0)
            words = philox_in_plain_integers(counter, (seed % 2**32, seed // 2**32))
            assert [float(uniform[column]) for uniform in uniforms] == [word / 2**32 for word in words]


def test_uniforms_stay_below_one() -> None:
    # The largest word must not round up to 1, nor the smallest leave 0.
    largest = torch.tensor(2**32 - 1).double().mul_(2.0**-32)
    assert float(largest) < 1.0
    uniforms = torch.stack(uniform_block(7, torch.arange(50_000), 0))
    assert float(uniforms.min()) >= 0.0
    assert float(uniforms.max()) < 1.0


@pytest.mark.parametrize("word", range(WORDS_PER_BLOCK))
def test_uniforms_are_spread_evenly(word: int) -> None:
    num_samples, num_bins = 64_000, 64
    uniforms = uniform_block(11, torch.arange(num_samples), 0)[word]  # (num_samples,)
    counts = torch.bincount((uniforms * num_bins).long(), minlength=num_bins).double()
    expected = num_samples / num_bins
    statistic = float(((counts - expected) ** 2 / expected).sum())
    # Chi-square with 63 degrees of freedom has mean 63 and standard deviation sqrt(126): six of them either
    # way.
    assert abs(statistic - 63) < 6 * 126**0.5
