"""The command line: what all commands share, the flags of each, and what runs it.

A command's entry, ``namegen_ext.NAME``, and its flags load no torch. What runs it, run_NAME.py, is imported when the
arguments are known to be right.
"""
