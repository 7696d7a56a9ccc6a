"""The names of the list itself, taken out of a model's probabilities in part.

A model of names gives those that it was trained on more of its probability than they get among names that it has not
seen: of a list without repeats these are none at all. Where P is the model and K are the names of the list,

    P'(name) = f P(name) / Z  for a name of K, and  P(name) / Z  for others,  Z = 1 - (1 - f) P(K),

has them as often as wanted, by the choice of the factor f, and is right for everything else. It is a model of next
symbols like any other: behind a beginning u that names of K go on from,

    P'(c | u) = P(c | u) (1 - (1 - f) m(uc)) / (1 - (1 - f) m(u)),

where m(u) is the sum of P(name | u) over the names of K that begin with u; and P'(c | u) = P(c | u) behind all others.
The beginnings are the nodes of a prefix tree. Its nodes are numbered breadth first, and node n > 0 is the n-th of the
ascending keys ``parent * V + symbol``: the keys alone are the tree.
"""

from __future__ import annotations

import torch
from torch import Tensor


def prefix_keys(symbols: Tensor, vocab_size: int) -> Tensor:
    """Build the prefix tree of names, the end of each being a node too.

    Args:
        symbols: int64 (n, L), the symbols of each name, zeros behind them, one at least.
        vocab_size: V.

    Returns:
        The keys of nodes 1, 2, ...: int64 (nodes - 1,), ascending.

    """
    keys = []
    node = torch.zeros(len(symbols), dtype=torch.int64)  # (n,): of those names that go on
    num_nodes = 1
    for place in range(symbols.shape[1]):
        going_on = symbols[:, place]  # (n,)
        level, rank = torch.unique(
            node * vocab_size + going_on, return_inverse=True
        )  # (nodes of the level,), (n,)
        keys.append(level)
        node = num_nodes + rank  # (n,)
        num_nodes += len(level)
        symbols, node = symbols[going_on > 0], node[going_on > 0]
    return torch.cat([torch.zeros(0, dtype=torch.int64), *keys])


def beginnings(keys: Tensor, vocab_size: int, block_size: int) -> Tensor:
    """Return the context of each node: its symbols, with zeros before them.

    Args:
        keys: of :func:`prefix_keys`.
        vocab_size: V.
        block_size: B, longer than the names.

    Returns:
        int64 (nodes, B).

    """
    contexts = torch.zeros(len(keys) + 1, block_size, dtype=torch.int64)  # (nodes, B)
    if len(keys) == 0:
        return contexts
    parents, symbols = keys // vocab_size, keys % vocab_size  # (nodes - 1,)
    # Breadth first: all parents of one level are done before their children.
    for first, last in _levels(parents):
        rows = slice(first, last)
        contexts[first + 1 : last + 1] = torch.cat(
            [contexts[parents[rows], 1:], symbols[rows, None]], dim=1
        )  # (children, B)
    return contexts


def _levels(parents: Tensor) -> list[tuple[int, int]]:
    """Return the runs of ``parents`` (nodes - 1,) whose children are of one depth, from the root down."""
    runs, first = [], 0
    last_node_above = 0
    while first < len(parents):
        last = int(torch.searchsorted(parents, torch.tensor(last_node_above), right=True))
        runs.append((first, last))
        last_node_above, first = last, last
    return runs


def known_mass(keys: Tensor, log_probabilities: Tensor, vocab_size: int) -> Tensor:
    """Compute m(u): how much of what follows a beginning the names of the list take.

    Args:
        keys: of :func:`prefix_keys`.
        log_probabilities: float64 (nodes - 1,): of each key's symbol behind its parent.
        vocab_size: V.

    Returns:
        float64 (nodes,); that of node 0 is the names' share of all probability.

    """
    mass = torch.zeros(len(keys) + 1, dtype=torch.float64)  # (nodes,)
    parents = keys // vocab_size
    mass[1:][keys % vocab_size == 0] = 1.0  # a name has ended
    for first, last in reversed(_levels(parents)):
        reached = log_probabilities[first:last].exp() * mass[first + 1 : last + 1]  # (children,)
        mass.index_add_(0, parents[first:last], reached)
    return mass.clamp_(max=1.0)  # sums of rounded numbers


def find_nodes(keys: Tensor, tokens: Tensor, vocab_size: int) -> Tensor:
    """Find the nodes that contexts are at.

    Args:
        keys: of :func:`prefix_keys`.
        tokens: int64 (n, block_size), zeros before the symbols of a name; a context without a zero holds the start of
            no name, and is at none.
        vocab_size: V.

    Returns:
        int64 (n,), -1 for a beginning that no name of the list has.

    """
    outside = torch.full_like(tokens[:, 0], -1)  # (n,)
    node = outside
    for symbols in tokens.T:  # (n,)
        wanted = node * vocab_size + symbols  # (n,)
        found = torch.searchsorted(keys, wanted)  # (n,)
        is_known = (node >= 0) & (found < len(keys))
        is_known &= keys[found.clamp(max=max(len(keys) - 1, 0))] == wanted if len(keys) else False
        node = torch.where(symbols == 0, 0, torch.where(is_known, found + 1, outside))  # (n,)
    return node


def marks_before_letters(tokens: Tensor) -> Tensor:
    """Move the mark of a category from the oldest place of contexts to that before their first letter.

    Args:
        tokens: int64 (n, B), the mark, zeros and letters.

    Returns:
        int64 (n, B): zeros, the mark and letters, as a name with its mark stands in the prefix tree; a context that is
        full of letters stays as it is.

    """
    places = torch.arange(tokens.shape[1], device=tokens.device)  # (B,)
    last_start = ((tokens == 0) * places).amax(dim=1, keepdim=True)  # (n, 1), 0 where there is no zero
    before = torch.where(places < last_start, torch.zeros_like(tokens), tokens)  # (n, B)
    return torch.where((places == last_start) & (last_start > 0), tokens[:, :1], before)


def marks_oldest(tokens: Tensor, num_letters: int) -> Tensor:
    """Undo :func:`marks_before_letters`: (n, B) -> (n, B); symbols from ``num_letters`` on are marks."""
    is_mark = tokens >= num_letters  # (n, B)
    marks = torch.where(is_mark, tokens, 0).amax(dim=1)  # (n,), 0 where there is none
    oldest = torch.where(is_mark, 0, tokens)  # (n, B)
    oldest[:, 0] = torch.where(marks > 0, marks, oldest[:, 0])
    return oldest


def adjust(logits: Tensor, nodes: Tensor, keys: Tensor, adjustments: Tensor, vocab_size: int) -> Tensor:
    """Add to the logits behind known beginnings.

    Args:
        logits: float64 (n, V); changed in place.
        nodes: int64 (n,), of :func:`find_nodes`.
        keys: of :func:`prefix_keys`.
        adjustments: float64 (nodes - 1,): log(1 - (1 - f) m(uc)) of each key.
        vocab_size: V.

    Returns:
        The logits.

    """
    rows = torch.nonzero(nodes >= 0).squeeze(1)  # (k,)
    first = torch.searchsorted(keys, nodes[rows] * vocab_size)  # (k,)
    last = torch.searchsorted(keys, (nodes[rows] + 1) * vocab_size)  # (k,)
    counts = last - first
    row = torch.repeat_interleave(rows, counts)  # (children,)
    begin = torch.repeat_interleave(first - (counts.cumsum(0) - counts), counts)  # (children,)
    key = begin + torch.arange(len(row), device=row.device)  # (children,)
    logits[row, keys[key] % vocab_size] += adjustments[key]
    return logits
