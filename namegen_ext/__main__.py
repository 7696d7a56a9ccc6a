"""`python -m namegen_ext` prints what was built and what is in use."""

from __future__ import annotations

import sys

from namegen_ext import build_info


def main() -> int:
    """Print the build information, one fact a line."""
    try:
        info = build_info()
    except (ImportError, RuntimeError) as error:
        print(f"namegen_ext: {error}", file=sys.stderr)
        return 2
    for key, value in info.items():
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{key:22} {text if text not in ('', None) else '-'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
