"""The settings of a run: what is reported and saved, when it ends, and on how many threads. No step is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from namegen_ext.options.checkpoint_interval import DEFAULT_INTERVAL, CheckpointInterval
from namegen_ext.options.choices import KEPT_MODELS


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run. They are kept in config.json, so that a resumed run reports at the same steps.

    Attributes:
        log_every: a line in metrics.jsonl every so many steps.
        eval_every: evaluate on dev, and save, every so many steps; with 0 only at the end. Before the first time the
            model is also evaluated after a half, a quarter and so on of these steps, down to 100.
        keep: which model model.safetensors holds at the end: "best", the one with the least dev loss at an evaluation,
            or "last".
        patience: end the run once so many evaluations in a row brought no lower dev loss; 0 for never.
        checkpoint_every: how often the run is saved besides.
        record_updates: whether each line also gives how large the last step's updates were against the parameters.
        tensorboard: whether metrics and sample names are also written for TensorBoard.
        samples: how many names are generated at the end.
        threads: CPU threads of torch.

    """

    log_every: int = 100
    eval_every: int = 5000
    checkpoint_every: CheckpointInterval = DEFAULT_INTERVAL
    keep: str = "best"
    patience: int = 0
    record_updates: bool = False
    tensorboard: bool = False
    samples: int = 20
    threads: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a mapping that JSON can hold."""
        return {**asdict(self), "checkpoint_every": str(self.checkpoint_every)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunSettings:
        """Build the settings from :meth:`to_json`.

        Raises:
            ValueError: a setting is missing, unknown or cannot be.

        """
        defaults = cls()
        values: dict[str, Any] = {**_BEFORE, **content}
        names = [field.name for field in fields(cls)]
        if sorted(values) != sorted(names):
            raise ValueError(f"run must hold {', '.join(names)}, but holds {', '.join(values)}")
        values["checkpoint_every"] = CheckpointInterval.parse(str(values["checkpoint_every"]))
        for name in names:
            expected = type(getattr(defaults, name))
            if type(values[name]) is not expected:
                raise ValueError(f"run: {name} is {values[name]!r}, expected {expected.__name__}")
        for name, lowest in _LOWEST.items():
            if values[name] < lowest:
                raise ValueError(f"run: {name} is {values[name]}, expected {lowest} at least")
        for name, highest in _HIGHEST.items():
            if values[name] > highest:
                raise ValueError(f"run: {name} is {values[name]}, expected {highest:,} at most")
        if values["keep"] not in KEPT_MODELS:
            raise ValueError(f"run: keep is {values['keep']!r}, expected one of {', '.join(KEPT_MODELS)}")
        return cls(**values)


# What held for runs whose config.json does not say it yet.
_BEFORE = {"keep": "last", "patience": 0}
_LOWEST = {"log_every": 1, "eval_every": 0, "patience": 0, "samples": 0, "threads": 1}
_HIGHEST = {
    "log_every": 2**63 - 1,
    "eval_every": 2**63 - 1,
    "patience": 2**63 - 1,
    "samples": 10_000,
    "threads": 1024,
}
