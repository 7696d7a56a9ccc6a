"""Draws names from what ``namegen export RUN_DIR --to json`` writes: ``python exported.py FILE [N [SEED]]``.

It needs Python alone, as little as a reader in any language; docs/format.md describes the file. A model is a function
from a context, the symbols so far behind a 0, to the logits of the next symbol.
"""

import base64
import json
import math
import struct
import sys
from collections.abc import Callable
from itertools import accumulate, chain
from typing import Any

Logits = Callable[[list[int]], list[float]]
_CODES = {"uint8": "B", "uint16": "H", "uint32": "I", "float32": "f", "float64": "d"}


def _array(tensor: Any) -> Any:  # a tuple of numbers, or of rows
    code, data, width = _CODES[tensor["dtype"]], base64.b64decode(tensor["data"]), tensor["shape"][-1]
    values = struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)
    is_vector = len(tensor["shape"]) == 1
    return values if is_vector else [values[i : i + width] for i in range(0, len(values), width)]


def _linear(layer: Any, x: list[float]) -> list[float]:
    return [sum(map(float.__mul__, row, x), b) for row, b in zip(layer["weight"], layer["bias"], strict=True)]


def _arrays(part: Any) -> Any:  # the document with its tensors read
    if isinstance(part, dict):
        read = {name: _arrays(value) for name, value in part.items()}
        return _array(part) if "dtype" in part else read
    return [_arrays(value) for value in part] if isinstance(part, list) else part


def _network(m: Any, vocab: int) -> Logits:
    def logits(context: list[int]) -> list[float]:
        x = [list(m["embedding"][symbol]) for symbol in ([0] * m["block_size"] + context)[-m["block_size"] :]]
        for level in m["levels"]:
            groups = [x[i : i + level["factor"]] for i in range(0, len(x), level["factor"])]
            x = [_linear(level, list(chain(*group))) for group in groups]
            x = [list(map(math.tanh, row)) for row in x] if level["activation"] == "tanh" else x
        return x[0]

    return logits


def _table(m: Any, vocab: int) -> Logits:
    powers = [vocab**age for age in range(m["block_size"])]
    return lambda context: list(m["logits"][sum(map(int.__mul__, powers, context[::-1]))])


def _counts(m: Any, vocab: int) -> Logits:
    child, pair = (list(accumulate(m[n], initial=i)) for i, n in ((1, "num_children"), (0, "num_pairs")))
    order, by = m["block_size"], m["estimator"]

    def smoothed(node: int, depth: int) -> tuple[dict[int, float], float]:
        run = slice(pair[node], pair[node + 1])
        found = dict(zip(m["pair_symbol"][run], m["pair_count"][run], strict=True))
        total, off = sum(found.values()), [0.0, *m["discounts"][depth]] if by == "kneser-ney" else [0.0] * 4
        extra = {"add-k": m.get("smoothing", 0) * vocab, "witten-bell": len(found)}.get(by)
        extra = m["concentrations"][depth] if extra is None else extra
        if (total + extra if by == "add-k" and depth == order else by != "add-k" and total) == 0:
            return {}, 1.0  # nothing is known: the shorter context tells all
        gain = {c: (n - off[min(int(n), 3)]) / (total + extra) for c, n in found.items()}
        return gain, (extra + sum(off[min(int(n), 3)] for n in found.values())) / (total + extra)

    def logits(context: list[int]) -> list[float]:
        node, p, backwards = 0, [1 / vocab] * vocab, context[::-1] + [0] * order
        for depth in range(order + 1):
            gain, left = smoothed(node, depth)
            p = [gain.get(c, 0.0) + left * p[c] for c in range(vocab)]
            wanted = backwards[depth] if depth < order else -1
            children = range(child[node], child[node + 1])
            node = next((c for c in children if m["oldest_symbol"][c] == wanted), 0)
            if node == 0:
                break
        return [math.log(q) if q > 0 else -1e4 for q in p]

    return logits


