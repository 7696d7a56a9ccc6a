"""How something is measured, whatever it is.

- ``settings``: how long and how often.
- ``timing``: peers that take turns, medians and quartiles; ``workers`` and ``processes``: each peer in a process of
  its own.
- ``memory``: the peak memory of a call.
- ``agreement``: how equal the results of the peers must be before a time is shown.
- ``machine``: what was measured on; ``rates``, ``fma_rate`` and ``bandwidth``: how fast it can be at best; ``floor``:
  the least time that follows from it.
- ``comparison``: what a suite yields.
"""
