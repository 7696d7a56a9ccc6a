"""Training: options and recipes, the loop, its backends, evaluation, and the run directory."""

from namegen_ext.training.backends import Backend, choose_backend, choose_device
from namegen_ext.training.corpus import Corpus
from namegen_ext.training.errors import BackendError, RunError, TrainingDivergedError
from namegen_ext.training.evaluation import evaluate
from namegen_ext.training.minibatches import MinibatchIndices
from namegen_ext.training.optimizers import OPTIMIZERS, build_optimizer
from namegen_ext.training.options import OptionError, TrainOptions
from namegen_ext.training.recipes import DEFAULT_RECIPE, RECIPES, Recipe
from namegen_ext.training.run_config import RunConfig
from namegen_ext.training.saved_run import Run, load_run
from namegen_ext.training.schedules import SCHEDULES, Schedule
from namegen_ext.training.trainer import Trainer, TrainResult

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
