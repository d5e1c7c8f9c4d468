"""vLLM's metrics once more under the names that NIM 1.x had: dashboards and autoscalers know them.

NVIDIA's operator scales by `gpu_cache_usage_perc` in its own samples, for one.
"""

from collections.abc import Iterable, Iterator
from copy import copy

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# vLLM's family → NIM's. Counters end in `_total` in the text, and only there.
NAMES = {
    "vllm:num_requests_running": "num_requests_running",
    "vllm:num_requests_waiting": "num_requests_waiting",
    "vllm:kv_cache_usage_perc": "gpu_cache_usage_perc",
    "vllm:prompt_tokens": "prompt_tokens",
    "vllm:generation_tokens": "generation_tokens",
    "vllm:time_to_first_token_seconds": "time_to_first_token_seconds",
    "vllm:request_time_per_output_token_seconds": "time_per_output_token_seconds",
    "vllm:e2e_request_latency_seconds": "e2e_request_latency_seconds",
    "vllm:request_prompt_tokens": "request_prompt_tokens",
    "vllm:request_generation_tokens": "request_generation_tokens",
    "vllm:request_success": "request_success",
}


class WithNimNames(Collector):
    """What a registry has, and some of it twice."""

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """All families; a second name stands behind the first."""
        for family in self._registry.collect():
            yield family
            name = NAMES.get(family.name)
            if name is not None:
                yield _renamed(family, name)


def _renamed(family: Metric, name: str) -> Metric:
    twin = copy(family)
    twin.name = name
    twin.documentation = f"As {family.name}, by NIM 1's name."
    twin.samples = list(_samples(family, name))
    return twin


def _samples(family: Metric, name: str) -> Iterator[Sample]:
    for sample in family.samples:
        yield sample._replace(name=name + sample.name.removeprefix(family.name))
