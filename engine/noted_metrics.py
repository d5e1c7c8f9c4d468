"""Metrics that cost little to fill.

A call of the library's checks labels, takes locks, and a histogram goes through its buckets. Here a
call notes the number and no more; the numbers are added up when somebody asks for them, which is
rare. They are for one thread: that of the event loop.
"""

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.samples import Sample


def observe_all(histogram: Histogram, values: Iterable[float]) -> None:
    """The same as `observe` of each; of many values most are equal, or in the same bucket."""
    for value, times in Counts(values).items():
        histogram._sum.inc(value * times)
        histogram._buckets[bisect_left(histogram._upper_bounds, value)].inc(times)


class NotedCounter(Counter):
    """For one thread, as the others here."""

    _noted = 0.0

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """As the library's, without exemplars."""
        del exemplar
        if amount < 0:
            raise ValueError("a counter can only go up")
        self._noted += amount

    def _child_samples(self) -> Iterable[Sample]:
        self._value.inc(self._noted)
        self._noted = 0.0
        return super()._child_samples()


class NotedGauge(Gauge):
    """Has the last of its values."""

    _noted: float | None = None

    def set(self, value: float) -> None:
        """As the library's."""
        self._noted = value

    def _child_samples(self) -> Iterable[Sample]:
        if self._noted is not None:
            super().set(self._noted)
            self._noted = None
        return super()._child_samples()


class NotedHistogram(Histogram):
    """Has all of them."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._noted: list[float] = []
        # A method would be a call more.
        self.observe = self._noted.append  # type: ignore[assignment,method-assign]

    @property
    def noted(self) -> int:
        """How many values are still to be added up."""
        return len(self._noted)

    def observe_all(self, values: Iterable[float]) -> None:
        """The same as `observe` of each."""
        self._noted.extend(values)

    def add_up(self) -> None:
        """Let go of what was noted."""
        observe_all(self, self._noted)
        self._noted.clear()

    def _child_samples(self) -> Iterable[Sample]:
        self.add_up()
        return super()._child_samples()
