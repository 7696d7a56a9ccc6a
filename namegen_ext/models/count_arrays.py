"""A counting model as plain arrays, and the native model of them. Torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from namegen_ext.models.specs import KNESER_NEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The arrays of csrc/core/engine/counts/context_trie.h, with the dtypes that the native side takes. In a file, and in a
# model's buffers, int64 and whole float64 are int32 where the values fit.
TRIE_DTYPES = {
    "oldest_symbol": "int32",
    "first_child": "int64",
    "first_pair": "int64",
    "pair_symbol": "int32",
    "pair_count": "float64",
}


def start_of(estimator: str) -> str:
    """Tell how an estimator's contexts treat the start of a name; see csrc/core/engine/counts/context_trie.h."""
    return "once" if estimator == KNESER_NEY else "padded"


def native_trie(vocab_size: int, block_size: int, estimator: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Make the native trie of counts.

    Raises:
        ValueError: the arrays are no trie of so many symbols.

    """
    from namegen_ext._native.core import _core

    tries = {name: arrays[name].astype(dtype, copy=False) for name, dtype in TRIE_DTYPES.items()}
    return _core.counts.ContextTrie(vocab_size, block_size, start_of(estimator), **tries)


def native_count_model(
    vocab_size: int,
    block_size: int,
    estimator: str,
    smoothing: float,
    arrays: Mapping[str, NDArray[Any]],
) -> Any:
    """Make the native counting model.

    Args:
        vocab_size: V.
        block_size: length of the longest context.
        estimator: one of :data:`namegen_ext.models.specs.ESTIMATORS`.
        smoothing: the k of add-k.
        arrays: those of :data:`TRIE_DTYPES`; for "kneser-ney" also discounts (block_size + 1, 3) and concentrations
            (block_size + 1,), float64.

    Raises:
        ValueError: the arrays are no counts, or the discounts are out of range.

    """
    from namegen_ext._native.core import _core

    trie = native_trie(vocab_size, block_size, estimator, arrays)
    if estimator == KNESER_NEY:
        # In a row, as the native side takes them: (3 * lengths,), (lengths,).
        return _core.counts.kneser_ney(
            trie, arrays["discounts"].reshape(-1), arrays["concentrations"].reshape(-1)
        )
    if estimator == "add-k":
        return _core.counts.add_k(trie, smoothing)
    return _core.counts.witten_bell(trie)
