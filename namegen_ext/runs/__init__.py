"""The run directory: its files, its configuration, checkpoints, and reading a run back."""
