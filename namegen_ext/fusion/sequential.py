"""An nn.Sequential that runs neighbouring children as fused operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling

from namegen_ext.fusion.patterns import PATTERNS
from namegen_ext.nn.plain_calls import all_plain, why_not_at_all

# For each position among the children: how to run each pattern that fits there, and which children it covers.
Matches = tuple[tuple[tuple[Callable[..., Tensor | None], slice], ...], ...]

# The classes of the children -> their matches. Finding these anew on each call would cost a microsecond.
_known_matches: dict[tuple[type[nn.Module], ...], Matches] = {}
_KNOWN_MATCHES_LIMIT = 1024


class FusedSequential(nn.Sequential):
    """An nn.Sequential whose forward runs children that match a pattern as one operator call.

    It keeps its children as they are and holds no state of its own: what can be fused is looked up on each
    call, from the children as they then stand. Children that no pattern covers, and calls that an operator
    does not take, run one by one as in nn.Sequential. ``namegen_ext.fuse`` makes one out of an nn.Sequential
    in place.
    """

    stands_for = nn.Sequential

    def forward(self, input: Any) -> Any:
        """Pass the input through the children in order.

        Args:
            input: what the first child takes.

        Returns:
            What the last child returns.

        """
        if why_not_at_all() is not None:
            return super().forward(input)
        children = tuple(self._modules.values())
        matches = find_matches(tuple(map(type, children)))
        nothing_special = all_plain(children)
        position = 0
        while position < len(children):
            for run, covered in matches[position]:
                site = children[covered]
                output = run(input, *site) if nothing_special or all_plain(site) else None
                if output is not None:
                    input = output
                    position = covered.stop
                    break
            else:
                input = children[position](input)
                position += 1
        return input


def find_matches(types: tuple[type[nn.Module], ...]) -> Matches:
    """Find the patterns that fit at each position, by the classes of the children, in their order."""
    # torch.compile looks at them once, while it traces; a cache would only give it more to guard.
    known = None if is_dynamo_compiling() else _known_matches.get(types)
    if known is not None:
        return known
    matches = tuple(
        tuple(
            (pattern.run, slice(position, position + len(pattern.types)))
            for pattern in PATTERNS
            if types[position : position + len(pattern.types)] == pattern.types
        )
        for position in range(len(types))
    )
    if not is_dynamo_compiling():
        if len(_known_matches) >= _KNOWN_MATCHES_LIMIT:
            _known_matches.clear()
        _known_matches[types] = matches
    return matches
