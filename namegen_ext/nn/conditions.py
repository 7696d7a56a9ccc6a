"""When a call must take the stock PyTorch path and not a fused operator.

The fused operators take plain tensors of four floating-point types on some devices. PyTorch's own layers take more:
tensor subclasses, sparse weights, function transforms, forward-mode differentiation. A call that an operator does not
take goes to the stock layers, so that a fused layer accepts everything that the stock layer accepts.

Each function returns the reason in words, or None. They run on every forward pass, so they are short.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.nn import Parameter

from namegen_ext.ops import why_not_supported

# Fake and functional tensors stand for plain ones while torch.export or torch.compile traces a model.
PLAIN_TENSORS = frozenset((Tensor, Parameter, FakeTensor, FunctionalTensor))
FLOATING_POINT = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def why_not_tensor(operator: str, tensor: Tensor) -> str | None:
    """Return why an operator cannot take this tensor of floating-point values; None where it can."""
    if type(tensor) not in PLAIN_TENSORS:
        return f"a {type(tensor).__name__} is not a plain tensor"
    if tensor.dtype not in FLOATING_POINT:
        return f"there are no kernels for {tensor.dtype}"
    if tensor.layout is not torch.strided:
        return f"there are no kernels for the layout {tensor.layout}"
    if not tensor.is_cpu:
        return why_not_supported(operator, tensor.device)
    return None
