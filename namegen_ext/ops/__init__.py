"""The operators, one file for each: its Python function, and the readable reference that it is tested against."""

from namegen_ext.ops.batch_norm import batch_norm, batch_norm_reference
from namegen_ext.ops.embedding_concat_linear import (
    embedding_concat_linear,
    embedding_concat_linear_reference,
)
from namegen_ext.ops.embedding_concat_linear_batch_norm import (
    embedding_concat_linear_batch_norm,
    embedding_concat_linear_batch_norm_reference,
)
from namegen_ext.ops.linear import linear, linear_reference
from namegen_ext.ops.support import why_not_supported

__all__ = [
    "batch_norm",
    "batch_norm_reference",
    "embedding_concat_linear",
    "embedding_concat_linear_batch_norm",
    "embedding_concat_linear_batch_norm_reference",
    "embedding_concat_linear_reference",
    "linear",
    "linear_reference",
    "why_not_supported",
]
