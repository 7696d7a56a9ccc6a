"""The GPT: its parameters, its forward pass written out, causality, the cache, and its errors."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.data import IGNORED
from namegen_ext.models import GPT

SMALL: dict[str, Any] = {
    "vocab_size": 11,
    "block_size": 6,
    "embedding_dim": 8,
    "num_layers": 2,
    "num_heads": 2,
}

# float64: sums of some 32 products of order one, a few layers deep.
ROUNDING = {"rtol": 1e-10, "atol": 1e-12}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(**options: Any) -> GPT:
    """A small model in float64 whose weights, biases and norms are all of order one."""
    model = GPT(**{**SMALL, **options}, generator=generator()).double()
    draws = generator(1)
    for parameter in model.parameters():
        parameter.data = 0.4 * torch.randn(parameter.shape, generator=draws, dtype=torch.float64) + 0.1
    if model.tied:
        model.head.weight = model.token_embedding.weight
    return model


def tokens_of(batch: int, length: int = 6, seed: int = 2) -> Tensor:
    return torch.randint(11, (batch, length), generator=generator(seed))


def normed(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean()
    scaled = centred / torch.sqrt((centred**2).mean() + 1e-5)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return state[f"{name}.weight"] @ x + state.get(f"{name}.bias", 0.0)


def written_out(model: GPT, tokens: list[int]) -> list[Tensor]:
    """The logits after each token of one sequence, position by position, head by head."""
    state = model.state_dict()
    width, heads = model.embedding_dim, model.num_heads
    size = width // heads
    path = [
        state["token_embedding.weight"][token] + state["position_embedding.weight"][position]
        for position, token in enumerate(tokens)
    ]
    for layer in range(model.num_layers):
        name = f"blocks.{layer}"
        inputs = [normed(x, state, f"{name}.norm_1") for x in path]
        projected = [linear(x, state, f"{name}.attention.projections.0") for x in inputs]  # (3 * E,)
        for position in range(len(path)):
            mixed = []
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                query = projected[position][:width][part]
                keys = [p[width : 2 * width][part] for p in projected[: position + 1]]
                values = [p[2 * width :][part] for p in projected[: position + 1]]
                scores = torch.stack([query @ key / math.sqrt(size) for key in keys])
                shares = scores.exp() / scores.exp().sum()
                mixed.append(sum(share * value for share, value in zip(shares, values, strict=True)))
            attended = linear(torch.cat(mixed), state, f"{name}.attention.output.0")
            path[position] = path[position] + attended
        for position, x in enumerate(path):
            wide = linear(normed(x, state, f"{name}.norm_2"), state, f"{name}.network.0")
            gelu = wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))
            path[position] = x + linear(gelu, state, f"{name}.network.2")
    return [linear(normed(x, state, "norm"), state, "head") for x in path]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 204_544), ({"tied": True}, 204_544 - 27 * 64), ({"num_layers": 1}, 204_544 - 3 * 49_984)],
)
def test_number_of_parameters(options: dict[str, Any], expected: int) -> None:
    assert sum(parameter.numel() for parameter in GPT(27, **options).parameters()) == expected


@pytest.mark.parametrize("tied", [False, True])
def test_forward_equals_the_arithmetic(tied: bool) -> None:
    model = make(tied=tied)
    tokens = tokens_of(3)
    logits, _ = model(tokens)
    for row, sequence in enumerate(tokens.tolist()):
        expected = torch.stack(written_out(model, sequence))  # (T, V)
        torch.testing.assert_close(logits[row], expected, **ROUNDING)


def test_the_loss_is_the_mean_over_the_targets_that_count() -> None:
    model = make()
    tokens, targets = tokens_of(3), tokens_of(3, seed=4)
    targets[0, 2:] = IGNORED
    targets[2, :3] = IGNORED
    logits, loss = model(tokens, targets)
    counted = [
        -F.log_softmax(logits[row, position], dim=0)[targets[row, position]].item()
        for row in range(3)
        for position in range(6)
        if targets[row, position] != IGNORED
    ]
    assert len(counted) == 2 + 6 + 3
    assert loss is not None
    assert loss.item() == pytest.approx(sum(counted) / len(counted), rel=1e-12)


def test_no_position_sees_what_comes_after_it() -> None:
    model, tokens = make(), tokens_of(4)
    before, _ = model(tokens)
    for position in range(1, 6):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % 11
        after, _ = model(changed)
        torch.testing.assert_close(after[:, :position], before[:, :position], **ROUNDING)
        assert not torch.allclose(after[:, position:], before[:, position:])


@pytest.mark.parametrize("length", [1, 3, 6])
def test_the_cache_gives_what_the_whole_sequence_gives(length: int) -> None:
    model, tokens = make(), tokens_of(4, length)
    expected, _ = model(tokens)
    cache = model.new_cache()
    for position in range(length):
        assert cache.length == position
        logits = model.step(tokens[:, position], cache)
        torch.testing.assert_close(logits, expected[:, position], **ROUNDING)


def test_rows_of_the_cache_can_be_selected() -> None:
    model, tokens = make(), tokens_of(4, 3)
    rows = torch.tensor([3, 0, 0])
    expected, _ = model(tokens[rows])
    cache = model.new_cache()
    model.step(tokens[:, 0], cache)
    model.step(tokens[:, 1], cache)
    cache.select(rows)
    assert cache.num_sequences == 3
    torch.testing.assert_close(model.step(tokens[rows, 2], cache), expected[:, 2], **ROUNDING)


def test_a_full_cache_is_named() -> None:
    model = make(block_size=2)
    cache = model.new_cache()
    model.step(torch.zeros(1, dtype=torch.int64), cache)
    model.step(torch.zeros(1, dtype=torch.int64), cache)
    with pytest.raises(ValueError, match="cache must hold fewer than block_size 2 tokens"):
        model.step(torch.zeros(1, dtype=torch.int64), cache)


def test_next_logits_begin_where_the_word_begins() -> None:
    model = make()
    words = [[], [3], [3, 4, 5], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7, 8]]
    contexts = torch.tensor([([0] * 6 + word)[-6:] for word in words])
    logits = model.next_logits(contexts)
    for row, word in enumerate(words):
        # The last six of the start mark and the word, from the first position on.
        expected = written_out(model, [0, *word][-6:])[-1]
        torch.testing.assert_close(logits[row], expected, **ROUNDING)
    # What stands before the start belongs to another word.
    other = model.next_logits(torch.tensor([[7, 0, 7, 0, 3, 4]]))[0]
    torch.testing.assert_close(other, written_out(model, [0, 3, 4])[-1], **ROUNDING)


def test_initial_weights() -> None:
    model = GPT(27, generator=generator(3))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert torch.equal(parameter, torch.full_like(parameter, 1.0 if "weight" in name else 0.0))
        elif name.endswith("bias"):
            assert not parameter.any()
        else:
            # The variance of U(-k, k) with k = 1 / sqrt(fan_in) is k**2 / 3.
            expected = 1.0 if "embedding" in name else 1 / math.sqrt(3 * parameter.shape[1])
            # The sample deviation of n normal draws is off by 1 / sqrt(2 n): 2.2% for 1,024; four of those.
            assert parameter.std().item() == pytest.approx(expected, rel=0.09), name


def test_the_first_loss_is_near_that_of_even_predictions() -> None:
    _, loss = GPT(27, generator=generator())(tokens_of(64, 16), tokens_of(64, 16, seed=5))
    assert loss is not None
    # Logits are sums of 64 products of normed values and weights of variance 1 / (3 * 64): of variance
    # s**2 = 1 / 3, and the loss is log(V) + s**2 / 2; the mean over 1,024 positions is off by some 0.6 / 32.
    assert loss.item() == pytest.approx(math.log(27) + 1 / 6, abs=0.1)


def test_dropout_acts_in_training_only() -> None:
    model, tokens = make(dropout=0.5), tokens_of(2)
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])
    plain = make()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(tokens)[0], plain(tokens)[0])


def test_tied_weights_are_one_parameter() -> None:
    model = GPT(**SMALL, tied=True)
    assert model.head.weight is model.token_embedding.weight


@pytest.mark.parametrize("leading", [(), (1,), (2, 3)])
def test_any_leading_shape(leading: tuple[int, ...]) -> None:
    model = make()
    tokens = torch.randint(11, (*leading, 5), generator=generator(1))
    logits, loss = model(tokens, tokens)
    flat_logits, flat_loss = model(tokens.reshape(-1, 5), tokens.reshape(-1, 5))
    assert logits.shape == (*leading, 5, 11)
    assert torch.equal(logits.reshape(-1, 5, 11), flat_logits)
    assert torch.equal(loss, flat_loss)


def test_a_generator_decides_the_weights_and_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    first, again = (GPT(**SMALL, generator=generator(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_config_survives_json_and_rebuilds() -> None:
    model = GPT(**SMALL, dropout=0.25, tied=True, generator=generator(1))
    rebuilt = GPT(**json.loads(json.dumps(model.config)), generator=generator(1))
    assert rebuilt.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, rebuilt.state_dict()[name])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("vocab_size", 0),
        ("block_size", 1.5),
        ("embedding_dim", "8"),
        ("num_layers", 0),
        ("num_heads", 3),
        ("num_heads", True),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", "none"),
        ("tied", 1),
    ],
)
def test_a_wrong_argument_is_named(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must .*{value!r}"):
        GPT(**{**SMALL, argument: value})


@pytest.mark.parametrize("shape", [(), (3, 0), (3, 7)])
def test_tokens_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"tokens must be \(\.\.\., T\) with T from 1 to block_size 6"):
        GPT(**SMALL)(torch.zeros(shape, dtype=torch.int64))


def test_a_token_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        GPT(**SMALL)(torch.full((2, 3), 11))


def test_the_position_embedding_is_called() -> None:
    """So hooks, pruning and weights that are sharded or normalised are honoured, step after step."""
    model = GPT(9, 4, 8, 1, 2, generator=torch.Generator().manual_seed(0))
    called = []
    model.position_embedding.register_forward_hook(lambda *_: called.append(1))
    tokens = torch.randint(9, (3, 4), generator=torch.Generator().manual_seed(1))
    model(tokens)
    model.step(tokens[:, 0], model.new_cache())
    assert len(called) == 2
    nn.utils.parametrizations.weight_norm(model.position_embedding)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        _, loss = model(tokens, tokens)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[2] < losses[1] < losses[0]
