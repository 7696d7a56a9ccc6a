"""Measuring speed and memory: what ``python -m namegen_ext.bench`` runs.

A suite compares peers, which compute the same thing in different ways, case by case. ``timing`` says how the
time is taken, ``agreement`` how equal results must be before a time is shown, ``memory`` how the peak memory
is found. A suite yields one ``Comparison`` per table line; each of its peers becomes one row of the CSV file.
"""
