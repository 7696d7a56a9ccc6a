"""The error of exporting."""


class ExportError(ValueError):
    """The model cannot be exported so; one line that says why and what can be done."""
