"""Joining neighbouring positions of a sequence: the step from one level of a WaveNet-like tree to the next."""

from __future__ import annotations

from torch import Tensor, nn


class FlattenConsecutive(nn.Module):
    """Join each group of ``factor`` neighbouring positions into one. Its channels are those of the group, in order.

    Where only one position is left, its dimension is dropped.

    Args:
        factor: how many positions become one.

    Shape:
        - x: (..., T, C) of any dtype, with T a multiple of ``factor``.
        - result: (..., T / factor, factor * C), or (..., factor * C) where T is ``factor``; it is a view where the
          strides of x allow it.

    Raises:
        ValueError: ``factor`` is not a positive integer.

    Source: the tree of dilated causal convolutions of van den Oord et al., "WaveNet", 2016, in the form of
    A. Karpathy's lecture "Building makemore part 5", 2022.

    Example:
        >>> import torch
        >>> from namegen_ext.nn import FlattenConsecutive
        >>> FlattenConsecutive(2)(torch.randn(32, 8, 10)).shape
        torch.Size([32, 4, 20])

    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor must be a positive integer, but got {factor!r}")
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Join the positions.

        Args:
            x: (..., T, C).

        Returns:
            (..., T / factor, factor * C), or (..., factor * C) where one position is left.

        Raises:
            ValueError: T is not a multiple of ``factor``, or x has fewer than two dimensions.

        """
        if x.dim() < 2 or x.shape[-2] % self.factor != 0:
            raise ValueError(
                f"x must be (..., T, C) with T a multiple of the factor {self.factor}, but got {tuple(x.shape)}"
            )
        *leading, length, channels = x.shape
        if length == self.factor:
            return x.reshape(*leading, length * channels)  # (..., factor * C)
        return x.reshape(*leading, length // self.factor, self.factor * channels)  # (..., T / factor, ...)

    def extra_repr(self) -> str:
        """Show the factor."""
        return str(self.factor)
