"""Modules over the fused operators, and the layers beside torch's own that the models need, one file each."""

from namegen_ext.nn.batch_norm import FusedBatchNorm1d
from namegen_ext.nn.channels_last_batch_norm import ChannelsLastBatchNorm1d
from namegen_ext.nn.embedding_concat_linear import FusedEmbeddingConcatLinear
from namegen_ext.nn.flatten_consecutive import FlattenConsecutive

__all__ = ["ChannelsLastBatchNorm1d", "FlattenConsecutive", "FusedBatchNorm1d", "FusedEmbeddingConcatLinear"]
