"""What can be asked for: the options of a run, their ranges, and the recipes.

Nothing here needs torch, or knows the command line.
"""
