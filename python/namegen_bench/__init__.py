"""Measuring speed and memory: what ``python -m namegen_ext.bench`` runs.

A suite compares peers, case by case. Peers are ways to compute the same thing: stock torch.nn layers, this package's
fused ones, other libraries. A suite yields one ``Comparison`` for each case; each of its peers becomes a row of the CSV
file.

- ``command``: the command, from its arguments to its exit status; ``arguments``: its flags. Neither loads torch.
- ``names``: the names of suites and peers; ``errors``: the error that ends the command.
- ``run_bench``: runs the command; ``run_suites``: measures the suites that were asked for, one after another.
- ``suites``: what is measured, a folder or a file for each suite.
- ``measuring``: how it is measured: time, memory, agreement of results, the machine's own rates.
- ``reporting``: what is made of it: tables, the CSV file, comparisons with an older one, charts, a page.

This package imports ``namegen_ext``; ``namegen_ext`` imports this one in its entry ``namegen_ext.bench`` alone.
"""
