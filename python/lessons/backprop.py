"""Manual backprop: all 26 gradients of the MLP with batch norm by hand, against autograd and the fused kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from namegen_ext.data import Vocabulary, build_windows, load_words
from namegen_ext.ops import batch_norm, embedding_concat_linear

BLOCK_SIZE, EMBEDDING_DIM, HIDDEN_SIZE, BATCH_SIZE = 3, 10, 64, 32
EPS = 1e-5
PARAMETERS = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")
# The gradients in the order in which the backward pass finds them, with the names of the lecture on this exercise.
GRADIENTS = (
    *("logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits", "logit_maxes", "logits"),
    *("h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw", "bnvar_inv", "bnvar", "bndiff2", "bndiff"),
    *("bnmeani", "hprebn", "embcat", "W1", "b1", "emb", "C"),
)

Tensors = dict[str, torch.Tensor]

EXERCISES = [
    (
        "y = x + b with x (32, 64) and b (64,). What is db, given dy (32, 64)?",
        "dy.sum(0): b was stretched over the rows, so the gradients of all rows add up.",
    ),
    (
        "What is the sum of a row of dlogits?",
        "0. Softmax sums to 1 and one_hot sums to 1, so what is pulled up equals what is pushed down.",
    ),
    (
        "Why is dC filled by adding and not by setting?",
        "A symbol stands in many windows, and several times in one; its row of C gets the sum of all "
        "their gradients.",
    ),
]


def main() -> None:
    """Run the lesson."""
    words = load_words("census").words
    vocabulary = Vocabulary.from_words(words)
    tokens, targets = build_windows(words[:100], vocabulary, BLOCK_SIZE)  # (n, block_size), (n,)
    tokens, targets = tokens[:BATCH_SIZE], targets[:BATCH_SIZE]  # (B, block_size), (B,)
    parameters = make_parameters(len(vocabulary))

    print("1. Each step of the forward pass, and backwards through it by hand, in float64;")
    print("   largest difference to autograd, with the variance of batch norm divided by n - 1 and by n:")
    by_hand = {}
    differences = {}
    for unbiased in (True, False):
        values = forward(parameters, tokens, targets, unbiased)
        by_hand[unbiased] = backward(values, tokens, targets, unbiased)
        differences[unbiased] = compare(by_hand[unbiased], autograd(values))
    for name in GRADIENTS:
        shape = str(tuple(by_hand[True][name].shape))
        print(f"   d{name:<15}{shape:<14}{differences[True][name]:9.1e}{differences[False][name]:9.1e}")
    print(
        f"   db1 is 0 but for rounding ({by_hand[True]['b1'].abs().max():.0e}): batch norm takes the bias away\n"
    )

    in_one_step(parameters, tokens, targets)
    against_the_fused_kernels(parameters, tokens, targets, by_hand[False])


def make_parameters(vocab_size: int) -> Tensors:
    """Draw the parameters. None is 0, so that no mistake hides behind a zero."""
    generator = torch.Generator().manual_seed(2147483647)
    num_inputs = BLOCK_SIZE * EMBEDDING_DIM
    shapes: dict[str, tuple[tuple[int, ...], float, float]] = {  # shape, scale, mean
        "C": ((vocab_size, EMBEDDING_DIM), 1.0, 0.0),
        "W1": ((num_inputs, HIDDEN_SIZE), (5 / 3) / num_inputs**0.5, 0.0),
        "b1": ((HIDDEN_SIZE,), 0.1, 0.0),
        "W2": ((HIDDEN_SIZE, vocab_size), 0.1, 0.0),
        "b2": ((vocab_size,), 0.1, 0.0),
        "bngain": ((1, HIDDEN_SIZE), 0.1, 1.0),
        "bnbias": ((1, HIDDEN_SIZE), 0.1, 0.0),
    }
    return {
        name: (torch.randn(shape, generator=generator, dtype=torch.float64) * scale + mean).requires_grad_()
        for name, (shape, scale, mean) in shapes.items()
    }


def forward(parameters: Tensors, tokens: torch.Tensor, targets: torch.Tensor, unbiased: bool) -> Tensors:
    """Compute the loss in steps that are so small that everybody knows their derivatives; return all results."""
    v = dict(parameters)
    n = len(tokens)
    # Embedding, and the hidden layer before batch norm.
    v["emb"] = v["C"][tokens]  # (B, block_size, E)
    v["embcat"] = v["emb"].view(n, -1)  # (B, block_size * E)
    v["hprebn"] = v["embcat"] @ v["W1"] + v["b1"]  # (B, H)
    # Batch norm.
    v["bnmeani"] = v["hprebn"].sum(0, keepdim=True) / n  # (1, H)
    v["bndiff"] = v["hprebn"] - v["bnmeani"]  # (B, H)
    v["bndiff2"] = v["bndiff"] ** 2  # (B, H)
    v["bnvar"] = v["bndiff2"].sum(0, keepdim=True) / (n - 1 if unbiased else n)  # (1, H)
    v["bnvar_inv"] = (v["bnvar"] + EPS) ** -0.5  # (1, H)
    v["bnraw"] = v["bndiff"] * v["bnvar_inv"]  # (B, H)
    v["hpreact"] = v["bngain"] * v["bnraw"] + v["bnbias"]  # (B, H)
    # tanh and the output layer.
    v["h"] = torch.tanh(v["hpreact"])  # (B, H)
    v["logits"] = v["h"] @ v["W2"] + v["b2"]  # (B, V)
    # Cross-entropy.
    v["logit_maxes"] = v["logits"].max(1, keepdim=True).values  # (B, 1)
    v["norm_logits"] = v["logits"] - v["logit_maxes"]  # (B, V)
    v["counts"] = v["norm_logits"].exp()  # (B, V)
    v["counts_sum"] = v["counts"].sum(1, keepdim=True)  # (B, 1)
    v["counts_sum_inv"] = v["counts_sum"] ** -1  # (B, 1)
    v["probs"] = v["counts"] * v["counts_sum_inv"]  # (B, V)
    v["logprobs"] = v["probs"].log()  # (B, V)
    v["loss"] = -v["logprobs"][range(n), targets].mean()
    return v


@torch.no_grad()
def backward(v: Tensors, tokens: torch.Tensor, targets: torch.Tensor, unbiased: bool) -> Tensors:
    """Go back through the steps of ``forward``. Each gradient has the shape of the tensor that it belongs to.

    Two rules do most of the work. What was broadcast in the forward pass is summed in the backward pass, and what was
    summed is broadcast. A tensor that was used twice has the sum of both gradients.
    """
    n = len(tokens)
    d: Tensors = {}
    # Cross-entropy. Only the logprob of the right symbol counts, with 1/n.
    d["logprobs"] = torch.zeros_like(v["logprobs"])  # (B, V)
    d["logprobs"][range(n), targets] = -1.0 / n
    d["probs"] = d["logprobs"] / v["probs"]  # (B, V)
    d["counts_sum_inv"] = (d["probs"] * v["counts"]).sum(1, keepdim=True)  # (B, 1); it was broadcast
    d["counts_sum"] = -(v["counts_sum"] ** -2) * d["counts_sum_inv"]  # (B, 1)
    # counts is used twice: for probs, and for the sum, whose gradient spreads to every element.
    d["counts"] = d["probs"] * v["counts_sum_inv"] + d["counts_sum"]  # (B, V) + (B, 1)
    d["norm_logits"] = d["counts"] * v["counts"]  # (B, V)
    d["logit_maxes"] = -d["norm_logits"].sum(1, keepdim=True)  # (B, 1); 0, because the shift changes nothing
    is_largest = F.one_hot(v["logits"].argmax(1), v["logits"].shape[1])  # (B, V)
    d["logits"] = d["norm_logits"] + is_largest * d["logit_maxes"]  # (B, V)
    # The output layer. The shapes allow only one product for each gradient.
    d["h"] = d["logits"] @ v["W2"].T  # (B, V) @ (V, H)
    d["W2"] = v["h"].T @ d["logits"]  # (H, B) @ (B, V)
    d["b2"] = d["logits"].sum(0)  # (V,)
    d["hpreact"] = (1 - v["h"] ** 2) * d["h"]  # (B, H)
    # Batch norm.
    d["bngain"] = (v["bnraw"] * d["hpreact"]).sum(0, keepdim=True)  # (1, H)
    d["bnbias"] = d["hpreact"].sum(0, keepdim=True)  # (1, H)
    d["bnraw"] = v["bngain"] * d["hpreact"]  # (B, H)
    d["bnvar_inv"] = (v["bndiff"] * d["bnraw"]).sum(0, keepdim=True)  # (1, H)
    d["bnvar"] = -0.5 * (v["bnvar"] + EPS) ** -1.5 * d["bnvar_inv"]  # (1, H)
    d["bndiff2"] = (d["bnvar"] / (n - 1 if unbiased else n)).expand_as(v["bndiff2"])  # (B, H)
    d["bndiff"] = v["bnvar_inv"] * d["bnraw"] + 2 * v["bndiff"] * d["bndiff2"]  # (B, H); it was used twice
    d["bnmeani"] = -d["bndiff"].sum(0, keepdim=True)  # (1, H)
    d["hprebn"] = d["bndiff"] + d["bnmeani"] / n  # (B, H); it was used twice
    # The hidden layer and the embedding.
    d["embcat"] = d["hprebn"] @ v["W1"].T  # (B, H) @ (H, block_size * E)
    d["W1"] = v["embcat"].T @ d["hprebn"]  # (block_size * E, B) @ (B, H)
    d["b1"] = d["hprebn"].sum(0)  # (H,)
    d["emb"] = d["embcat"].view(v["emb"].shape)  # (B, block_size, E)
    # A row of C that was looked up several times has the sum of its gradients.
    rows = d["emb"].reshape(-1, EMBEDDING_DIM)  # (B * block_size, E)
    d["C"] = torch.zeros_like(v["C"]).index_add_(0, tokens.reshape(-1), rows)  # (V, E)
    return d


def autograd(v: Tensors) -> Tensors:
    """Return the same gradients, computed by torch."""
    gradients = torch.autograd.grad(v["loss"], [v[name] for name in GRADIENTS])
    return dict(zip(GRADIENTS, gradients, strict=True))


def compare(actual: Tensors, expected: Tensors) -> dict[str, float]:
    """Return the largest difference of the gradients that both have, by name."""
    return {
        name: (actual[name] - expected[name]).abs().max().item() for name in GRADIENTS if name in expected
    }


@torch.no_grad()
def in_one_step(parameters: Tensors, tokens: torch.Tensor, targets: torch.Tensor) -> None:
    """Check two formulas that were derived on paper from the small steps, most of which cancel."""
    print("2. In one step")
    n = len(tokens)
    for unbiased in (True, False):
        with torch.enable_grad():
            v = forward(parameters, tokens, targets, unbiased)
            expected = autograd(v)
        if unbiased:
            one_hot = F.one_hot(targets, v["logits"].shape[1])  # (B, V)
            dlogits = (v["logits"].softmax(1) - one_hot) / n  # (B, V)
            difference = (dlogits - expected["logits"]).abs().max()
            print(f"   dlogits = (softmax - one_hot) / n: difference {difference:.1e}")
            print("   it pulls the right logit up and pushes the others down, each by its probability")
        dy, xhat = expected["hpreact"], v["bnraw"]  # (B, H), (B, H)
        factor = n / (n - 1) if unbiased else 1.0
        centred = n * dy - dy.sum(0) - factor * xhat * (dy * xhat).sum(0)  # (B, H)
        dhprebn = v["bngain"] * v["bnvar_inv"] / n * centred  # (B, H)
        difference = (dhprebn - expected["hprebn"]).abs().max()
        which = "n/(n-1) * xhat" if unbiased else "xhat"
        print(
            f"   dhprebn = gain * inv / n * (n dy - sum dy - {which} sum(dy xhat)): difference {difference:.1e}"
        )
    print(
        "   the first with the variance divided by n - 1, the second, as torch.nn.BatchNorm1d has it, by n\n"
    )


def against_the_fused_kernels(
    parameters: Tensors, tokens: torch.Tensor, targets: torch.Tensor, by_hand: Tensors
) -> None:
    """Compute the whole network with two fused operators. Their backward passes are kernels of their own."""
    print("3. Against the fused backward kernels of namegen_ext.ops (variance divided by n)")
    p = parameters
    hprebn = embedding_concat_linear(tokens, p["C"], p["W1"].T, p["b1"], activation="none")  # (B, H)
    h = batch_norm(
        hprebn, None, None, p["bngain"][0], p["bnbias"][0], True, 0.1, EPS, activation="tanh"
    )  # (B, H)
    logits = h @ p["W2"] + p["b2"]  # (B, V)
    loss = F.cross_entropy(logits, targets)
    tensors = {"logits": logits, "h": h, "hprebn": hprebn} | {name: p[name] for name in PARAMETERS}
    gradients = dict(zip(tensors, torch.autograd.grad(loss, list(tensors.values())), strict=True))
    for name, difference in compare(by_hand, gradients).items():
        print(f"   d{name:<10}{difference:9.1e}")
    print("   batch_norm with tanh goes from dh to dhprebn, dbngain and dbnbias in one pass over the batch;")
    print(
        "   embedding_concat_linear from dhprebn to dC, dW1 and db1, summing first over examples that share a symbol"
    )


if __name__ == "__main__":
    main()
