"""An nn.Sequential that runs neighbouring children as fused operators."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling

from namegen_ext.fusion.patterns import PATTERNS
from namegen_ext.nn.plain_calls import all_plain, why_not_at_all

# For each position among the children, the patterns that match there: how to run one, and which children it covers.
Matches = tuple[tuple[tuple[Callable[..., Tensor | None], slice], ...], ...]

# The matches by the classes of the children. To find them again in each call would take a microsecond.
_known_matches: dict[tuple[type[nn.Module], ...], Matches] = {}
_KNOWN_MATCHES_LIMIT = 1024


class FusedSequential(nn.Sequential):
    """An nn.Sequential whose forward runs children that match a pattern as one operator call.

    It does not change its children and has no state of its own. Each call looks at the children that are there, and
    finds out which can be fused. Children that no pattern covers, and calls that an operator does not take, run one by
    one as in nn.Sequential. ``namegen_ext.fuse`` turns an nn.Sequential into a FusedSequential in place.

    Shape:
        - input and result: those of the children; dtypes and errors are theirs too.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from namegen_ext.fusion import FusedSequential
        >>> FusedSequential(nn.BatchNorm1d(200), nn.Tanh())(torch.randn(32, 200)).shape
        torch.Size([32, 200])

    """

    stands_for = nn.Sequential

    def forward(self, input: Any) -> Any:
        """Pass the input through the children in order.

        Args:
            input: the input of the first child.

        Returns:
            The result of the last child.

        """
        if why_not_at_all() is not None or _is_exported_to_onnx():
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

    def __prepare_scriptable__(self) -> nn.Sequential:
        """Return the stock layers for ``torch.jit.script``, which cannot read how they are fused call by call."""
        stock = nn.Sequential()
        stock._modules = self._modules.copy()
        stock.training = self.training
        return stock


def _is_exported_to_onnx() -> bool:
    # ONNX has no such operators. The stock layers that they stand for can be translated.
    if is_dynamo_compiling() or "torch.onnx" not in sys.modules:
        return False
    return torch.onnx.is_in_onnx_export()


def find_matches(types: tuple[type[nn.Module], ...]) -> Matches:
    """Find the patterns that match at each position, from the classes of the children in order."""
    # torch.compile looks at them only once, while it traces. A cache would only give it more to guard.
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
