"""Runs whole training steps natively, on a model's own parameters."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from namegen_ext.data import IGNORED
from namegen_ext.engine.engine_errors import UnsupportedModelError
from namegen_ext.engine.engine_evaluation import mean_loss
from namegen_ext.engine.engine_network import NetworkDescription, describe_network, running_statistics
from namegen_ext.engine.engine_optimizers import (
    describe_optimizer,
    prepare_state,
    read_updates,
    set_learning_rate,
)
from namegen_ext.engine.gpt_network import GPTDescription, describe_gpt
from namegen_ext.engine.integers import check_integers, indices_array, symbols_array
from namegen_ext.engine.model_watch import ModelWatch
from namegen_ext.models.gpt import GPT

# Numbers of the arrays beside each parameter, as in csrc/core/engine/training/step_engine.h.
_VALUE, _FIRST_STATE, _AVERAGE = 0, 1, 3


def _describe(model: nn.Module) -> NetworkDescription | GPTDescription:
    return describe_gpt(model) if isinstance(model, GPT) else describe_network(model)


class StepEngine:
    """Runs minibatch gather, forward, softmax cross-entropy, backward and update, K times in one call.

    The losses and parameters are those of training the model through autograd, up to rounding. The bits are the same on
    every run and for any number of threads (``torch.set_num_threads``). Parameters, running statistics and the
    optimizer's state are read at the start of each call and written back at its end, in place. So one may go on with
    torch at any time, save a checkpoint, and come back to the engine.

    Threads may train at the same time, each with an engine and a model of its own. One engine serves one call at a
    time: a second one, from another thread, raises RuntimeError. While a call runs, no other thread may change the
    tensors that it was given.

    Model and optimizer may be changed between calls: each call honours what it finds, or refuses it. A hook on the node
    of a parameter in the autograd graph, which Python cannot see, is passed over.

    Args:
        model: see :func:`describe_network` for what is covered, or a GPT of this package without dropout; float32 or
            float64, on the CPU.
        optimizer: torch.optim.SGD (momentum, weight decay, nesterov) or torch.optim.AdamW, of the model's parameters.
        clip_grad_norm: gradients whose global norm is above this are scaled down to it, as
            torch.nn.utils.clip_grad_norm_ does; 0 for none.
        averages: for each parameter a tensor like it that a moving average of the parameter is kept in, in place; None
            for none.

    Raises:
        UnsupportedModelError: the model or the optimizer is not covered; the message says why.

    Example:
        >>> from namegen_ext.models import MLP
        >>> model = MLP(27, block_size=3)
        >>> engine = StepEngine(model, torch.optim.SGD(model.parameters(), lr=0.1))
        >>> tokens = torch.randint(27, (1000, 3))
        >>> targets = torch.randint(27, (1000,))
        >>> indices = torch.randint(1000, (50, 32))  # 50 steps of 32 examples
        >>> losses = engine.run(tokens, targets, indices, learning_rates=[0.1] * 50)
        >>> losses.shape
        torch.Size([50])

    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        clip_grad_norm: float = 0.0,
        averages: Mapping[Tensor, Tensor] | None = None,
    ) -> None:
        self.model = model
        self.network: NetworkDescription | GPTDescription = _describe(model)
        self.parameters = self.network.parameters()
        self._watch = ModelWatch(model, self.parameters)
        self.optimizer = optimizer
        self._optimizer_description = describe_optimizer(optimizer, self.parameters)
        self._clip_grad_norm = clip_grad_norm
        self._averages = averages
        self._native = self._build()
        self._examples: tuple[Tensor, Tensor] | None = None  # those that the native engine has copied
        self._versions = (-1, -1)
        self._in_use = threading.Lock()

    def run(
        self,
        tokens: Tensor,
        targets: Tensor,
        indices: Tensor,
        learning_rates: Sequence[float] | Tensor,
        average_shares: Sequence[float] | None = None,
    ) -> Tensor:
        """Run K steps.

        Ctrl-C is honoured between steps: the steps done so far are written back, and KeyboardInterrupt is raised.

        Args:
            tokens: integers (n, block_size), each in [0, vocab_size).
            targets: integers (n,), each in [0, vocab_size); of a GPT (n, block_size), -1 where nothing is to be
                predicted.
            indices: int64 (K, B), each in [0, n): the examples of each step.
            learning_rates: K numbers.
            average_shares: where averages are kept, K numbers: after each step an average moves by such a share of its
                distance to the parameter.

        Returns:
            The loss of each step, in nats, taken before its update: (K,), of the model's dtype.

        Raises:
            IndexError: an index, token or target lies outside its range.
            RuntimeError: the engine is in use in another thread.
            TypeError: tokens, targets or indices are not integers.
            ValueError: shapes do not fit, a tensor is not on the CPU, or a step of one value per channel under batch
                norm.
            UnsupportedModelError: the model or the optimizer is no longer covered, or a batch norm is in evaluation
                mode; nothing was changed.

        """
        with self._exclusively():
            return self._run(tokens, targets, indices, learning_rates, average_shares)

    def _run(
        self,
        tokens: Tensor,
        targets: Tensor,
        indices: Tensor,
        learning_rates: Sequence[float] | Tensor,
        average_shares: Sequence[float] | None,
    ) -> Tensor:
        rates = (
            torch.as_tensor(learning_rates, dtype=torch.float64, device="cpu").detach().contiguous()
        )  # (K,)
        check_integers("indices", indices)
        if indices.dim() != 2 or rates.shape != indices.shape[:1]:
            raise ValueError(
                f"indices must be (K, B) and learning_rates (K,), but got {tuple(indices.shape)} and"
                f" {tuple(rates.shape)}"
            )
        shares = None
        if self._averages is not None:
            if average_shares is None or len(average_shares) != len(rates):
                came = "nothing" if average_shares is None else f"{len(average_shares)} numbers"
                raise ValueError(
                    f"average_shares: got {came}, expected {len(rates)}, one a step, to keep averages"
                )
            shares = torch.tensor(average_shares, dtype=torch.float64, device="cpu").numpy()  # (K,)
        losses = torch.zeros(len(rates), dtype=torch.float64, device="cpu")  # (K,)
        if len(rates) == 0:
            return losses.to(self.network.dtype)
        native_indices = indices_array(indices)
        self._look_again()
        self.network.check_mode()
        updates = self._read()
        self._set_examples(tokens, targets)
        done = 0
        try:
            self._native.run(
                indices=native_indices,
                learning_rates=rates.numpy(),
                losses=losses.numpy(),
                average_shares=shares,
            )
        finally:
            done = self._native.steps_done
            self._write(updates + done, done)
        set_learning_rate(self.optimizer, float(rates[-1]))
        return losses.to(self.network.dtype)

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean negative log-likelihood over all examples, in evaluation mode.

        Contexts that occur more than once are computed once. The 182,625 examples of names.txt's training names, with
        block 3, have 5,686 distinct contexts.

        Args:
            tokens: integers (n, block_size), each in [0, vocab_size).
            targets: integers (n,), each in [0, vocab_size).

        Returns:
            The loss in nats; None where there are no examples.

        Raises:
            IndexError: a token or target lies outside its range.
            RuntimeError: the engine is in use in another thread.
            TypeError: tokens or targets are not integers.
            ValueError: the numbers of tokens and targets differ, or the block size is not the model's.

        """
        check_integers("tokens", tokens)
        check_integers("targets", targets)
        with self._exclusively():
            self._look_again()
            self._read_model()
            if isinstance(self.network, GPTDescription):
                return self._mean_loss_of_sequences(tokens, targets)
            return mean_loss(self._logits, tokens, targets, self.network.vocab_size)

    def _mean_loss_of_sequences(self, tokens: Tensor, targets: Tensor) -> float | None:
        vocab_size = self.network.vocab_size
        total = self._native.sum_of_losses(
            tokens=symbols_array("tokens", tokens, vocab_size),
            targets=symbols_array("targets", targets, vocab_size),
        )
        num_targets = int((targets != IGNORED).sum())
        return total / num_targets if num_targets > 0 else None

    def logits(self, tokens: Tensor) -> Tensor:
        """Compute the logits of contexts in evaluation mode, from the parameters last read.

        Args:
            tokens: integers (n, block_size), each in [0, vocab_size).

        Returns:
            (n, vocab_size), of the model's dtype.

        Raises:
            IndexError: a token lies outside its range.
            RuntimeError: the engine is in use in another thread.
            TypeError: tokens are not integers.
            ValueError: the shape does not fit, or the tensor is not on the CPU.

        """
        if isinstance(self.network, GPTDescription):
            raise UnsupportedModelError("logits: the engine gives none of a GPT; call the model itself")
        with self._exclusively():
            return self._logits(tokens)

    def _logits(self, tokens: Tensor) -> Tensor:
        native_tokens = symbols_array("tokens", tokens, self.network.vocab_size)
        shape = (*tokens.shape[:1], self.network.vocab_size)
        result = torch.empty(shape, dtype=self.network.dtype, device="cpu")  # (n, V)
        self._native.logits(native_tokens, result.numpy())
        return result

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        # A second thread is refused instead of waiting: two threads that train one model are a mistake. Nor is a lock
        # held that a child would wait for, where the process forks.
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError(
                "this StepEngine is in use in another thread: give each thread an engine and a model of its own"
            )
        try:
            yield
        finally:
            self._in_use.release()

    # ---- between torch and the native engine -------------------------------------------------------------------

    def _look_again(self) -> None:
        """Read the network anew where the model is no longer as it was."""
        if not self._watch.sees_change():
            return
        network = _describe(self.model)
        parameters = network.parameters()
        self._optimizer_description = describe_optimizer(self.optimizer, parameters)
        self.network, self.parameters = network, parameters
        self._native = self._build()
        self._examples = None
        self._watch = ModelWatch(self.model, parameters)

    def _build(self) -> Any:
        return self.network.build(
            self._optimizer_description.settings
            | {"most_norm": float(self._clip_grad_norm), "averages": self._averages is not None}
        )

    def _batch_norms(self) -> Iterator[tuple[int, nn.BatchNorm1d]]:
        return iter(()) if isinstance(self.network, GPTDescription) else self.network.batch_norms()

    def _set_examples(self, tokens: Tensor, targets: Tensor) -> None:
        """Give the native engine the examples; not again where they are the same tensors, unchanged."""
        check_integers("tokens", tokens)
        check_integers("targets", targets)
        versions = (tokens._version, targets._version)
        known = self._examples is not None and self._examples[0] is tokens and self._examples[1] is targets
        if not known or versions != self._versions:
            self._examples = None
            self._native.set_examples(
                tokens=symbols_array("tokens", tokens, self.network.vocab_size),
                targets=symbols_array("targets", targets, self.network.vocab_size),
            )
            self._examples = (tokens, targets)
            self._versions = versions

    def _read(self) -> int:
        """Read the model and the optimizer as they are now; return the number of updates made."""
        current = describe_optimizer(self.optimizer, self.parameters)
        if current.settings != self._optimizer_description.settings:
            self._optimizer_description = current
            self._native = self._build()
            self._examples = None
        self._read_model()
        updates = read_updates(self.optimizer, current, self.parameters)
        for number, parameter in enumerate(self.parameters):
            state = self.optimizer.state.get(parameter, {})
            for slot, name in enumerate(current.state_names, start=_FIRST_STATE):
                tensor = state.get(name)
                if tensor is not None:
                    self._native.take(number, slot, tensor.contiguous().numpy())
                elif updates == 0:
                    self._native.take(number, slot, torch.zeros_like(parameter).detach().numpy())
            if self._averages is not None:
                self._native.take(number, _AVERAGE, self._average_of(parameter).contiguous().numpy())
        self._native.set_updates(updates)
        return updates

    def _average_of(self, parameter: Tensor) -> Tensor:
        averages = self._averages or {}
        if parameter not in averages:
            raise UnsupportedModelError(
                "the model has a parameter that no average is kept of: make the engine anew"
            )
        return averages[parameter]

    def _read_model(self) -> None:
        for number, parameter in enumerate(self.parameters):
            self._native.take(number, _VALUE, parameter.detach().contiguous().numpy())
        for number, batch_norm in self._batch_norms():
            mean, var = running_statistics(batch_norm)
            self._native.take_statistics(number, mean.numpy(), var.numpy())

    @torch.no_grad()
    def _write(self, updates: int, steps: int) -> None:
        """Write back what the steps changed."""
        if steps == 0:
            return
        description = self._optimizer_description
        prepare_state(self.optimizer, description, self.parameters, updates)
        for number, parameter in enumerate(self.parameters):
            self._give(number, _VALUE, parameter)
            for slot, name in enumerate(description.state_names, start=_FIRST_STATE):
                self._give(number, slot, self.optimizer.state[parameter][name])
            if self._averages is not None:
                self._give(number, _AVERAGE, self._average_of(parameter))
        for number, batch_norm in self._batch_norms():
            mean, var = running_statistics(batch_norm)
            new_mean, new_var = torch.empty_like(mean), torch.empty_like(var)
            self._native.give_statistics(number, new_mean.numpy(), new_var.numpy())
            mean.copy_(new_mean)
            var.copy_(new_var)
            if batch_norm.num_batches_tracked is not None:
                batch_norm.num_batches_tracked += steps

    def _give(self, number: int, slot: int, target: Tensor) -> None:
        if target.is_contiguous():
            self._native.give(number, slot, target.detach().numpy())
            increment_version(target)  # as autograd requires of a change in place
            return
        values = torch.empty_like(target, memory_format=torch.contiguous_format)
        self._native.give(number, slot, values.numpy())
        target.copy_(values)
