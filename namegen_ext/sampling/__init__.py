"""Drawing names from a trained model.

The definition, from the numbers to the names: philox.py (random numbers by counter), distribution.py and
cached.py (context -> next-symbol probabilities), draw.py (the drawing loop), sampler.py (names at any place
of a stream), stream.py (novel, unique, counts), api.py (the functions most callers want).

The same natively, many times as fast, wherever it covers a model: native.py (csrc/core/engine/sampling made ready),
network.py (what it can evaluate), plan.py (which way a model is sampled).
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.sampling.api import iter_names, sample_names
    from namegen_ext.sampling.errors import SamplingError
    from namegen_ext.sampling.sampler import NameSampler
    from namegen_ext.sampling.stream import NameStream, SampleCounts
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.sampling.api": ("iter_names", "sample_names"),
            "namegen_ext.sampling.errors": ("SamplingError",),
            "namegen_ext.sampling.sampler": ("NameSampler",),
            "namegen_ext.sampling.stream": ("NameStream", "SampleCounts"),
        },
    )

__all__ = ["NameSampler", "NameStream", "SampleCounts", "SamplingError", "iter_names", "sample_names"]
