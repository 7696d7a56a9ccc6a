"""The best model for a list of names, chosen by names that are held out.

From the bottom up: held_out.py (what is learnt from, what is held out), discounts.py (counting models), networks.py and
pretraining.py (networks), log_linear.py (the weights of a mixture), search.py (what is tried, in which order, within
which budget), search_report.py (what is told of it).
"""
