"""Run the layers of a model as fused operators, without changing the model's state.

``fuse(model)`` turns every plain nn.Sequential of the model, in place, into a :class:`FusedSequential`: the
same object with the same children, which runs neighbouring children that match a pattern as one operator
call. ``unfuse(model)`` turns them back. Parameters, buffers, state_dict keys, hooks, dtypes, devices and
train/eval flags stay as they are, so optimizers, tied weights and checkpoints go on working.

A FusedSequential holds no plan. On each call it looks at the children it has now: children that were
replaced, hooks that were added, a layer that was switched to evaluation are all honoured, and whatever a
fused operator does not cover runs as the stock layer.

How to add a pattern
--------------------
A pattern is one entry of ``PATTERNS`` in ``fusion/patterns.py``::

    Pattern(
        operator="batch_norm",              # the operator of namegen_ext.ops that it calls
        types=(nn.BatchNorm1d, nn.Tanh),    # the exact classes of neighbouring children
        why_not=_why_not_batch_norm,        # (*modules) -> None, or why these cannot be fused
        run=_run_batch_norm,                # (input, *modules) -> result, or None for the stock path
    )

1. ``types`` are compared exactly, so a subclass with its own forward never matches. A longer pattern wins
   over a shorter one that starts at the same child and must stand before it. Hooks, a forward overridden on
   the instance, torch.func transforms and forward-mode derivatives are checked by the container, for every
   child; a pattern does not repeat that.
2. ``why_not`` puts into words what the modules themselves say against fusing: options, parameters, dtypes,
   devices. The report asks it.
3. ``run`` is what a call goes through, so it must be quick. It returns None, before it has changed anything
   (a buffer, say), where the stock layers must run: wherever ``why_not`` has a reason (save for what ends in
   an error anyway), and for a shape or dtype of the input that the operator does not take. Otherwise it
   returns what the stock layers would return, to rounding, or raises what they would raise.
4. Read parameters through ``module._parameters``, which is several times faster than attribute access; a
   KeyError there means that the tensor stands elsewhere (pruning, replicas), which is a reason not to fuse.
5. Add the architecture to the strategies in ``tests/fusion/test_equivalence.py``.
"""

from namegen_ext.fusion.fuse import fuse, unfuse
from namegen_ext.fusion.patterns import PATTERNS, Pattern
from namegen_ext.fusion.report import FusionReport, Site
from namegen_ext.fusion.sequential import FusedSequential

__all__ = ["PATTERNS", "FusedSequential", "FusionReport", "Pattern", "Site", "fuse", "unfuse"]
