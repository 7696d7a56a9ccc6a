"""The range of every number among the options of a training run.

The upper limits are far above anything of use here. With them no size overflows 64 bits, no
loop of Python runs for ever, and no rate overflows float32. Torch refuses some of these too, but in its own words.
"""

from __future__ import annotations

from namegen_ext.options.ranges import SEEDS, Numbers, WholeNumbers

MOST_STEPS = 1_000_000_000
# Just below the largest float32, 3.4e38.
_LARGEST = 3e38

LIMITS: dict[str, WholeNumbers | Numbers] = {
    "block_size": WholeNumbers(1, 1024),
    "embedding_dim": WholeNumbers(1, 65_536),
    "hidden_size": WholeNumbers(1, 1_048_576),
    "num_hidden_layers": WholeNumbers(1, 1000),
    "num_layers": WholeNumbers(1, 1000),
    "num_heads": WholeNumbers(1, 1024),
    "dropout": Numbers(0.0, 1.0, high_is_open=True),
    "smoothing": Numbers(0.0, _LARGEST),
    "steps": WholeNumbers(0, MOST_STEPS),  # 0 is allowed with init "counts" alone
    "batch_size": WholeNumbers(1, 1_048_576),
    "warmup": WholeNumbers(0, MOST_STEPS),
    "clip_grad_norm": Numbers(0.0, _LARGEST),
    "ema": Numbers(0.0, 1.0, high_is_open=True),
    "learning_rate": Numbers(0.0, _LARGEST, low_is_open=True),
    "final_learning_rate": Numbers(0.0, _LARGEST),
    "switch_at": Numbers(0.0, 1.0),
    "momentum": Numbers(0.0, 1.0, high_is_open=True),
    "weight_decay": Numbers(0.0, _LARGEST),
    "beta1": Numbers(0.0, 1.0, high_is_open=True),
    "beta2": Numbers(0.0, 1.0, high_is_open=True),
    "budget": Numbers(0.0, 1e6),
    "seed": SEEDS,
    "split_seed": SEEDS,
}
