"""Tensors: numbers in a grid, and the five things that networks do with them."""

from __future__ import annotations

import torch

EXERCISES = [
    (
        "x has shape (5, 3) and row has shape (5,). x + row is an error. How is row added to each column "
        "of x?",
        "As a column: x + row[:, None]. Its shape (5, 1) is stretched to (5, 3).",
    ),
    (
        "What shape has torch.zeros(4, 1, 3) + torch.zeros(2, 3)?",
        "(4, 2, 3): aligned from the right 3 meets 3, 1 is stretched to 2, and 4 stands alone.",
    ),
    (
        "grid = torch.arange(6).view(2, 3). Which of grid.T.view(6), grid.T.reshape(6) and "
        "grid.T.contiguous().view(6) is an error?",
        "The first alone. The transpose's numbers do not lie in a row; the other two copy them into one.",
    ),
]


def main() -> None:
    """Run the lesson."""
    element_by_element()
    broadcasting()
    matrix_products()
    shapes_and_storage()
    reductions()
    indexing()


def element_by_element() -> None:
    """Operators and functions work on each number by itself."""
    print("1. Element by element")
    a = torch.tensor([1.0, 2.0, 3.0])  # (3,)
    b = torch.tensor([10.0, 20.0, 30.0])  # (3,)
    print(f"   a = {a.tolist()}, b = {b.tolist()}: shape {tuple(a.shape)}, dtype {a.dtype}")
    print(f"   a + b = {(a + b).tolist()}")
    print(f"   a * b = {(a * b).tolist()}   no matrix product: each with its partner")
    print(f"   a ** 2 = {(a**2).tolist()}, a.exp() = {rounded(a.exp())}\n")


def broadcasting() -> None:
    """Sizes are aligned from the right. A size of 1, or a missing size, is stretched."""
    print("2. Broadcasting: shapes are aligned from the right, and a size of 1 is stretched")
    column = torch.arange(3).view(3, 1)  # (3, 1)
    row = torch.arange(4) * 10  # (4,)
    print(f"   (3, 1) + (4,) gives {tuple((column + row).shape)}:")
    print_rows(column + row)

    counts = torch.tensor([[1.0, 3.0], [6.0, 2.0]])  # (2, 2)
    right = counts / counts.sum(1, keepdim=True)  # (2, 2) / (2, 1)
    wrong = counts / counts.sum(1)  # (2, 2) / (2,): the sums of the rows divide the columns
    print("   Dividing each row of counts by its sum needs the sums as a column, (2, 1):")
    print(f"   with keepdim=True the rows sum to {rounded(right.sum(1))}")
    print(f"   without it, no error, but the rows sum to {rounded(wrong.sum(1))}: each column was divided\n")


def matrix_products() -> None:
    """A matrix product multiplies rows by columns. Leading dimensions are batches."""
    print("3. Matrix products")
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # (B=3, in=2)
    weight = torch.tensor([[1.0, 0.0, -1.0, 2.0], [0.5, 1.0, 0.0, 0.0]])  # (in=2, out=4)
    y = x @ weight  # (3, 4)
    print(f"   (3, 2) @ (2, 4) gives {tuple(y.shape)}: the inner sizes meet and vanish")
    by_hand = x[1, 0] * weight[0, 3] + x[1, 1] * weight[1, 3]
    print(f"   y[1, 3] = {y[1, 3]:g}; the sum over the inner size by hand: {by_hand:g}")
    batch = torch.ones(7, 5, 3, 2) @ weight  # (7, 5, 3, 4)
    print(f"   leading sizes are batches: (7, 5, 3, 2) @ (2, 4) gives {tuple(batch.shape)}\n")


def shapes_and_storage() -> None:
    """A view is another way to read the same numbers."""
    print("4. Shapes and storage: the numbers lie in one row in memory; a shape says how to read them")
    numbers = torch.arange(6)  # (6,)
    grid = numbers.view(2, 3)  # (2, 3)
    grid[0, 0] = 100
    print(
        f"   after grid = numbers.view(2, 3); grid[0, 0] = 100, numbers is {numbers.tolist()}: no copy was made"
    )
    print(
        f"   grid has strides {grid.stride()}, its transpose {grid.T.stride()}: the same memory, read otherwise"
    )
    try:
        grid.T.view(6)
    except RuntimeError:
        print("   grid.T.view(6) is an error, as those numbers do not lie in a row; reshape copies them:")
    print(f"   grid.T.reshape(6) = {grid.T.reshape(6).tolist()}")
    embedded = torch.arange(12).view(2, 3, 2)  # (B=2, T=3, E=2)
    joined = torch.cat(embedded.unbind(1), dim=1)  # (2, 6)
    same = torch.equal(joined, embedded.view(2, 6))
    print(f"   (2, 3, 2): its three (2, 2) joined side by side equal .view(2, 6): {same}\n")


def reductions() -> None:
    """A reduction removes the dimension that is named."""
    print("5. Reductions: the dimension that is named is the one that goes")
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])  # (2, 3)
    print(f"   sum() = {x.sum():g}, sum(0) = {x.sum(0).tolist()}, sum(1) = {x.sum(1).tolist()}")
    print(f"   max(1) gives values {x.max(1).values.tolist()} and places {x.max(1).indices.tolist()}")
    row = x[1]  # (3,)
    print(
        f"   the variance of {row.tolist()}: {row.var():g} divides by n - 1, {row.var(correction=0):g} by n\n"
    )


def indexing() -> None:
    """Looking up rows gives the same as a product with one-hot vectors, and needs no product."""
    print("6. Indexing: a table looked up with a tensor of row numbers")
    table = torch.tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])  # (V=3, E=2)
    tokens = torch.tensor([[2, 0], [1, 1]])  # (B=2, T=2)
    looked_up = table[tokens]  # (2, 2, 2)
    one_hot = torch.nn.functional.one_hot(tokens, 3).float()  # (2, 2, 3)
    print(f"   table (3, 2)[tokens (2, 2)] gives {tuple(looked_up.shape)}: a row for each token")
    print(f"   one_hot(tokens) @ table gives the same: {torch.equal(one_hot @ table, looked_up)}")


def rounded(tensor: torch.Tensor) -> list[float]:
    """Return the numbers of a tensor (n,), rounded for printing."""
    return [round(number, 3) for number in tensor.tolist()]


def print_rows(tensor: torch.Tensor) -> None:
    """Print a tensor (rows, columns)."""
    for row in tensor.tolist():
        print("      " + " ".join(f"{number:4g}" for number in row))


if __name__ == "__main__":
    main()
