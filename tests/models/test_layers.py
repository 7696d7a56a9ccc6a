"""The reader of layers: what it finds in a network, and why it refuses others."""

from __future__ import annotations

import pytest
from torch import nn

from namegen_ext.engine import UnsupportedModelError, describe_network
from namegen_ext.models import MLP, WaveNet
from namegen_ext.models.layers import UnreadLayersError, read_layers
from namegen_ext.nn import ChannelsLastBatchNorm1d, FlattenConsecutive, FusedBatchNorm1d

V = 6


def test_levels_of_the_package_s_models() -> None:
    mlp = read_layers(MLP(V, num_hidden_layers=2, batch_norm=False).net, None)
    assert [(level.group, level.tanh) for level in mlp.levels] == [(3, True), (1, True), (1, False)]
    wavenet = read_layers(WaveNet(V).net, 8)
    assert [level.group for level in wavenet.levels] == [2, 2, 2, 1]
    assert [level.batch_norm is not None for level in wavenet.levels] == [True, True, True, False]
    assert wavenet.block_size == 8


def test_layers_are_kept_as_they_stand() -> None:
    norm = FusedBatchNorm1d(7, activation="tanh")
    flatten, linear, output = nn.Flatten(), nn.Linear(12, 7), nn.Linear(7, V)
    read = read_layers(
        [nn.Embedding(V, 3), nn.Dropout(), flatten, linear, norm, output], 4, ignored=(nn.Dropout,)
    )
    first, last = read.levels
    assert (first.joins, first.linear, first.batch_norm, first.tanh) == ((flatten,), linear, norm, True)
    assert (last.joins, last.linear, last.batch_norm, last.tanh) == ((), output, None, False)


def test_positions_joined_more_than_once() -> None:
    layers = [nn.Embedding(V, 3), FlattenConsecutive(2), FlattenConsecutive(2), nn.Linear(12, V)]
    (level,) = read_layers(layers, 4).levels
    assert (level.group, level.joins) == (4, (layers[1], layers[2]))


@pytest.mark.parametrize(
    ("layers", "block_size", "reason"),
    [
        ([], None, "first layer is not an nn.Embedding"),
        (
            [nn.Embedding(V, 3), nn.Dropout(), nn.Linear(3, V)],
            None,
            "nn.Linear is expected, but there stands Dropout",
        ),
        ([nn.Embedding(V, 3), nn.Flatten(), nn.Linear(10, V)], None, "10 values, no multiple of the 3"),
        (
            [nn.Embedding(V, 3), FlattenConsecutive(2), nn.Linear(9, V)],
            None,
            "3 positions, where 2 are joined",
        ),
        (
            [nn.Embedding(V, 3), nn.Flatten(), nn.Linear(9, V)],
            4,
            "3 positions together, not the block size 4",
        ),
        ([nn.Embedding(V, 3), FlattenConsecutive(3)], 4, "4 positions cannot be joined by 3"),
        (
            [nn.Embedding(V, 3), nn.Flatten(), nn.Linear(9, 5), nn.BatchNorm1d(4)],
            3,
            "4 channels follows 5 outputs",
        ),
        ([nn.Embedding(V, 3), nn.Flatten(0), nn.Linear(9, V)], None, "Flatten does not join the positions"),
    ],
)
def test_reasons(layers: list[nn.Module], block_size: int | None, reason: str) -> None:
    with pytest.raises(UnreadLayersError) as caught:
        read_layers(layers, block_size)
    assert reason in str(caught.value)


def test_channels_come_first_in_torch_s_batch_norm() -> None:
    """With as many positions as outputs, nn.BatchNorm1d runs, but over other values than those of a channel."""

    def layers(norm: type[nn.BatchNorm1d]) -> nn.Sequential:
        first = [nn.Embedding(V, 3), FlattenConsecutive(2), nn.Linear(6, 2), norm(2), nn.Tanh()]
        return nn.Sequential(*first, FlattenConsecutive(2), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, V))

    assert describe_network(layers(ChannelsLastBatchNorm1d)).block_size == 4
    with pytest.raises(UnsupportedModelError, match="BatchNorm1d takes several positions for its channels"):
        describe_network(layers(nn.BatchNorm1d))
