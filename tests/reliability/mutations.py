"""Changes of a file's bytes, of a JSON value's parts, and of tensors, drawn at random."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Other values to put in the place of a value. 10**400 is too large for a float, 10**5000 too long for Python to read.
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    7.0,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    2**31 - 1,
    2**31,
    2**62,
    2**63,
    2**64,
    10**400,
    -(10**400),
    "",
    "a",
    "7",
    "\x00",
    "a\nb\x1b[31m",
    "\ud800",
    "é" * 3,
    "long" * 5000,
    [],
    [1],
    [[]],
    {},
    {"a": 1},
    "../../etc/passwd",
    "cuda:99",
)


def mutate_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flip bits, cut, insert, remove, repeat, overwrite."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        if not changed:
            changed += draw.randbytes(3)
        start = draw.randrange(len(changed))
        end = min(len(changed), start + draw.choice((1, 2, 4, 8, 100)))
        kind = draw.randrange(8)
        if kind <= 2:
            changed[start] ^= 1 << draw.randrange(8)
        elif kind == 3:
            del changed[start:]
        elif kind == 4:
            changed[start:start] = draw.randbytes(end - start)
        elif kind == 5:
            del changed[start:end]
        elif kind == 6:
            changed[start:start] = changed[start:end]
        else:
            changed[start:end] = draw.choice((b"\x00", b"\xff", b" ", b"9", b'"', b"{")) * (end - start)
    return bytes(changed)


def mutate_text(draw: random.Random, content: bytes) -> bytes:
    """Change a JSON text where its parts meet: keys twice, deep nesting, numbers that no type holds, spaces."""
    text = content.decode()
    place = draw.choice([index for index, character in enumerate(text) if character in '{},:[]"'])
    depth = draw.choice((900, 100_000))
    inserted = draw.choice(
        (
            " ",
            "\n\t ",
            "[" * depth,
            '{"a":' * depth,
            "1" * 5000,
            "1e999",
            "NaN",
            "-Infinity",
            '"format": 1,',
            '"format": 2,',
            '"seed": 3, ',
            "\\u0000",
            "\\ud800",
            "/* */",
            "\ufeff",
            ",",
        )
    )
    place = draw.choice((place, place + 1))
    return (text[:place] + inserted + text[place:]).encode()


def mutate_value(draw: random.Random, content: Any) -> Any:
    """Change a part of what JSON holds: drop it, add to it, or put another value in its place."""
    changed = copy.deepcopy(content)
    for _ in range(draw.choice((1, 1, 1, 2))):
        containers = [part for part in _parts(changed) if isinstance(part, dict | list) and part]
        if not containers:
            break
        container = draw.choice(containers)
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = draw.choice(keys)
        kind = draw.randrange(10)
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, dict):
            container[draw.choice(("", "extra", "\ud800\n", "__class__", "steps", "9"))] = draw.choice(VALUES)
        elif kind == 2:
            container[key] = _nested(draw.choice((3, 30, 300)))
            break  # it is nested deeply enough; another turn would have to walk through it
        elif kind == 3:
            other = draw.choice(keys)
            container[key], container[other] = container[other], container[key]
        elif kind <= 5 and isinstance(container[key], int | float):
            container[key] = draw.choice((container[key] + 1, container[key] - 1, container[key] * 2))
        else:
            container[key] = copy.deepcopy(draw.choice(VALUES))
    return changed


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _parts(value: Any) -> list[Any]:
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(part for child in children for part in _parts(child))]


DTYPES = ("F32", "F64", "F16", "BF16", "I64", "I8", "U8", "U16", "U64", "BOOL", "C64")
DTYPES += ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "X99", "", 3, None)
SIZES = (0, 1, -1, 3, 2**31, 2**40, 2**63, 2**64, 10**30, 1.5, "4", None, [])


def mutate_header(draw: random.Random, content: bytes) -> bytes:
    """Change the header of a safetensors file, with a length that fits it, or the length alone."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    kind = draw.randrange(9)
    if kind == 0:
        length = draw.choice((0, 1, 2, length - 1, length + 1, len(content), 2**32, 2**63, 2**64 - 1))
        return struct.pack("<Q", length) + content[8:]
    name = draw.choice([name for name in header if name != "__metadata__"])
    entry = header[name]
    if kind == 1:
        entry["dtype"] = draw.choice(DTYPES)
    elif kind == 2:
        entry["shape"] = draw.choice(([], [0], [2**40], [2**31, 2**31], [2**63], [1] * 300, None, "4"))
    elif kind == 3 and entry["shape"]:
        entry["shape"][draw.randrange(len(entry["shape"]))] = draw.choice(SIZES)
    elif kind == 4:
        entry["data_offsets"][draw.randrange(2)] = draw.choice((*SIZES, len(data), len(data) + 4))
    elif kind == 5:  # as many bytes as before, of another shape
        entry["shape"] = draw.choice((entry["shape"][::-1], [1, *entry["shape"]], [*entry["shape"], 1]))
    elif kind == 6:
        other = draw.choice([other for other in header if other != "__metadata__"])
        header[name], header[other] = header[other], header[name]
    elif kind == 7:
        return _with_header(json.dumps(header)[:-1] + "," + json.dumps(header)[1:], data)  # each key twice
    else:
        header = mutate_value(draw, header)
    return _with_header(json.dumps(header), data)


def _with_header(text: str, data: bytes) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(encoded)) + encoded + data


TENSORS: dict[str, Callable[[Tensor], Tensor]] = {
    "double": Tensor.double,
    "half": Tensor.half,
    "integers": lambda tensor: tensor.to(torch.int64),
    "bytes": lambda tensor: tensor.to(torch.uint8),
    "truth": Tensor.bool,
    "complex": lambda tensor: tensor.to(torch.complex64),
    "float8": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "empty": lambda tensor: tensor.reshape(-1)[:0],
    "scalar": lambda tensor: tensor.reshape(-1).sum().to(tensor.dtype),
    "flat": lambda tensor: tensor.reshape(-1),
    "deeper": lambda tensor: tensor[None],
    "shorter": lambda tensor: tensor.reshape(-1)[:-1],
    "NaN": lambda tensor: torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor,
    "infinite": lambda tensor: torch.full_like(tensor, torch.inf) if tensor.is_floating_point() else tensor,
    "negative": lambda tensor: -tensor,
    "large": lambda tensor: torch.full_like(
        tensor, 1e30 if tensor.is_floating_point() else torch.iinfo(tensor.dtype).max
    ),
    "zeros": torch.zeros_like,
}


def mutate_tensors(draw: random.Random, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Change a tensor, drop one, add one, swap two."""
    changed_tensors = dict(tensors)
    names = sorted(tensors)  # a file gives them in no certain order
    name, other = draw.choice(names), draw.choice(names)
    kind = draw.randrange(6)
    if kind == 0:
        del changed_tensors[name]
    elif kind == 1:
        added = draw.choice(
            ("extra", "model.extra", "optimizer.extra.step", "generator.cuda:x", f"{name}.exp_avg")
        )
        changed_tensors[added] = tensors[other]
    elif kind == 2:
        changed_tensors[name], changed_tensors[other] = tensors[other], tensors[name]
    else:
        changed_tensors[name] = TENSORS[draw.choice(list(TENSORS))](tensors[name])
    return changed_tensors


Mutation = Callable[[random.Random, bytes], bytes]
