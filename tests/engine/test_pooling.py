"""Token vectors become one, whole or in parts."""

import numpy as np
import pytest

from corral_server.config import Pooling
from corral_server.engine.pooling import Pool

ROWS = np.array([[3.0, 4.0], [1.0, 0.0], [2.0, -1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [(Pooling.MEAN, [2.0, 1.0]), (Pooling.CLS, [3.0, 4.0]), (Pooling.LAST, [2.0, -1.0])],
)
@pytest.mark.parametrize("parts", [[3], [1, 2], [1, 1, 1]])
def test_parts_pool_like_the_whole(
    pooling: Pooling, expected: list[float], parts: list[int]
) -> None:
    pool = Pool(pooling)
    start = 0
    for count in parts:
        pool.add(ROWS[start : start + count])
        start += count
    assert pool.vector(normalize=False).tolist() == expected


def test_a_normalized_vector_has_length_1() -> None:
    pool = Pool(Pooling.CLS)
    pool.add(ROWS)
    assert pool.vector(normalize=True).tolist() == pytest.approx([0.6, 0.8])


def test_zeros_stay_zeros() -> None:
    pool = Pool(Pooling.MEAN)
    pool.add(np.zeros((2, 3), dtype=np.float32))
    assert pool.vector(normalize=True).tolist() == [0.0, 0.0, 0.0]


def test_rows_are_not_kept() -> None:
    rows = ROWS.copy()
    pool = Pool(Pooling.LAST)
    pool.add(rows)
    rows[:] = 0.0
    assert pool.vector(normalize=False).tolist() == [2.0, -1.0]
