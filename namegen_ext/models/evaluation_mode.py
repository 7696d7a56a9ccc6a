"""Evaluation mode for as long as it is needed, also where several threads need it at once."""

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
    """How many evaluate a model now, and which of its modules were in training mode when the first one began."""

    count: int
    training: list[nn.Module]


_uses: WeakKeyDictionary[nn.Module, _Use] = WeakKeyDictionary()
_lock = threading.Lock()  # held for the changes of mode alone


def _forget() -> None:
    """Begin anew in a fork's child: the threads that evaluate, or hold the lock, are not there."""
    global _lock
    _lock = threading.Lock()
    _uses.clear()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module of a model in evaluation mode, and each back in its own mode afterwards.

    The last of several threads that evaluate the same model puts them back: else it would train, and change its
    running statistics, under the hands of the others.
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
