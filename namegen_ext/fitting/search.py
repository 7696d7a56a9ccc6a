"""What is tried for a list of names, in which order, within which budget; and the model that comes of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from namegen_ext.data import Splits, Vocabulary
from namegen_ext.data.categories import num_categories
from namegen_ext.fitting.discounts import Discounts, tune_discounts
from namegen_ext.fitting.held_out import Examples, held_out_parts
from namegen_ext.fitting.log_linear import choose_components, fit_weights, mixture_loss
from namegen_ext.fitting.networks import FURTHER, PRETRAINED, WAVENET, Network, predict, train_network
from namegen_ext.fitting.pretraining import graft, pretrain, share_of_known_letters
from namegen_ext.models import CountModel, Mixture
from namegen_ext.models.specs import KNESER_NEY
from namegen_ext.training.whole_set_loss import evaluate

COUNT_ORDER = 6
_BLOCK_SIZE = 16
_KEY_BITS = 128  # of a context where names are drawn natively

# A network's steps are doubled for as long as held-out names gain by it: by this much, in nats a character. One rung
# without a gain may be chance.
_GAIN = 0.0005
_RUNGS_WITHOUT_GAIN = 2
_FIRST_STEPS = 50
_SMALL_BATCH, _LARGE_BATCH = 32, 128
_LARGE_LIST = 50_000  # windows: from here on the large batch learns more in the same time

# Seconds of a training step of the 8/24/128 WaveNet with 27 symbols, on one thread of the machine of
# docs/benchmarks.md. By these the work is planned, so that what is tried does not depend on the clock.
_STEP_SECONDS = {_SMALL_BATCH: 100e-6, _LARGE_BATCH: 280e-6}
_PLANNED_SHARE = 0.7  # of the budget; counting, predicting and the weights take the rest
_CLOCK_SHARE = (
    0.9  # of the budget: by then all trainings have ended, on a machine that is slower than planned
)
_PRETRAINING_SECONDS = 2.0
_PRETRAINED_BELOW = 5000  # training names: a longer list knows better by itself
_KNOWN_LETTERS = 0.5  # of a list's characters, else pre-training has nothing to say of it

# Of a long list: passes over its windows that a network gets at least, if another one is to stand beside it; and at
# most.
_LEAST_EPOCHS, _MOST_EPOCHS = 12, 40
# At most so many values of held-out predictions are kept for each model.
_MOST_PREDICTIONS = 20_000_000

# Of fewer names, a tenth is too few to judge a model by.
_MEANINGFUL_NAMES = 100

SMALL_BUDGET, LARGE_BUDGET = 10.0, 60.0


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def default_budget(num_names: int) -> float:
    """Return the seconds for a list: 10 up to 10,000 names, 60 for 90,000, and on along the same line."""
    return SMALL_BUDGET + (LARGE_BUDGET - SMALL_BUDGET) * max(0, num_names - 10_000) / 80_000


@dataclass
class Trial:
    """A model that was tried.

    Attributes:
        label: what it is.
        steps: of its training; 0 for counts.
        loss: on held-out names, in nats a character, alone.
        mixed_loss: together with what was found before.
        weight: its own in the mixture; 0 where it was left out.
        gain: what held-out names gain by it beside the others of the mixture, in nats a character; 0 for the first.
        ladder: numbers of steps that were tried, and the losses together with the counts.
        seconds: what trying it took.

    """

    label: str
    steps: int
    loss: float
    mixed_loss: float
    weight: float = 0.0
    gain: float = 0.0
    seconds: float = 0.0
    ladder: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Search:
    """What was found.

    Attributes:
        model: the mixture.
        before_refit: the mixture that had not learnt the dev and the test names; ``model`` without a refit.
        trials: what was tried.
        held_out_loss: of the mixture on the held-out names, in nats a character, before the refit.
        num_held_out: how many names were held out, in turn or as dev.
        known_share: how many of the held-out names stood among those learnt from.
        known_mass: how much of all probability the mixture gave to the names that it was trained on.
        known_factor: what that was multiplied by.
        cross_fitted: whether training names were held out in turn.
        losses: of the model before the refit, "train", "dev", "unseen_dev" and "test", in nats a character; None for a
            split without names. Weights and steps were chosen by dev; nothing was by test.
        refit: whether the model was trained on all names in the end.
        steps: training steps of the networks in it, together.
        budget: seconds that it was given.
        seconds: all in all.
        notes: what else is to be told, a line each.

    """

    model: Mixture
    before_refit: Mixture
    trials: list[Trial]
    held_out_loss: float
    num_held_out: int
    known_share: float
    known_mass: float
    known_factor: float
    cross_fitted: bool
    losses: dict[str, float | None]
    refit: bool
    steps: int
    budget: float
    seconds: float
    notes: list[str] = field(default_factory=list)


@dataclass
class _Candidate:
    """A network that was trained: its predictions of the held-out names, and the model of the last part."""

    network: Network
    steps: int
    start: Callable[[], nn.Module]  # makes it as it was before its first step
    predictions: Tensor  # (n, V) float32
    model: nn.Module
    trial: Trial


class Searcher:
    """Finds the mixture for one list.

    Args:
        splits: the names; those of test are not looked at before the refit.
        weights: how often each name counts, in the order of train, dev and test; None for once.
        vocabulary: their symbols.
        seed: the same seed finds the same model, unless the clock ends the search.
        budget: seconds, for all of it; None takes :func:`default_budget`.
        refit: whether the model is trained on all names in the end, dev and test included.
        threads: so many networks are trained side by side, each on a thread of its own. More of them find another model
            for a long list, as more training fits into the budget.
        progress: is told what is being done, and the share of the budget that is spent.

    Raises:
        ValueError: the budget is not above 0, or there are no names to hold out.

    """

    def __init__(
        self,
        splits: Splits,
        vocabulary: Vocabulary,
        *,
        weights: Sequence[float] | None = None,
        seed: int = 42,
        budget: float | None = None,
        refit: bool = True,
        threads: int = 1,
        progress: Callable[[str, float], None] = lambda what, share: None,
    ) -> None:
        self.began = time.perf_counter()
        self.splits = splits
        self.all_words = [*splits.train, *splits.dev, *splits.test]
        self.all_weights = weights
        self.vocabulary = vocabulary
        self.seed = seed
        self.budget = default_budget(len(self.all_words)) if budget is None else budget
        if not (math.isfinite(self.budget) and self.budget > 0):
            raise ValueError(f"budget must be a number of seconds above 0, but got {budget!r}")
        self.refit = refit
        self.threads = threads
        self.progress = progress
        self.num_categories = num_categories(vocabulary)
        self.num_marks = int(self.num_categories > 0)  # of a context
        bits = max(1, (len(vocabulary) - 1).bit_length())  # of a symbol
        self.block_size = min(_BLOCK_SIZE, _KEY_BITS // bits - self.num_marks)  # letters of a context
        self.count_order = COUNT_ORDER + self.num_marks
        self.parts = held_out_parts(splits, vocabulary, self.block_size)
        if not self.parts:
            raise ValueError("splits must hold dev names, or enough training names to hold some out in turn")
        self.cross_fitted = len(self.parts) > 1
        self.kept = self._kept_predictions()
        self.targets = torch.cat([part.held_out.targets for part in self.parts])[self.kept]  # (n,)
        windows = len(self.parts[-1].train.targets)
        self.batch_size = _LARGE_BATCH if windows >= _LARGE_LIST else _SMALL_BATCH
        self.num_windows = windows
        self.notes: list[str] = []
        if len(self.all_words) < _MEANINGFUL_NAMES:
            self.notes.append(
                f"{len(self.all_words)} names are few: the losses of {len(splits.dev)} dev and {len(splits.test)} test"
                " names say little; what was chosen was chosen by names held out in turn"
            )
        self.planned_seconds = self.trained_seconds = 0.0  # of the trainings so far
        self.lock = threading.Lock()  # of these two

    # ---- the clock -----------------------------------------------------------------------------------------------

    def seconds(self) -> float:
        """Return the time since the search began."""
        return time.perf_counter() - self.began

    def _tell(self, what: str) -> None:
        self.progress(what, min(1.0, self.seconds() / self.budget))

    def _is_late(self, needed: float) -> bool:
        """Whether so many planned seconds more, as long as they last here, would go beyond the budget."""
        slowness = max(1.0, self.trained_seconds / self.planned_seconds) if self.planned_seconds > 0 else 1.0
        late = self.seconds() + slowness * needed > _CLOCK_SHARE * self.budget
        note = (
            "the budget ended the search: with more time, or on a faster machine, more would have been tried"
        )
        if late and note not in self.notes:
            self.notes.append(note)
        return late

    # ---- the search ----------------------------------------------------------------------------------------------

    def run(self) -> Search:
        """Try, choose, and train the model that was chosen."""
        self._tell("counting")
        counts, discounts, trials = self._counts()
        log_probabilities = [counts]
        candidates: list[_Candidate] = []
        for candidate in self._networks(counts):
            candidates.append(candidate)
            trials.append(candidate.trial)
            log_probabilities.append(candidate.predictions)
        stacked = torch.stack(log_probabilities)  # (C, n, V)
        choice = choose_components(stacked, self.targets)
        weights = choice.weights  # (C,)
        for trial, weight, gain in zip(trials, weights.tolist(), choice.gains, strict=True):
            trial.weight, trial.gain = weight, gain
        chosen = [candidate for candidate, weight in zip(candidates, weights[1:], strict=True) if weight > 0]
        model = self._mixture(
            self.parts[-1].train, [candidate.model for candidate in chosen], discounts, weights, chosen
        )
        known_share, known_factor, mass = self._leave_out_known(model, self.splits.train)
        losses = self._losses(model)
        before_refit = model.eval()
        if self.refit:
            model = self._refitted(discounts, weights, chosen)
            _, known_factor, mass = self._leave_out_known(model, self.all_words)
        return Search(
            model=model.eval(),
            before_refit=before_refit,
            trials=trials,
            held_out_loss=choice.loss,
            num_held_out=sum(len(part.held_out.words) for part in self.parts),
            known_share=known_share,
            known_mass=mass,
            known_factor=known_factor,
            cross_fitted=self.cross_fitted,
            losses=losses,
            refit=self.refit,
            steps=sum(candidate.steps for candidate in chosen),
            budget=self.budget,
            seconds=self.seconds(),
            notes=self.notes,
        )

    def _kept_predictions(self) -> Tensor:
        """Return which of the held-out symbols the weights are chosen by: all, unless that takes too much memory."""
        number = sum(len(part.held_out.targets) for part in self.parts)
        every = max(1, math.ceil(number * len(self.vocabulary) / _MOST_PREDICTIONS))
        return torch.arange(0, number, every)

    def _counts(self) -> tuple[Tensor, Discounts, list[Trial]]:
        began = time.perf_counter()
        models = [self._counted(part.train) for part in self.parts]
        evidence = [
            model.evidence(part.held_out.last(self.count_order), part.held_out.targets)
            for model, part in zip(models, self.parts, strict=True)
        ]
        discounts = tune_discounts(torch.cat(evidence), len(self.vocabulary))
        predictions = []
        for model, part in zip(models, self.parts, strict=True):
            model.set_discounts(discounts.discounts, discounts.concentrations)
            predictions.append(model(part.held_out.last(self.count_order))[0].float())  # (n of the part, V)
        counts = torch.cat(predictions)[self.kept]  # (n, V)
        loss = mixture_loss(counts[None], torch.ones(1), self.targets)
        trial = Trial(f"counts, up to {COUNT_ORDER}", 0, loss, loss, seconds=time.perf_counter() - began)
        return counts, discounts, [trial]

    def _counted(self, examples: Examples) -> CountModel:
        model = CountModel(
            len(self.vocabulary),
            self.count_order,
            estimator=KNESER_NEY,
            category_newest=self.num_categories > 0,
        )
        model.count(examples.last(self.count_order), examples.targets, examples.weights)
        return model

    def _networks(self, counts: Tensor) -> Sequence[_Candidate]:
        """Train the networks that are worth it."""
        networks = [self._fitted(WAVENET)]
        words = self.splits.train
        if len(words) < _PRETRAINED_BELOW and share_of_known_letters(words) >= _KNOWN_LETTERS:
            # First, as a short list gains most by it, should the clock end the search.
            networks.insert(0, self._fitted(PRETRAINED))
        seconds = _PLANNED_SHARE * self.budget - _PRETRAINING_SECONDS * (len(networks) - 1)
        if seconds <= 0:
            self._is_late(self.budget)
            return []
        ladder = 2 * 8 * self.num_windows * len(self.parts) * len(networks)
        is_short = self.num_windows < _LARGE_LIST
        if is_short and ladder / self.batch_size * self._step_seconds(WAVENET) <= seconds:
            return self._climb_all(networks, counts, seconds / len(networks))
        return self._train_all(networks, counts, seconds)

    def _fitted(self, network: Network) -> Network:
        return network.with_categories() if self.num_categories else network

    def _step_seconds(self, network: Network) -> float:
        options = network.options
        width, block = cast(int, options["hidden_size"]) / 128, cast(int, options["block_size"]) / 8
        return _STEP_SECONDS[self.batch_size] * (0.5 if network.model == "mlp" else width**2 * block**0.7)

    def _climb_all(self, networks: Sequence[Network], counts: Tensor, seconds: float) -> list[_Candidate]:
        found = self._side_by_side(lambda network: self._climb(network, counts, seconds), networks)
        return [best for best in found if best is not None]

    def _climb(self, network: Network, counts: Tensor, seconds: float) -> _Candidate | None:
        """Double a network's steps for as long as held-out names gain by it, in the mixture with the counts."""
        began = time.perf_counter()
        if network.pretrained and self._is_late(_PRETRAINING_SECONDS):
            return None
        starts = self._starts(network)
        # The last rung costs as much as all before it, and the refit as much as one part.
        affordable = seconds / self._step_seconds(network) / (2 * len(self.parts) + self.refit)
        best: _Candidate | None = None
        ladder: list[tuple[int, float]] = []
        steps, without_gain = _FIRST_STEPS, 0
        while steps <= max(affordable, _FIRST_STEPS):
            cost = steps * self._step_seconds(network) * (len(self.parts) + self.refit)
            if self._is_late(cost):
                break
            self._tell(f"{network.label}, {steps:,} steps")
            candidate = self._tried(network, starts, steps, counts)
            ladder.append((steps, candidate.trial.mixed_loss))
            if best is None or candidate.trial.mixed_loss < best.trial.mixed_loss - _GAIN:
                best, without_gain = candidate, 0
            else:
                without_gain += 1
                if without_gain == _RUNGS_WITHOUT_GAIN:
                    break
            steps *= 2
        if best is not None:
            best.trial.seconds, best.trial.ladder = time.perf_counter() - began, ladder
        return best

    def _train_all(self, networks: Sequence[Network], counts: Tensor, seconds: float) -> list[_Candidate]:
        """Train each network once, for as long as the budget allows: of a long list no network has enough of it."""
        trainings = len(self.parts) + self.refit
        epoch_steps = self.num_windows / self.batch_size
        chosen: list[Network] = []
        spent = 0.0  # seconds of the passes that each network gets at least
        for network in (*networks, *map(self._fitted, FURTHER)):
            costs = [epoch_steps * self._step_seconds(one) * trainings for one in (*chosen, network)]
            needed = _LEAST_EPOCHS * longest_share(costs, self.threads)
            if chosen and needed > seconds:
                break
            chosen.append(network)
            spent = needed
        epochs = min(_MOST_EPOCHS, _LEAST_EPOCHS * seconds / spent)
        steps = max(_FIRST_STEPS, int(epochs * epoch_steps))
        found = self._side_by_side(lambda network: self._train_once(network, counts, steps), chosen)
        return [candidate for candidate in found if candidate is not None]

    def _train_once(self, network: Network, counts: Tensor, steps: int) -> _Candidate | None:
        began = time.perf_counter()
        if self._is_late(steps * self._step_seconds(network) * (len(self.parts) + self.refit)):
            return None
        self._tell(f"{network.label}, {steps:,} steps")
        candidate = self._tried(network, self._starts(network), steps, counts)
        candidate.trial.seconds = time.perf_counter() - began
        candidate.trial.ladder = [(steps, candidate.trial.mixed_loss)]
        return candidate

    def _side_by_side(self, train: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Call ``train`` for each item, as many at a time as there are threads; the results in the items' order."""
        if self.threads == 1 or len(items) < 2:
            return [train(item) for item in items]
        # The engine and torch's operators let other threads run while they compute.
        with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(train, items))

    def _starts(self, network: Network) -> Callable[[], nn.Module]:
        """Return what makes the network as it is before its first step."""
        if not network.pretrained:
            return lambda: network.build(len(self.vocabulary), self.seed)
        self._tell("pre-training on the names of the package")
        pretrained = pretrain(network, self.all_words, self.seed, has_categories=self.num_categories > 0)
        return lambda: graft(pretrained, network, self.vocabulary, self.seed)

    def _tried(
        self, network: Network, start: Callable[[], nn.Module], steps: int, counts: Tensor
    ) -> _Candidate:
        predictions, model = [], start()
        for part in self.parts:
            model = self._trained(network, start(), part.train, steps)
            predictions.append(predict(model, part.held_out))
        together = torch.cat(predictions)[self.kept]  # (n, V)
        loss = mixture_loss(together[None], torch.ones(1), self.targets)
        pair = torch.stack([counts, together])  # (2, n, V)
        mixed = mixture_loss(pair, fit_weights(pair, self.targets), self.targets)
        trial = Trial(network.label, steps, loss, mixed)
        return _Candidate(network, steps, start, together, model, trial)

    def _trained(self, network: Network, model: nn.Module, examples: Examples, steps: int) -> nn.Module:
        began = time.perf_counter()
        trained = train_network(
            model,
            examples,
            steps=steps,
            batch_size=self.batch_size,
            learning_rate=network.learning_rate,
            seed=self.seed + network.seed_offset,
        )
        with self.lock:
            self.planned_seconds += steps * self._step_seconds(network)
            self.trained_seconds += time.perf_counter() - began
        return trained

    # ---- the model -----------------------------------------------------------------------------------------------

    def _refitted(self, discounts: Discounts, weights: Tensor, chosen: Sequence[_Candidate]) -> Mixture:
        """Train what was chosen once more, on all names."""
        examples = Examples.of(self.all_words, self.vocabulary, self.block_size, self.all_weights)

        def train(candidate: _Candidate) -> nn.Module:
            self._tell(f"{candidate.network.label}, on all names")
            return self._trained(candidate.network, candidate.start(), examples, candidate.steps)

        models = self._side_by_side(train, chosen)
        return self._mixture(examples, models, discounts, weights, chosen)

    def _mixture(
        self,
        examples: Examples,
        models: Sequence[nn.Module],
        discounts: Discounts,
        weights: Tensor,
        chosen: Sequence[_Candidate],
    ) -> Mixture:
        """Put counts of some names, and networks that were trained on them, together."""
        components: list[tuple[dict[str, Any], nn.Module]] = []
        if weights[0] > 0:
            counted = self._counted(examples)
            counted.set_discounts(discounts.discounts, discounts.concentrations)
            options = {name: value for name, value in counted.config.items() if name != "vocab_size"}
            components.append(({"name": "ngram", **options}, counted))
        components += [
            (candidate.network.config, model) for candidate, model in zip(chosen, models, strict=True)
        ]
        configs = [config for config, _ in components]
        mixture = Mixture(
            len(self.vocabulary),
            self.block_size + self.num_marks,
            configs,
            num_categories=self.num_categories,
        )
        for component, (_, model) in zip(mixture.components, components, strict=True):
            component.load_state_dict(model.state_dict())
        mixture.register_buffer("weights", weights[weights > 0])
        return mixture.eval()

    def _leave_out_known(self, model: Mixture, words: Sequence[str]) -> tuple[float, float, float]:
        """Have the model draw names that it has learnt as often as they stand among held-out ones, and no oftener."""
        self._tell("names of the list")
        known = held_out = 0
        for part in self.parts:
            learnt = set(part.train.words)
            known += sum(word in learnt for word in part.held_out.words)
            held_out += len(part.held_out.words)
        share = (known + 0.5) / (held_out + 1)
        symbols = _symbols(list(dict.fromkeys(words)), self.vocabulary)
        mass = float(model.known_mass(symbols)[0])
        factor = min(1.0, share * (1 - mass) / max((1 - share) * mass, 1e-300))
        if factor < 1:
            model.leave_out(symbols, factor)
        return known / held_out, factor, mass

    def _losses(self, model: Mixture) -> dict[str, float | None]:
        self._tell("losses")
        words = {
            "train": self.splits.train,
            "dev": self.splits.dev,
            "unseen_dev": self.splits.unseen_dev,
            "test": self.splits.test,
        }
        losses: dict[str, float | None] = {}
        for name, of_split in words.items():
            examples = Examples.of(of_split, self.vocabulary, self.block_size)
            losses[name] = evaluate(model, examples.tokens, examples.targets)
        return losses


def longest_share(costs: Sequence[float], threads: int) -> float:
    """Return the cost of the thread that works longest, where each takes the next item once it has ended one."""
    ends = [0.0] * threads
    for cost in costs:
        ends.sort()
        ends[0] += cost
    return max(ends)


def _symbols(words: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """Encode names: int64 (n, longest + 1), zeros behind each."""
    longest = max(map(len, words), default=0)
    symbols = torch.zeros(len(words), longest + 1, dtype=torch.int64)
    for row, word in enumerate(words):
        symbols[row, : len(word)] = torch.tensor(vocabulary.encode(word), dtype=torch.int64)
    return symbols
