"""The compiled modules, one file each, loaded or refused in one sentence that says why and what mends it.

core.py loads ``namegen_ext._core``: training steps and drawing names; it needs no torch. operators.py loads
``namegen_ext._C``, which is compiled against one version of torch. The package imports the two from here alone.
"""
