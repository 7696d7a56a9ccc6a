"""Draws names from what ``namegen export RUN_DIR --to json`` writes: ``python exported.py FILE [N [SEED [CATEGORY]]]``.

A reader of docs/format.md in plain Python: from the last symbols, each model makes the logits of the next one.
"""

import base64
import json
import math
import struct
import sys
from itertools import accumulate, chain
from typing import Any


def _read(
    part: Any,
) -> Any:  # tensors become tuples or rows of numbers, and lengths of runs become where each begins
    if isinstance(part, list) or not isinstance(part, dict):
        return [_read(value) for value in part] if isinstance(part, list) else part
    if "dtype" not in part:
        whole = {name: _read(value) for name, value in part.items()}
        first = {"num_children": 1, "num_pairs": 0}  # node 0 is nobody's child
        return whole | {
            key: list(accumulate(whole[key], initial=i)) for key, i in first.items() if key in whole
        }
    code = {"uint8": "B", "uint16": "H", "uint32": "I", "float32": "f", "float64": "d"}[part["dtype"]]
    values, width = (
        [v for (v,) in struct.iter_unpack("<" + code, base64.b64decode(part["data"]))],
        part["shape"][-1],
    )
    return (
        values if len(part["shape"]) == 1 else [values[i : i + width] for i in range(0, len(values), width)]
    )


def _linear(layer: Any, x: list[float]) -> list[float]:
    bias = layer.get("bias", [0.0] * len(layer["weight"]))
    return [sum(map(float.__mul__, row, x), b) for row, b in zip(layer["weight"], bias, strict=True)]


def _network(m: Any, window: list[int], vocab: int) -> list[float]:
    x = [m["embedding"][symbol] for symbol in window]
    for level in m["levels"]:
        x = [
            _linear(level, list(chain(*x[i : i + level["factor"]])))
            for i in range(0, len(x), level["factor"])
        ]
        x = [list(map(math.tanh, row)) for row in x] if level["activation"] == "tanh" else x
    return x[0]


def _table(m: Any, window: list[int], vocab: int) -> list[float]:
    return m["logits"][sum(symbol * vocab**age for age, symbol in enumerate(window[::-1]))]


def _counts(m: Any, window: list[int], vocab: int) -> list[float]:
    p, node, by = [1 / vocab] * vocab, 0, m["estimator"]
    for depth, symbol in enumerate(
        [*window[::-1], -1]
    ):  # from the empty context to the longest one that is known
        run = slice(*m["num_pairs"][node : node + 2])
        n = dict(zip(m["pair_symbol"][run], m["pair_count"][run], strict=True))
        off = [0.0, *m["discounts"][depth]] if by == "kneser-ney" else [0.0] * 4
        extra = m["concentrations"][depth] if by == "kneser-ney" else len(n)
        extra = m["smoothing"] * vocab if by == "add-k" else extra
        if (sum(n.values()) + extra > 0 and symbol == -1) if by == "add-k" else n:
            taken = {c: off[min(int(count), 3)] for c, count in n.items()}
            left, total = extra + sum(taken.values()), sum(n.values()) + extra
            p = [(n.get(c, 0) - taken.get(c, 0)) / total + left / total * p[c] for c in range(vocab)]
        children = (c for c in range(*m["num_children"][node : node + 2]) if m["oldest_symbol"][c] == symbol)
        if (node := next(children, 0)) == 0:
            break
    return [math.log(q) if q > 0 else -1e4 for q in p]


def _norm(m: Any, layer: Any, x: list[float]) -> list[float]:
    mean = sum(x) / len(x) if layer is not None and m["norm_kind"] == "layer" else 0.0
    scale = 1 / math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + m["norm_eps"])
    weight, bias = ((layer or {}).get(part, [i] * len(x)) for part, i in (("weight", 1.0), ("bias", 0.0)))
    return (
        x if layer is None else [(v - mean) * scale * w + b for v, w, b in zip(x, weight, bias, strict=True)]
    )


def _attend(
    rows: list[list[float]], heads: int
) -> list[float]:  # rows are queries, keys, values; the last one asks
    dim, size, mixed = len(rows[0]) // 3, len(rows[0]) // 3 // heads, []
    for h in range(0, dim, size):
        query = [v / math.sqrt(size) for v in rows[-1][h : h + size]]
        scores = [sum(map(float.__mul__, query, row[dim + h : dim + h + size])) for row in rows]
        shares = [math.exp(score - max(scores)) for score in scores]
        for i in range(2 * dim + h, 2 * dim + h + size):
            mixed.append(sum(s * row[i] for s, row in zip(shares, rows, strict=True)) / sum(shares))
    return mixed


