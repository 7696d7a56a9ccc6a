"""Results as pictures, each in a light and a dark form. Marks and words tell the peers apart, not colours alone.

- ``all_charts``: every chart, in the order in which they are shown.
- ``step_charts``, ``scaling_charts``, ``operator_charts``, ``sampling_charts``: the charts of each suite.
- ``bars`` and ``lines``: the panels that the charts are made of; ``chart``: the frame around them, and the file.
- ``look``: colours, marks and names of the peers; ``select``: which results are shown, and how numbers are written.
- ``compact_svg``: makes SVG files small.
"""
