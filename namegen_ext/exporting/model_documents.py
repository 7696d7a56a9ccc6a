"""Each kind of model as the document holds it: networks, tables, counts, the gpt, and mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.exporting.json_arrays import float_tensor, number_tensor
from namegen_ext.models.layouts import CountsLayout, NetworkLayout, model_layout
from namegen_ext.models.specs import KNESER_NEY
from namegen_ext.sampling.sampling_network import Network
from namegen_ext.sampling.saved_network import saved_network

Arrays = Mapping[str, NDArray[Any]]

NORM_EPS = 1e-5  # that of namegen_ext.models.gpt_block, which needs torch
# A file of more numbers than this is of no use to a page: 16 million float32 are 85 MB of base64.
MOST_TABLE_VALUES = 2**24


def model_document(name: str, config: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Describe a model.

    Args:
        name: a key of :data:`namegen_ext.models.MODELS`.
        config: ``vocab_size`` and all of the model's options.
        arrays: its parameters and buffers, by their names in the state_dict.

    Raises:
        ExportError: it is larger than the format is meant for, or its numbers are not finite.

    """
    _check_finite(arrays)
    if name == "mixture":
        return _mixture(config, arrays)
    if name == "gpt":
        return _gpt(config, arrays)
    layout = model_layout(name, config)
    if isinstance(layout, CountsLayout):
        return _counts(layout, arrays)
    assert isinstance(layout, NetworkLayout)
    return _network(saved_network(layout, arrays))


def _check_finite(arrays: Arrays) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ExportError(
                f"the model's {name} holds numbers that are not finite, so no names can be drawn"
            )


def _network(network: Network) -> dict[str, Any]:
    """Describe an embedding and levels of linear layers, batch norms folded into them; or a table of logits."""
    if not network.levels:
        if network.embedding.size > MOST_TABLE_VALUES:
            raise ExportError(
                f"the model is a table of {network.embedding.size:,} numbers, expected at most"
                f" {MOST_TABLE_VALUES:,}: a shorter block_size makes a smaller one"
            )
        return {"kind": "table", "block_size": network.block_size, "logits": float_tensor(network.embedding)}
    return {
        "kind": "network",
        "block_size": network.block_size,
        "embedding": float_tensor(network.embedding),
        "levels": [
            {
                "factor": level.factor,
                "weight": float_tensor(level.weight),
                "bias": float_tensor(level.bias),
                "activation": "tanh" if level.tanh else "none",
            }
            for level in network.levels
        ],
    }


def _counts(layout: CountsLayout, arrays: Arrays) -> dict[str, Any]:
    """Describe a tree of counts. Those of Kneser and Ney are made here, so that readers need no more than a formula."""
    is_kneser_ney = layout.estimator == KNESER_NEY
    document: dict[str, Any] = {
        "kind": "counts",
        "block_size": layout.block_size,
        "estimator": layout.estimator,
        "category_newest": layout.category_newest,
        "num_children": number_tensor(np.diff(arrays["first_child"])),
        "oldest_symbol": number_tensor(arrays["oldest_symbol"]),
        "num_pairs": number_tensor(np.diff(arrays["first_pair"])),
        "pair_symbol": number_tensor(arrays["pair_symbol"]),
        "pair_count": number_tensor(
            continuation_counts(layout.vocab_size, arrays) if is_kneser_ney else arrays["pair_count"]
        ),
    }
    if layout.estimator == "add-k":
        document["smoothing"] = layout.smoothing
    if is_kneser_ney:
        document["discounts"] = arrays["discounts"].tolist()
        document["concentrations"] = arrays["concentrations"].tolist()
    return document


def continuation_counts(vocab_size: int, arrays: Arrays) -> NDArray[np.int64]:
    """Count in how many longer contexts each symbol followed; see csrc/core/engine/counts/smoothing.h.

    Args:
        vocab_size: V.
        arrays: those of :mod:`namegen_ext.models.count_arrays`.

    Returns:
        (pairs,): n(h, c) of Kneser and Ney.

    """
    first_child, first_pair = arrays["first_child"].astype(np.int64), arrays["first_pair"].astype(np.int64)
    nodes = len(first_pair) - 1
    num_children = np.diff(first_child)  # (nodes,)
    parent = np.repeat(np.arange(nodes), num_children)  # (nodes - 1,): of nodes 1, 2, ...
    node_of_pair = np.repeat(np.arange(nodes), np.diff(first_pair))  # (pairs,)
    symbol = arrays["pair_symbol"].astype(np.int64)  # (pairs,)
    key = node_of_pair * vocab_size + symbol  # (pairs,), ascending
    is_below = node_of_pair > 0
    key_of_parent = parent[node_of_pair[is_below] - 1] * vocab_size + symbol[is_below]
    in_longer = np.bincount(np.searchsorted(key, key_of_parent), minlength=len(key))  # (pairs,)
    is_longest = num_children[node_of_pair] == 0
    return np.where(is_longest, np.ceil(arrays["pair_count"]).astype(np.int64), in_longer)


def _gpt(config: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Describe a GPT of any form. Runs of before its form could be chosen have none of the options of the form."""

    def linear(name: str) -> dict[str, Any]:  # an RMS norm has neither part
        parts = {part: f"{name}.{part}" for part in ("weight", "bias")}
        return {part: float_tensor(arrays[key]) for part, key in parts.items() if key in arrays}

    return {
        "kind": "gpt",
        "block_size": config["block_size"],
        "num_heads": config["num_heads"],
        "norm_kind": config.get("norm", "layer"),
        "norm_eps": NORM_EPS,
        "activation": config.get("activation", "gelu"),
        "token_embedding": float_tensor(arrays["token_embedding.weight"]),
        "position_embedding": float_tensor(arrays["position_embedding.weight"]),
        "embedding_norm": linear("embedding_norm") if config.get("embedding_norm", False) else None,
        "layers": [
            {
                "norm_1": linear(f"blocks.{layer}.norm_1"),
                "projections": linear(f"blocks.{layer}.attention.projections.0"),
                "output": linear(f"blocks.{layer}.attention.output.0"),
                "norm_2": linear(f"blocks.{layer}.norm_2"),
                "hidden": linear(f"blocks.{layer}.network.0"),
                "back": linear(f"blocks.{layer}.network.2"),
            }
            for layer in range(config["num_layers"])
        ],
        "norm": linear("norm") if config.get("final_norm", True) else None,
        "head": float_tensor(arrays["head.weight"]),
    }


def _mixture(config: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    vocab_size = config["vocab_size"]
    components = []
    for number, (options, weight) in enumerate(zip(config["components"], arrays["weights"], strict=True)):
        prefix = f"components.{number}."
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        model = model_document(options["name"], {**options, "vocab_size": vocab_size}, own)
        components.append({"weight": float(np.float32(weight)), "model": model})
    keys = arrays["known_keys"]
    children = np.bincount(keys // vocab_size, minlength=len(keys) + 1)  # (nodes,)
    return {
        "kind": "mixture",
        "block_size": config["block_size"],
        "components": components,
        "known_names": {
            "num_children": number_tensor(children),
            "symbol": number_tensor(keys % vocab_size),
            "adjustment": float_tensor(arrays["known_adjustments"]),
        },
    }
