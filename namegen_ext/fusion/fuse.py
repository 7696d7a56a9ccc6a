"""``fuse`` and ``unfuse``: they switch the plain nn.Sequential containers of a model to fused operators and back."""

from __future__ import annotations

from torch import nn

from namegen_ext.fusion.describe import describe
from namegen_ext.fusion.fusion_report import FusionReport
from namegen_ext.fusion.sequential import FusedSequential


def fuse(model: nn.Module) -> FusionReport:
    """Let a model run neighbouring layers as fused operators. The model is changed in place.

    Every container in the model whose class is exactly nn.Sequential becomes a FusedSequential; the model itself may be
    one. Only the ``__class__`` of the container changes. Shapes, dtypes and errors are those of the stock layers, and
    results agree with theirs to rounding. A second call changes nothing. ``unfuse`` is the inverse: use it before you
    export a model to a format that has only PyTorch's own operators, such as ONNX.

    Some layers run as before: layers with hooks, an embedding with padding_idx or max_norm, subclasses of the layers,
    parametrised layers, and layers that a hand-written forward calls. Each call looks at the layers again, so the
    report describes the model as it is now, and the model may be changed freely afterwards.

    Args:
        model: any module.

    Returns:
        The report. It lists each site as fused, or as skipped with the reason.

    Raises:
        TypeError: ``model`` is not an nn.Module.

    Example:
        >>> from torch import nn
        >>> from namegen_ext.fusion import fuse
        >>> model = nn.Sequential(nn.Embedding(27, 10), nn.Flatten(), nn.Linear(30, 200), nn.Tanh())
        >>> print(fuse(model))
        1 site fused, 0 sites skipped
          fused    0..3: Embedding, Flatten, Linear, Tanh -> embedding_concat_linear

    """
    _check_is_module(model)
    for module in model.modules():
        if type(module) is nn.Sequential:
            module.__class__ = FusedSequential
    return describe(model)


def unfuse(model: nn.Module) -> None:
    """Undo ``fuse`` in place: every FusedSequential of the model becomes an nn.Sequential again.

    Args:
        model: any module. A module that was not fused stays as it is.

    Raises:
        TypeError: ``model`` is not an nn.Module.

    Example:
        >>> from torch import nn
        >>> from namegen_ext.fusion import fuse, unfuse
        >>> model = nn.Sequential(nn.BatchNorm1d(200), nn.Tanh())
        >>> report = fuse(model)
        >>> unfuse(model)
        >>> type(model).__name__
        'Sequential'

    """
    _check_is_module(model)
    for module in model.modules():
        if type(module) is FusedSequential:
            module.__class__ = nn.Sequential  # type: ignore[assignment]


def _check_is_module(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, but got {type(model).__name__}")
