from __future__ import annotations

import importlib
import re
from collections.abc import Callable

import pytest
import torch

from namegen_ext.lessons import PACKAGE, find_lessons

NAMES = [
    *("logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits", "logit_maxes", "logits"),
    *("h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw", "bnvar_inv", "bnvar", "bndiff2", "bndiff"),
    *("bnmeani", "hprebn", "embcat", "W1", "b1", "emb", "C"),
]
# What the exercise asks for, in doubles; the gradients are of the size of 0.001 to 0.1.
TOLERANCE = 1e-8


def test_all_26_against_autograd_and_the_kernels(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("backprop")
    first, _, rest = out.partition("2. In one step")
    rows = re.findall(r"^   d(\w+) +\(.*?\) +(\S+e\S+) +(\S+e\S+)$", first, re.MULTILINE)
    assert [name for name, _, _ in rows] == NAMES
    assert len(NAMES) == 26
    assert all(float(difference) < TOLERANCE for row in rows for difference in row[1:])
    one_step, _, fused = rest.partition("3. Against the fused")
    differences = re.findall(r"difference (\S+e\S+)", one_step)
    assert len(differences) == 3  # dlogits, and dhprebn for both variances
    assert all(float(difference) < TOLERANCE for difference in differences)
    kernels = dict(re.findall(r"^   d(\w+) +(\S+e\S+)$", fused, re.MULTILINE))
    assert set(kernels) == {"logits", "h", "hprebn", "C", "W1", "b1", "W2", "b2", "bngain", "bnbias"}
    assert all(float(difference) < TOLERANCE for difference in kernels.values())


@pytest.mark.parametrize("unbiased", [True, False])
def test_by_hand_against_nudged_parameters(unbiased: bool) -> None:
    """Check without autograd and kernels: compute the loss with one parameter moved a little in both directions."""
    find_lessons()
    lesson = importlib.import_module(f"{PACKAGE}.backprop")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(27, (8, lesson.BLOCK_SIZE), generator=generator)  # (B, block_size)
    targets = torch.randint(27, (8,), generator=generator)  # (B,)
    parameters = {name: value.detach() for name, value in lesson.make_parameters(27).items()}
    values = lesson.forward(parameters, tokens, targets, unbiased)
    gradients = lesson.backward(values, tokens, targets, unbiased)
    step = 1e-5
    for name, parameter in parameters.items():
        flat, gradient = parameter.view(-1), gradients[name].reshape(-1)
        assert gradients[name].shape == parameter.shape
        index = int(gradient.abs().argmax())
        losses = []
        for nudge in (step, -2 * step):
            flat[index] += nudge
            losses.append(lesson.forward(parameters, tokens, targets, unbiased)["loss"].item())
        flat[index] += step
        slope = (losses[0] - losses[1]) / (2 * step)
        # Central differences: step^2 times a third derivative of the size of 10, and 2^-52 / step of rounding.
        assert slope == pytest.approx(gradient[index].item(), abs=1e-7), name
