"""Makes what names are drawn from of the arrays that a run directory holds. Torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping

from namegen_ext.models.layouts import (
    BATCH_NORM_EPS,
    GPT_NORM_EPS,
    CountsLayout,
    GptLayout,
    LevelLayout,
    MixtureLayout,
    ModelLayout,
    NetworkLayout,
)
from namegen_ext.sampling.predictors import Counts, Gpt, Mixture, Predictor
from namegen_ext.sampling.sampling_network import Array, BatchNorm, Level, Network, folded_level


def saved_predictor(layout: ModelLayout, arrays: Mapping[str, Array]) -> Predictor:
    """Make what names are drawn from of a saved model.

    Args:
        layout: of the model.
        arrays: its parameters and buffers, of the names, dtypes and shapes of ``layout.state()``.

    """
    if isinstance(layout, MixtureLayout):
        components = []
        for number, component in enumerate(layout.components):
            made = saved_predictor(component, layout.arrays_of(number, arrays))
            assert isinstance(made, Network | Counts | Gpt)
            components.append(made)
        own = (arrays["weights"], arrays["known_keys"], arrays["known_adjustments"])
        return Mixture(layout.block_size, tuple(components), *own)
    if isinstance(layout, CountsLayout):
        return Counts(layout, arrays)
    if isinstance(layout, GptLayout):
        return Gpt(layout, GPT_NORM_EPS, tuple(arrays[name] for name in layout.parameters()))
    return saved_network(layout, arrays)


def saved_network(layout: NetworkLayout, arrays: Mapping[str, Array]) -> Network:
    """Make the network of a saved model.

    Args:
        layout: of the model.
        arrays: its parameters and buffers, of the names, dtypes and shapes of ``layout.state()``.

    """
    return Network(
        layout.block_size,
        arrays[f"{layout.embedding}.weight"],
        tuple(_level(level, arrays) for level in layout.levels),
    )


def _level(layout: LevelLayout, arrays: Mapping[str, Array]) -> Level:
    batch_norm = None
    if layout.batch_norm is not None:
        batch_norm = BatchNorm(
            mean=arrays[f"{layout.batch_norm}.running_mean"],
            var=arrays[f"{layout.batch_norm}.running_var"],
            eps=BATCH_NORM_EPS,
            weight=arrays[f"{layout.batch_norm}.weight"],
            bias=arrays[f"{layout.batch_norm}.bias"],
        )
    return folded_level(
        layout.factor,
        arrays[f"{layout.linear}.weight"],
        arrays[f"{layout.linear}.bias"] if layout.bias else None,
        tanh=layout.tanh,
        batch_norm=batch_norm,
    )
