"""Drawing names from a trained model.

api.py has the functions that most callers want. stream.py gives names one after another: novel, unique, counted.
sampler.py draws the names at any place of a stream, and plan.py chooses how.

- The definition, in Python and torch: philox.py (random numbers by counter), shaping.py (temperature and top-k),
  distribution.py and cached.py (from a context to the probabilities of the next symbol), draw.py (the drawing loop),
  python_names.py (the names).
- Names that meet constraints: steered.py chooses how they are drawn, steered_names.py is the definition.
- The native sampler, which needs no torch: native.py (csrc/core/engine/sampling made ready for a model),
  sampling_network.py (the arrays that it evaluates), module_network.py and saved_network.py (the two ways to these).
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.sampling.api import iter_names, sample_names
    from namegen_ext.sampling.sampler import NameSampler
    from namegen_ext.sampling.sampling_errors import SamplingError
    from namegen_ext.sampling.stream import NameStream, SampleCounts
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.sampling.api": ("iter_names", "sample_names"),
            "namegen_ext.sampling.sampling_errors": ("SamplingError",),
            "namegen_ext.sampling.sampler": ("NameSampler",),
            "namegen_ext.sampling.stream": ("NameStream", "SampleCounts"),
        },
    )

__all__ = ["NameSampler", "NameStream", "SampleCounts", "SamplingError", "iter_names", "sample_names"]
