"""Lessons from tensors to a GPT. Each is a short script that prints what it explains.

``python -m namegen_ext.lessons`` lists and runs them. Each also runs by itself: ``python python/lessons/tensors.py``.
They are installed as the package ``namegen_lessons``.
"""

# The lessons in the order in which to take them.
LESSONS = {
    "tensors": "element by element, broadcasting, matrix products, shapes and storage, reductions, indexing",
    "autograd": "gradients by the chain rule, what accumulates, and the update rule",
    "nn_basics": "Linear, ReLU and its variants, losses, and the training loop",
    "micrograd": "a scalar engine: the graph, the chain rule by hand, a network that learns four examples",
    "tokens": "letters as numbers, windows, and why names to judge by are kept apart",
    "bigram": "which character follows which: by counting, and by gradient descent",
    "mlp": "embeddings and a hidden layer: three characters of context instead of one",
    "initialisation": "the first loss, saturated tanh, Kaiming's factor, and batch normalisation by hand",
    "backprop": "all 26 gradients of the network by hand, against autograd and the fused kernels",
    "wavenet": "eight characters merged two by two: a tree of layers, and why it is a convolution",
    "gpt": "attention from a running mean to a causal decoder, by hand against torch",
    "microgpt": "a published GPT on single numbers, and the same losses from tensors and native steps",
}
