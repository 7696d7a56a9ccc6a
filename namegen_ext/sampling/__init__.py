"""Drawing names from a trained model.

The parts, from the numbers to the names: philox.py (random numbers by counter), distribution.py (context ->
next-symbol probabilities), draw.py (the drawing loop), sampler.py (names at any place of a stream),
stream.py (novel, unique, counts), api.py (the functions most callers want).
"""

from namegen_ext.sampling.api import iter_names, sample_names
from namegen_ext.sampling.errors import SamplingError
from namegen_ext.sampling.sampler import NameSampler
from namegen_ext.sampling.stream import NameStream, SampleCounts

__all__ = ["NameSampler", "NameStream", "SampleCounts", "SamplingError", "iter_names", "sample_names"]
