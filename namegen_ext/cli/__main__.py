"""``python -m namegen_ext.cli`` is the console script."""

from __future__ import annotations

import sys

from namegen_ext.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
