"""vLLM's count of waiting requests, with those that wait in front of the engine.

Autoscalers and inference gateways go by it, and to them a line is a line.
"""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_IN_ENGINE = "vllm:num_requests_waiting"
_IN_FRONT = "unigate_requests_waiting"


class WholeLine(Collector):
    """What a registry has, with one line made of two."""

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """All families; where there are several engines, the first one gets those in front."""
        families = list(self._registry.collect())
        in_front = sum(
            sample.value
            for family in families
            if family.name == _IN_FRONT
            for sample in family.samples
        )
        for family in families:
            if family.name == _IN_ENGINE and family.samples:
                first, *others = family.samples
                family.samples = [first._replace(value=first.value + in_front), *others]
        return families
