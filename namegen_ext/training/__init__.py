"""Training: options and recipes, the loop, its backends, evaluation, and the run directory."""

from namegen_ext.options.choices import OPTIMIZERS
from namegen_ext.options.recipes import DEFAULT_RECIPE, RECIPES, Recipe
from namegen_ext.options.schedules import SCHEDULES, Schedule
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.runs.config import RunConfig
from namegen_ext.runs.errors import RunError
from namegen_ext.runs.saved_run import Run, load_run
from namegen_ext.training.backends import Backend, choose_backend, choose_device
from namegen_ext.training.corpus import Corpus
from namegen_ext.training.errors import BackendError, TrainingDivergedError
from namegen_ext.training.evaluation import evaluate
from namegen_ext.training.minibatches import MinibatchIndices
from namegen_ext.training.optimizers import build_optimizer
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
