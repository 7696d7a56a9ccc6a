from __future__ import annotations

import numpy as np

from namegen_ext.sampling.uniforms import uniforms


def test_each_number_depends_on_its_place_alone() -> None:
    every = uniforms(5, 0, 5000)
    assert every.min() >= 0
    assert every.max() < 1
    for first, count in [(0, 1), (1023, 2), (1000, 3000), (4999, 1), (17, 0), (1024, 1024)]:
        assert uniforms(5, first, count).tolist() == every[first : first + count].tolist()
    assert len(np.unique(every)) == 5000
    assert uniforms(6, 0, 5).tolist() != every[:5].tolist()
    assert abs(uniforms(2**64 - 1, 10**12, 20000).mean() - 0.5) < 0.01
