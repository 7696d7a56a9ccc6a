"""The cases of the suite train."""

from __future__ import annotations

from dataclasses import replace

from namegen_bench.names import COMPILED, COMPILED_AUTOTUNE, FUSED_LAYERS, JAX, PLAIN_TENSORS, STOCK
from namegen_bench.suites.train.train_case import AdamW, TrainCase


def _mlp(
    batch_size: int, steps: int, target: float, plain: float, jax: float, *, batch_norm: bool
) -> TrainCase:
    """The MLP of 11,897 parameters, or 12,297 with batch norm."""
    return TrainCase(
        batch_norm=batch_norm,
        batch_size=batch_size,
        steps=steps,
        timed_steps=steps,
        target=target,
        step_targets={PLAIN_TENSORS: plain, JAX: jax},
    )


def _wavenet(batch_size: int, steps: int, target: float, plain: float, jax: float) -> TrainCase:
    """The WaveNet of 76,579 parameters."""
    return TrainCase(
        model="wavenet",
        batch_norm=True,
        batch_size=batch_size,
        steps=steps,
        timed_steps=steps,
        target=target,
        step_targets={PLAIN_TENSORS: plain, JAX: jax},
        embedding_dim=24,
        block_size=8,
        hidden_size=128,
    )


# The bigram is a table of 729 logits. 1,024 examples are 0.6% of the training set, and all rows of the table occur in
# such a minibatch.
_BIGRAM = TrainCase(
    model="bigram", batch_norm=False, batch_size=1024, steps=100, timed_steps=100, block_size=1
)

# The GPT has 204,544 parameters. It is trained with AdamW, by every peer.
_GPT = TrainCase(
    model="gpt",
    batch_norm=False,
    batch_size=32,
    steps=10,
    timed_steps=10,
    embedding_dim=64,
    block_size=16,
    learning_rate=0.0005,
    is_adamw=True,
    step_targets={STOCK: 8, FUSED_LAYERS: 5, JAX: 3},
)
_LARGE_GPT = replace(_GPT, batch_size=1024, steps=4, timed_steps=2, step_targets={STOCK: 14})
# The model of "microgpt" has 4,192 parameters. A batch of 16 names is the smallest at which its ports are compared.
_MICROGPT = TrainCase(
    model="gpt",
    batch_norm=False,
    batch_size=16,
    steps=100,
    timed_steps=100,
    embedding_dim=16,
    num_layers=1,
    block_size=16,
    learning_rate=0.01,
    is_adamw=True,
    adamw=AdamW(beta1=0.85, beta2=0.99, weight_decay=0.0),
    gpt_options={
        "norm": "rms",
        "activation": "relu",
        "biases": False,
        "final_norm": False,
        "embedding_norm": True,
    },
)

# The training loop runs as many steps in a call as take a tenth of a second. Here a call runs at most 300 steps, which
# are fewer than that for the step engine at batch 32. So the work that is done once per call weighs no less here than
# in the training loop.
_CASES = (
    _BIGRAM,
    _mlp(32, 300, target=1.0, plain=14, jax=2.7, batch_norm=False),
    _mlp(1024, 50, target=1.0, plain=4, jax=1.8, batch_norm=False),
    _mlp(32, 300, target=1.4, plain=20, jax=2.7, batch_norm=True),
    _mlp(1024, 50, target=1.0, plain=5, jax=1.8, batch_norm=True),
    _wavenet(32, 100, target=1.6, plain=5.5, jax=1.8),
    _wavenet(1024, 16, target=1.8, plain=3.3, jax=1.8),
    _GPT,
    _LARGE_GPT,
    _MICROGPT,
)
# One case of each model, at its smaller batch.
_QUICK_CASES = (
    *(replace(_CASES[number], steps=20, timed_steps=20) for number in (0, 1, 3, 5)),
    replace(_GPT, steps=5, timed_steps=5),
)

# Compiling takes seconds to minutes for each number of threads, so one of the GPTs is compiled. On a CPU, the mode
# max-autotune takes as long again and is hardly faster, so it is measured only where steps are short and it has most to
# gain.
COMPILED_CASES: dict[str, tuple[TrainCase, ...]] = {
    COMPILED: tuple(case for case in _CASES[1:] if case.model != "gpt" or case.batch_size == 32),
    COMPILED_AUTOTUNE: tuple(case for case in _CASES if case.batch_size == 32),
}


def train_cases(quick: bool) -> tuple[TrainCase, ...]:
    """Return the cases; for a quick run fewer of them."""
    return _QUICK_CASES if quick else _CASES
