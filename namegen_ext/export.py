"""Write a model as one file that others can run: ``python -m namegen_ext.export RUN_DIR --to html``.

Exit status: 0 when the file was written; 1 when it could not be, or the model cannot be exported so; 2 for a wrong
argument, such as a directory that holds no run.
"""

from __future__ import annotations

import argparse
import sys

from namegen_ext.cli.command import Command
from namegen_ext.cli.parser import Parser, one_of, path
from namegen_ext.options.choices import EXPORT_CHOICES

_DESCRIPTION = """\
Write a trained model as one file that others can run. html: a page to open in any browser, without a server or the
net; js: a module for pages, Node and games, and its types; json: the document that docs/format.md describes, for
readers in any language; onnx and pt2: the next-symbol logits of a network, for ONNX runtimes and torch.export.load.
The same seed draws the same names in all of the first three as here."""


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=path, help="the directory that training wrote")
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        type=one_of(EXPORT_CHOICES),
        required=True,
        help=f"one of {', '.join(EXPORT_CHOICES)}",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        type=path,
        help="where to write; a file that stands there is replaced (default: RUN_DIR/names.html, names.mjs, names.json,"
        " names.onnx or names.pt2)",
    )
    parser.add_argument(
        "--without-names",
        action="store_true",
        help="leave the names of the list out of html, js and json, which then cannot tell new names (default: they are"
        " in it)",
    )
    return parser


main = Command("python -m namegen_ext.export", _build_parser, "namegen_ext.cli.run_export")


if __name__ == "__main__":
    sys.exit(main())
