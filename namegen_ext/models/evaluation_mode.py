"""Puts a model in evaluation mode for a while, also where several threads need that at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import nn


@dataclass
class _Use:
    """How many threads evaluate a model now, and which of its modules were in training mode before the first one."""

    count: int
    training: list[nn.Module]


_uses: WeakKeyDictionary[nn.Module, _Use] = WeakKeyDictionary()
_lock = threading.Lock()  # held while modes are changed, not while the model is evaluated


def _forget() -> None:
    """Begin anew in the child of a fork, where the threads that evaluate or hold the lock do not exist."""
    global _lock
    _lock = threading.Lock()
    _uses.clear()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module of a model in evaluation mode, and each back in its own mode afterwards.

    Where several threads evaluate the same model, the last one puts the modes back. Were the first one to do so, the
    model would be in training mode, and change its running statistics, while the others still evaluate it.
    """
    with _lock:
        use = _uses.get(model)
        if use is None:
            use = _uses[model] = _Use(0, [module for module in model.modules() if module.training])
            model.eval()
        use.count += 1
    try:
        yield
    finally:
        with _lock:
            use.count -= 1
            if use.count == 0:
                _uses.pop(model, None)
                for module in use.training:
                    module.training = True
