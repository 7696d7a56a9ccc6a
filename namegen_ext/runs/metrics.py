"""The keys of metrics.jsonl that are not those of a loss: training writes them, diagnostics reads them."""

from __future__ import annotations

# An object from parameter names to numbers or null: see ``namegen_ext.training.update_ratios``.
UPDATE_METRIC = "update_to_data"
