"""What is measured: the suites. Each yields one ``Comparison`` for each case.

``all_suites`` lists them by name. ``ops``, ``train``, ``sample`` and ``gpu`` are folders: each has ``NAME_suite.py``,
which says what is measured and how, and files for its cases and peers. ``scaling_suite`` and ``time_to_loss_suite``
are single files, because they measure cases of ``train``.
"""