def _gpt(m: Any, window: list[int], vocab: int) -> list[float]:
    act = {
        "relu": lambda v: max(v, 0.0),
        "gelu": lambda v: v / 2 * (1 + math.erf(v / math.sqrt(2))),
        "gelu-tanh": lambda v: v / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))),
    }[m["activation"]]
    places = zip(window, m["position_embedding"], strict=False)
    x = [list(map(float.__add__, m["token_embedding"][symbol], place)) for symbol, place in places]
    x = [_norm(m, m["embedding_norm"], row) for row in x]
    for layer in m["layers"]:
        rows = [_linear(layer["projections"], _norm(m, layer["norm_1"], row)) for row in x]
        for t, row in enumerate(x):
            row = list(
                map(float.__add__, row, _linear(layer["output"], _attend(rows[: t + 1], m["num_heads"])))
            )
            wide = list(map(act, _linear(layer["hidden"], _norm(m, layer["norm_2"], row))))
            x[t] = list(map(float.__add__, row, _linear(layer["back"], wide)))
    return _linear({"weight": m["head"]}, _norm(m, m["norm"], x[-1]))


def _mixture(m: Any, letters: list[int], mark: list[int], vocab: int) -> list[float]:
    found = [(part["weight"], _logits(part["model"], letters, mark, vocab)) for part in m["components"]]
    total = [sum(weight * row[c] for weight, row in found) for c in range(vocab)]
    tree, node = m["known_names"], 0
    # Down the tree; where it knows the whole beginning, names of the list get rarer.
    for symbol in (*mark, *letters, -1):
        children = {tree["symbol"][c - 1]: c for c in range(*tree["num_children"][node : node + 2])}
        for c, child in children.items() if symbol == -1 else ():
            total[c] += tree["adjustment"][child - 1]
        if (node := children.get(symbol, -1)) == -1:
            break
    return total


def _logits(m: Any, letters: list[int], mark: list[int], vocab: int) -> list[float]:
    if m["kind"] == "mixture":
        return _mixture(m, letters, mark, vocab)
    size, symbols = m["block_size"] - len(mark), [0, *letters]
    if m["kind"] != "gpt":
        symbols = [0] * m["block_size"] + letters
    elif len(symbols) <= size:
        return _gpt(m, [0, *mark, *letters], vocab)
    model = {"network": _network, "table": _table, "counts": _counts, "gpt": _gpt}[m["kind"]]
    window = symbols[-size:] if size else []
    return model(m, [*window, *mark] if m.get("category_newest") else [*mark, *window], vocab)


def _philox(seed: int, place: int, block: int) -> tuple[int, ...]:  # Philox4x32-10
    mask = 2**32 - 1
    c, k = (place & mask, place >> 32, block, 0), (seed & mask, seed >> 32)
    for _ in range(10):
        x, y = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = (y >> 32) ^ c[1] ^ k[0], y & mask, (x >> 32) ^ c[3] ^ k[1], x & mask
        k = (k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask
    return c


class Exported:
    """A model that was read from a document.

    >>> table = {"dtype": "float32", "shape": [2, 2], "data": "AAAAAAAAAAAAAAAAAAAAAA=="}
    >>> model = {"kind": "table", "block_size": 1, "logits": table}
    >>> Exported({"symbols": ["a"], "max_length": 8, "model": model}).draw(seed=1, place=0)
    'aaaa'

    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.symbols, self.max_length, self.model = (
            document["symbols"],
            document["max_length"],
            _read(document["model"]),
        )
        self.categories = [category["name"] for category in document.get("categories") or []]

    def draw(
        self, seed: int, place: int, temperature: float = 1.0, prefix: str = "", category: str = ""
    ) -> str | None:
        """Draw the name at a place of a seed's stream, in the form in which names were learnt."""
        vocab, letters = len(self.symbols) + 1, [self.symbols.index(letter) + 1 for letter in prefix]
        mark = [vocab + self.categories.index(category)] if self.categories else []
        while len(letters) < self.max_length:
            row = _logits(self.model, letters, mark, vocab + len(self.categories))[:vocab]
            row = row if letters else [-math.inf, *row[1:]]  # no name is empty
            weights = [math.exp((logit - max(row)) / temperature) for logit in row]
            block, turn = divmod(len(letters) - len(prefix), 4)
            threshold = _philox(seed, place, block)[turn] / 2**32 * sum(weights)
            symbol = next(c for c, passed in enumerate(accumulate(weights)) if passed > threshold)
            if symbol == 0:
                return "".join(self.symbols[symbol - 1] for symbol in letters)
            letters.append(symbol)
        return None  # it did not end by itself, and is left out


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        reader = Exported(json.load(file))
    count, seed, category = (*sys.argv[2:], *("10", "0", *reader.categories, "")[len(sys.argv) - 2 :])[:3]
    drawn = (reader.draw(int(seed), place, category=category) for place in range(int(count)))
    print("\n".join(name for name in drawn if name is not None))
