"""How many training examples a run is looked at by."""

from __future__ import annotations

DEFAULT_EXAMPLES = 1024
