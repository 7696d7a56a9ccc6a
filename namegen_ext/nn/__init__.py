"""Modules that call the fused operators, and layers that the models need and torch lacks, one file for each."""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.nn.batch_norm import FusedBatchNorm1d
    from namegen_ext.nn.channels_last_batch_norm import ChannelsLastBatchNorm1d
    from namegen_ext.nn.embedding_concat_linear import FusedEmbeddingConcatLinear
    from namegen_ext.nn.embedding_concat_linear_batch_norm import FusedEmbeddingConcatLinearBatchNorm
    from namegen_ext.nn.flatten_consecutive import FlattenConsecutive
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.nn.batch_norm": ("FusedBatchNorm1d",),
            "namegen_ext.nn.channels_last_batch_norm": ("ChannelsLastBatchNorm1d",),
            "namegen_ext.nn.embedding_concat_linear": ("FusedEmbeddingConcatLinear",),
            "namegen_ext.nn.embedding_concat_linear_batch_norm": ("FusedEmbeddingConcatLinearBatchNorm",),
            "namegen_ext.nn.flatten_consecutive": ("FlattenConsecutive",),
        },
    )

__all__ = [
    "ChannelsLastBatchNorm1d",
    "FlattenConsecutive",
    "FusedBatchNorm1d",
    "FusedEmbeddingConcatLinear",
    "FusedEmbeddingConcatLinearBatchNorm",
]