def _gpt(m: Any, vocab: int) -> Logits:
    def norm(layer: Any, x: list[float]) -> list[float]:
        mean = sum(x) / len(x)
        scale = 1 / math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + m["layer_norm_eps"])
        return [(v - mean) * scale * w + b for v, w, b in zip(x, layer["weight"], layer["bias"], strict=True)]

    def attend(rows: list[list[float]]) -> list[float]:  # of queries, keys, values; the last one asks
        dim, mixed = len(rows[0]) // 3, []
        size = dim // m["num_heads"]
        for h in range(0, dim, size):
            q = [v / math.sqrt(size) for v in rows[-1][h : h + size]]
            scores = [sum(map(float.__mul__, q, row[dim + h : dim + h + size])) for row in rows]
            shares = [math.exp(score - max(scores)) for score in scores]
            for i in range(2 * dim + h, 2 * dim + h + size):
                mixed.append(sum(s * row[i] for s, row in zip(shares, rows, strict=True)) / sum(shares))
        return mixed

    def logits(context: list[int]) -> list[float]:
        tokens = [m["token_embedding"][symbol] for symbol in context[-m["block_size"] :]]
        x = [list(map(float.__add__, *both)) for both in zip(tokens, m["position_embedding"], strict=False)]
        for layer in m["layers"]:
            rows = [_linear(layer["projections"], norm(layer["norm_1"], row)) for row in x]
            for t, row in enumerate(x):
                row = list(map(float.__add__, row, _linear(layer["output"], attend(rows[: t + 1]))))
                wide = _linear(layer["hidden"], norm(layer["norm_2"], row))
                wide = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in wide]
                x[t] = list(map(float.__add__, row, _linear(layer["back"], wide)))
        return [sum(map(float.__mul__, row, norm(m["norm"], x[-1]))) for row in m["head"]]

    return logits


def _mixture(m: Any, vocab: int) -> Logits:
    parts = [
        (part["weight"], _KINDS[part["model"]["kind"]](part["model"], vocab)) for part in m["components"]
    ]
    known, child = m["known_names"], list(accumulate(m["known_names"]["num_children"], initial=1))

    def logits(context: list[int]) -> list[float]:
        found = [(weight, model(context)) for weight, model in parts]
        total = [sum(weight * row[c] for weight, row in found) for c in range(vocab)]
        node = 0
        for symbol in [*context[1:], -1]:
            children = {known["symbol"][c - 1]: c for c in range(child[node], child[node + 1])}
            if symbol == -1:  # the tree knows the whole beginning
                for c, node in children.items():
                    total[c] += known["adjustment"][node - 1]
            node = children.get(symbol, -1)
            if node < 0:
                break
        return total

    return logits


_KINDS = {"network": _network, "table": _table, "counts": _counts, "gpt": _gpt, "mixture": _mixture}


def _philox(seed: int, place: int, block: int) -> tuple[int, ...]:
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
    'aa'

    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.symbols: list[str] = document["symbols"]
        self.max_length: int = document["max_length"]
        model = _arrays(document["model"])
        self.logits = _KINDS[model["kind"]](model, len(self.symbols) + 1)

    def draw(self, seed: int, place: int, temperature: float = 1.0, prefix: str = "") -> str:
        """Draw the name at a place of a seed's stream, in the form in which names were learnt."""
        context = [0, *(self.symbols.index(letter) + 1 for letter in prefix)]
        while len(context) <= self.max_length:
            logits = self.logits(context)
            logits[0] = logits[0] if len(context) > 1 else -math.inf  # no name is empty
            weights = [math.exp((logit - max(logits)) / temperature) for logit in logits]
            step = len(context) - 1 - len(prefix)
            threshold = _philox(seed, place, step // 4)[step % 4] / 2**32 * sum(weights)
            symbol = next(c for c, passed in enumerate(accumulate(weights)) if passed > threshold)
            if symbol == 0:
                break
            context.append(symbol)
        return "".join(self.symbols[symbol - 1] for symbol in context[1:])


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        reader = Exported(json.load(file))
    count, seed = (int(text) for text in (*sys.argv[2:], *("10", "0")[len(sys.argv) - 2 :]))
    print("\n".join(reader.draw(seed, place) for place in range(count)))
