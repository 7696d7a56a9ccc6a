"""Evaluation mode, used by several at once."""

from __future__ import annotations

import os

import pytest
from torch import nn

from namegen_ext.models.evaluation_mode import evaluating


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_every_module_comes_back_in_its_own_mode() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(), nn.BatchNorm1d(1))
    model[1].eval()
    before = modes(model)
    with evaluating(model):
        assert not any(modes(model))
    assert modes(model) == before == [True, True, False, True]


def test_an_error_puts_them_back_too() -> None:
    model = nn.Sequential(nn.BatchNorm1d(1))
    with pytest.raises(ZeroDivisionError), evaluating(model):
        raise ZeroDivisionError
    assert all(modes(model))


def test_the_last_one_puts_them_back() -> None:
    # As two threads would: the second begins before the first has ended.
    model = nn.Sequential(nn.BatchNorm1d(1))
    first, second = evaluating(model), evaluating(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not any(modes(model))
    second.__exit__(None, None, None)
    assert all(modes(model))


def test_a_child_of_a_fork_begins_anew() -> None:
    model = nn.Sequential(nn.BatchNorm1d(1))
    with evaluating(model):
        child = os.fork()
        if child == 0:
            model.train()
            with evaluating(model):
                pass
            os._exit(0 if all(modes(model)) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all(modes(model))
