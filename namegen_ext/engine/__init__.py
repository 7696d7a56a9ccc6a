"""The native engine: whole training steps in one call, without Python or autograd between them.

- engine_network.py: reads what the engine needs from a model made of torch.nn layers, or says why it covers no such.
- gpt_network.py: reads it from the package's GPT.
- engine_optimizers.py: does the same for an optimizer. model_watch.py: tells whether a model was touched since.
- step_engine.py: runs the steps. engine_evaluation.py: computes the loss over a whole split.

The C++ is in csrc/core/engine/training, that of the GPT in csrc/core/engine/gpt.
"""

from namegen_ext.engine.engine_errors import UnsupportedModelError
from namegen_ext.engine.engine_network import describe_network
from namegen_ext.engine.engine_optimizers import describe_optimizer
from namegen_ext.engine.step_engine import StepEngine

__all__ = ["StepEngine", "UnsupportedModelError", "describe_network", "describe_optimizer"]
