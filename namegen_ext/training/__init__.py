"""Training: the loop, its backends and minibatches, evaluation, and the trainer that puts them together.

What can be asked for is in ``namegen_ext.options``, and what a run leaves behind in ``namegen_ext.runs``. Their names
are exported here too.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.options.choices import OPTIMIZERS
    from namegen_ext.options.recipes import DEFAULT_RECIPE, RECIPES, Recipe
    from namegen_ext.options.schedules import SCHEDULES, Schedule
    from namegen_ext.options.train_options import OptionError, TrainOptions
    from namegen_ext.runs.config import RunConfig
    from namegen_ext.runs.run_errors import RunError
    from namegen_ext.runs.saved_run import Run, load_run
    from namegen_ext.training.backends import Backend, choose_backend, choose_device
    from namegen_ext.training.corpus import Corpus
    from namegen_ext.training.minibatches import MinibatchIndices
    from namegen_ext.training.torch_optimizers import build_optimizer
    from namegen_ext.training.train_result import TrainResult
    from namegen_ext.training.trainer import Trainer
    from namegen_ext.training.training_errors import BackendError, TrainingDivergedError
    from namegen_ext.training.whole_set_loss import evaluate
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.options.choices": ("OPTIMIZERS",),
            "namegen_ext.options.recipes": ("DEFAULT_RECIPE", "RECIPES", "Recipe"),
            "namegen_ext.options.schedules": ("SCHEDULES", "Schedule"),
            "namegen_ext.options.train_options": ("OptionError", "TrainOptions"),
            "namegen_ext.runs.config": ("RunConfig",),
            "namegen_ext.runs.run_errors": ("RunError",),
            "namegen_ext.runs.saved_run": ("Run", "load_run"),
            "namegen_ext.training.backends": ("Backend", "choose_backend", "choose_device"),
            "namegen_ext.training.corpus": ("Corpus",),
            "namegen_ext.training.training_errors": ("BackendError", "TrainingDivergedError"),
            "namegen_ext.training.whole_set_loss": ("evaluate",),
            "namegen_ext.training.minibatches": ("MinibatchIndices",),
            "namegen_ext.training.torch_optimizers": ("build_optimizer",),
            "namegen_ext.training.train_result": ("TrainResult",),
            "namegen_ext.training.trainer": ("Trainer",),
        },
    )

__all__ = [
    "DEFAULT_RECIPE",
    "OPTIMIZERS",
    "RECIPES",
    "SCHEDULES",
    "Backend",
    "BackendError",
    "Corpus",
    "MinibatchIndices",
    "OptionError",
    "Recipe",
    "Run",
    "RunConfig",
    "RunError",
    "Schedule",
    "TrainOptions",
    "TrainResult",
    "Trainer",
    "TrainingDivergedError",
    "build_optimizer",
    "choose_backend",
    "choose_device",
    "evaluate",
    "load_run",
]
