"""ScoreTable: points that fade with time, for a bounded number of names."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

_CANDIDATES = 8


class _Score(NamedTuple):
    points: float
    time: float


class ScoreTable:
    """Points of each name; half of them are gone after each half-life. Not safe for threads: its owner locks.

    half_life: seconds. max_names: when one more comes, the weakest of those not touched for longest is forgotten.
    clock: seconds, never going back.
    """

    def __init__(self, half_life: float, max_names: int, clock: Callable[[], float]) -> None:
        self._half_life = half_life
        self._max_names = max_names
        self._clock = clock
        self._scores: OrderedDict[str, _Score] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, name: str) -> float:
        """The points that are left."""
        score = self._scores.get(name)
        return self._fade(score) if score is not None else 0.0

    def add(self, name: str, points: float) -> float:
        """Add points, and return the sum."""
        total = self.get(name) + points
        if name not in self._scores and len(self._scores) >= self._max_names:
            self._forget_one()
        self._scores[name] = _Score(total, self._clock())
        self._scores.move_to_end(name)
        return total

    def remove(self, name: str) -> None:
        """Forget a name."""
        self._scores.pop(name, None)

    def _fade(self, score: _Score) -> float:
        return score.points * math.exp2((score.time - self._clock()) / self._half_life)

    def _forget_one(self) -> None:
        oldest = [name for name, _ in zip(self._scores, range(_CANDIDATES), strict=False)]
        del self._scores[min(oldest, key=self.get)]
