"""What is measured: the suites, each of which yields one ``Comparison`` for each case.

``all_suites`` lists them by name. ``ops``, ``train``, ``sample`` and ``gpu`` are folders: each has ``NAME_suite.py``,
which says what is measured and how, and beside it the cases and the peers. ``scaling_suite`` and ``time_to_loss_suite``
are files of their own, as their cases are those of ``train``.
"""
