"""Modules over the fused operators, one file each."""

from namegen_ext.nn.batch_norm import FusedBatchNorm1d
from namegen_ext.nn.embedding_concat_linear import FusedEmbeddingConcatLinear

__all__ = ["FusedBatchNorm1d", "FusedEmbeddingConcatLinear"]
