"""The drawing loop: many names together, one symbol of each per step."""

from __future__ import annotations

import torch
from torch import Tensor

from namegen_ext.sampling.cached import CachedDistribution
from namegen_ext.sampling.distribution import NextSymbolDistribution
from namegen_ext.sampling.philox import WORDS_PER_BLOCK, uniform_block


def draw_symbols(
    distribution: NextSymbolDistribution,
    prefix: list[int],
    *,
    seed: int,
    first_sample: int,
    count: int,
    max_steps: int,
) -> Tensor:
    """Draw what follows a prefix, for samples first_sample to first_sample + count - 1 of a seed's stream.

    A sample's symbols depend on the distribution, the prefix, the seed and the sample's number alone. A
    sample leaves the loop with its end marker, so that the work shrinks as names end. Without a prefix the
    first symbol is drawn among the letters, so that no name is empty.

    Args:
        distribution: draws a next symbol for a context and a uniform number.
        prefix: the symbols that stand before what is drawn; may be empty.
        seed: in [0, 2**64).
        first_sample: the number of the first sample in the stream.
        count: N, how many samples.
        max_steps: a sample that has not ended after so many symbols is cut there.

    Returns:
        (N, L) int64 with L <= max_steps + 1: the symbols of each sample, then zeros, one at least.

    """
    device = distribution.device
    symbols = torch.zeros(max_steps + 1, count, dtype=torch.int64, device=device)  # (max_steps + 1, N)
    active = torch.arange(count, device=device)  # (A,), the rows not ended yet
    contexts = _first_context(prefix, distribution).expand(count, -1)  # (A, block_size)
    uniforms: list[Tensor] = []  # those of the next steps, (A,) each
    for step in range(max_steps):
        if step % WORDS_PER_BLOCK == 0:
            uniforms = uniform_block(seed, active + first_sample, step // WORDS_PER_BLOCK)
        uniform = uniforms.pop(0)  # (A,)
        if step == 0 and not prefix:
            drawn = distribution.draw_first(uniform)  # (A,)
        elif step == 0:  # all share one context
            drawn = distribution.draw(contexts[:1], uniform)  # (A,)
        else:
            drawn = distribution.draw(contexts, uniform)  # (A,)
        symbols[step].index_copy_(0, active, drawn)
        going_on = drawn.nonzero().squeeze(1)  # (A',), positions in the active rows
        if len(going_on) == 0:
            break
        contexts = torch.cat([contexts[:, 1:], drawn[:, None]], dim=1)  # (A, block_size)
        if isinstance(distribution, CachedDistribution):
            distribution.keep(going_on)
        active = active.index_select(0, going_on)
        contexts = contexts.index_select(0, going_on)
        uniforms = [uniform.index_select(0, going_on) for uniform in uniforms]  # (A',) each
    return symbols[: step + 2].T  # (N, L)


def _first_context(prefix: list[int], distribution: NextSymbolDistribution) -> Tensor:
    padded = [0] * distribution.block_size + prefix
    return torch.tensor(
        [padded[len(prefix) :]], dtype=torch.int64, device=distribution.device
    )  # (1, block_size)
