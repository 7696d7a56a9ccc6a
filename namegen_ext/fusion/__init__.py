"""Running the layers of a model as fused operators, without changing the model's state.

``fuse(model)`` turns every plain nn.Sequential of the model, in place, into a :class:`FusedSequential`. This is the
same object with the same children. It runs neighbouring children that match a pattern as one operator call.
``unfuse(model)`` turns it back. Parameters, buffers, state_dict keys, hooks, dtypes, devices and train/eval flags do
not change, so optimizers, tied weights and checkpoints go on working.

A FusedSequential has no plan. On each call it looks at the children that it has now. So it notices children that were
replaced, hooks that were added, and a layer that was switched to evaluation. Whatever a fused operator does not take
runs as the stock layer.

How to add a pattern
--------------------
A pattern is one entry of ``PATTERNS`` in ``fusion/patterns.py``::

    Pattern(
        operator="batch_norm",              # the operator of namegen_ext.ops that it calls
        types=(nn.BatchNorm1d, nn.Tanh),    # the exact classes of neighbouring children
        why_not=_why_not_batch_norm,        # (*modules) -> None, or why these cannot be fused
        run=_run_batch_norm,                # (input, *modules) -> result, or None for the stock path
    )

1. ``types`` are compared exactly, so a subclass with its own forward never matches. Where two patterns start at the
   same child, the longer one wins, and it must stand first in ``PATTERNS``. The container checks every child for hooks
   and for a forward that is overridden on the instance, and it checks for torch.func transforms and forward-mode
   derivatives. A pattern does not repeat these checks.
2. ``why_not`` returns the reason why these modules cannot be fused, in words: their options, parameters, dtypes or
   devices. The report calls it.
3. ``run`` is called in every forward pass, so it must be quick. It returns None where the stock layers must run, and
   it does so before it has changed anything, such as a buffer. The stock layers must run wherever ``why_not`` has a
   reason (unless the call ends in an error anyway), and for a shape or dtype of the input that the operator does not
   take. Otherwise ``run`` returns what the stock layers return, to rounding, or raises what they raise.
4. Read parameters through ``module._parameters``, which is several times faster than attribute access. A KeyError
   there means that the tensor is kept elsewhere (by pruning or replicas), which is a reason not to fuse.
5. Add the architecture to the strategies in ``tests/fusion/test_equivalence.py``.
"""

from namegen_ext.fusion.fuse import fuse, unfuse
from namegen_ext.fusion.fusion_report import FusionReport, Site
from namegen_ext.fusion.patterns import PATTERNS, Pattern
from namegen_ext.fusion.sequential import FusedSequential

__all__ = ["PATTERNS", "FusedSequential", "FusionReport", "Pattern", "Site", "fuse", "unfuse"]
