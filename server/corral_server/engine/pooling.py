"""From the vectors of a text's tokens to one."""

import numpy as np
import numpy.typing as npt

from corral_server.config import Pooling

Vectors = npt.NDArray[np.float32]


class Pool:
    """Takes the vectors of one text, in order and in any number of parts."""

    def __init__(self, pooling: Pooling) -> None:
        self._pooling = pooling
        self._count = 0
        self._pooled: npt.NDArray[np.float64] | None = None

    def add(self, rows: Vectors) -> None:
        """`rows`: (tokens, size), at least one; not kept."""
        self._count += len(rows)
        match self._pooling:
            case Pooling.MEAN:
                total = rows.sum(axis=0, dtype=np.float64)
                self._pooled = total if self._pooled is None else self._pooled + total
            case Pooling.CLS:
                if self._pooled is None:
                    self._pooled = rows[0].astype(np.float64)
            case Pooling.LAST:
                self._pooled = rows[-1].astype(np.float64)

    def vector(self, *, normalize: bool) -> Vectors:
        """The text's vector, with `normalize` of length 1; one that is all zeros stays so."""
        assert self._pooled is not None
        vector = self._pooled
        if self._pooling is Pooling.MEAN:
            vector = vector / self._count
        if normalize and (length := float(np.linalg.norm(vector))) > 0.0:
            vector = vector / length
        return vector.astype(np.float32)
