"""Draw names from a trained model: ``python -m namegen_ext.sample RUN_DIR``.

The names go to standard output, one a line, as they are drawn; what they are like goes to standard error.

Exit status: 0 when all names were written, or the reader of a pipe had enough; 1 when the model cannot give
the names asked for, or they can't be written; 2 for a wrong argument; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import codecs
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from namegen_ext.cli.parser import Parser, number, path, whole_number
from namegen_ext.cli.standard_output import forget_standard_output
from namegen_ext.options.ranges import SEEDS, Numbers, WholeNumbers

# torch is imported once the arguments are known to be right: neither --help nor a wrong flag waits for it.
if TYPE_CHECKING:
    from namegen_ext.sampling import NameStream

DEFAULT_COUNT = 20
DEFAULT_TEMPERATURE = 1.0
# A thousand billion names take a day or more.
_COUNTS = WholeNumbers(1, 10**12)
_SYMBOLS = WholeNumbers(
    1, 0x110000
)  # as many as Unicode has; a model's own number is known once it is loaded
_TEMPERATURES = Numbers(0.0, 1e38, low_is_open=True)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.sample") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes those of the process.
        prog: the command's name, for its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    parser = _build_parser(prog)
    options = parser.parse_args(arguments)
    try:
        return _run(parser, options)
    except BrokenPipeError:  # the reader has had enough
        forget_standard_output()
        return 0
    except OSError as error:
        forget_standard_output()
        return _fail(prog, f"standard output cannot be written: {error.strerror or error}")
    except KeyboardInterrupt:
        forget_standard_output()
        return 130


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from namegen_ext.sampling import SamplingError
    from namegen_ext.training import RunError

    try:
        stream, num_training_names = _open_stream(options)
    except RunError as error:
        parser.error(f"argument RUN_DIR: {error}")
    except ValueError as error:
        parser.error(str(error))
    except SamplingError as error:
        return _fail(parser.prog, str(error))
    failure = _write(stream)
    if failure is not None:
        return _fail(parser.prog, failure)
    print(_describe(stream, options, num_training_names), file=sys.stderr)
    return 0


def _open_stream(options: argparse.Namespace) -> tuple[NameStream, int]:
    """Load the run; return its names and the number of those that it was trained on."""
    import torch

    from namegen_ext.generator import Generator
    from namegen_ext.sampling.arguments import check_prefix, check_top_k

    # The tensors of a batch are small: a second thread gains nothing, and on a busy machine costs dearly.
    torch.set_num_threads(1)
    generator = Generator.from_run(options.run_dir)
    check_prefix(options.prefix, generator.vocabulary, generator.max_length, name="--prefix")
    if options.top_k is not None:
        check_top_k(options.top_k, len(generator.vocabulary), name="--top-k")
    stream = generator.stream(
        options.n,
        temperature=options.temperature,
        top_k=options.top_k,
        prefix=options.prefix,
        seed=options.seed,
        novel=options.novel,
        unique=options.unique,
    )
    return stream, len(generator.splits.train)


def _write(stream: NameStream) -> str | None:
    """Write the names as they come; return why there are no more where there should be, else None."""
    from namegen_ext.sampling import SamplingError

    failure = None
    try:
        if codecs.lookup(sys.stdout.encoding).name == "utf-8":
            for text in stream.texts():
                sys.stdout.buffer.write(text)
        else:
            for name in stream:
                sys.stdout.write(name + "\n")
    except SamplingError as error:  # the names found before it are written
        failure = str(error)
    except UnicodeEncodeError as error:
        needed = f"cannot hold {error.object.strip()!r} in {error.encoding}; set PYTHONIOENCODING=utf-8"
        failure = f"standard output {needed}"
    sys.stdout.flush()
    return failure


def _describe(stream: NameStream, options: argparse.Namespace, num_training_names: int) -> str:
    counts = stream.counts
    noun = "name" if counts.names == 1 else "names"
    text = (
        f"{counts.names:,} {noun}, {counts.new:,} new (not among the {num_training_names:,} training names)"
    )
    if options.novel or options.unique:
        text += f"; drawn {counts.drawn:,}, of them {counts.drawn_new:,} new"
        if counts.drawn_distinct is not None:
            text += f" and {counts.drawn_distinct:,} distinct"
    if options.seed is None:
        text += f"; seed {stream.seed}"
    return text


def _fail(prog: str, message: str) -> int:
    print(f"{prog}: error: {message}", file=sys.stderr)
    return 1


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=prog,
        description="Draw names from a trained model. The names go to standard output, one a line; how many "
        "of them are new goes to standard error.",
        allow_abbrev=False,
    )
    parser.add_argument("run_dir", metavar="RUN_DIR", type=path, help="the directory that training wrote")
    parser.add_argument(
        "-n",
        metavar="N",
        type=whole_number(_COUNTS),
        default=DEFAULT_COUNT,
        help=f"how many names, {_COUNTS.limits} (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        metavar="X",
        type=number(_TEMPERATURES, hint=" (--top-k 1 gives the likeliest name)"),
        default=DEFAULT_TEMPERATURE,
        help="below 1 the names become likelier, above 1 more varied; greater than 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=whole_number(_SYMBOLS),
        help="draw each letter among the K likeliest only (default: all)",
    )
    parser.add_argument(
        "--prefix", metavar="S", default="", help="the letters that each name starts with (default: none)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(SEEDS),
        help="the same seed draws the same names (default: a new one each time, named on standard error)",
    )
    parser.add_argument(
        "--novel", action="store_true", help="leave out the names that it was trained on (default: keep them)"
    )
    parser.add_argument("--unique", action="store_true", help="leave out repeats (default: keep them)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
