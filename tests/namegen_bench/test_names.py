"""The names of suites and peers are those of what is measured: they stand apart so that flags need no torch."""

from __future__ import annotations

from namegen_bench.names import DEFAULT_SUITES, PEERS, STOCK, SUITE_PEERS, SUITES, TIME_TO_LOSS, TRAIN
from namegen_bench.suites.all_suites import SUITE_FUNCTIONS
from namegen_bench.suites.time_to_loss_suite import PEER_FLAGS
from namegen_bench.suites.train.train_peers import BUILDERS


def test_every_suite_has_a_function() -> None:
    assert tuple(SUITE_FUNCTIONS) == SUITES
    assert set(DEFAULT_SUITES) < set(SUITES)


def test_every_peer_has_what_runs_it() -> None:
    assert tuple(BUILDERS) == SUITE_PEERS[TRAIN]
    assert tuple(PEER_FLAGS) == SUITE_PEERS[TIME_TO_LOSS]


def test_stock_is_first_everywhere() -> None:
    assert all(peers[0] == STOCK for peers in SUITE_PEERS.values())
    assert PEERS[0] == STOCK
