"""What names are to be: constraints, and the automaton that accepts the names that meet them.

constraints.py says what can be asked for. regular_expressions.py and substrings.py make an automaton of each demand,
automaton.py joins them, and demands.py does all of it for one model's symbols. `namegen_ext.sampling` draws names from
the model's own distribution, given that the automaton accepts them.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.steering.constraints import Constraints, take_constraints
    from namegen_ext.steering.demands import Demand, demand_of
    from namegen_ext.steering.steering_errors import ConstraintError
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.steering.constraints": ("Constraints", "take_constraints"),
            "namegen_ext.steering.demands": ("Demand", "demand_of"),
            "namegen_ext.steering.steering_errors": ("ConstraintError",),
        },
    )

__all__ = ["ConstraintError", "Constraints", "Demand", "demand_of", "take_constraints"]
