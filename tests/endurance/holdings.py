"""What a server holds: memory, descriptors, tasks, requests."""

import re
from dataclasses import dataclass

import psutil

from tests.support.server import Server

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Holdings:
    rss_mib: float
    descriptors: int
    threads: int
    tasks: float
    inside: float
    waiting: float

    @classmethod
    def of(cls, server: Server) -> "Holdings":
        """As they are when nobody asks for anything."""
        process = psutil.Process(server.process.pid)
        metrics = server.get("/v1/metrics").text
        return cls(
            rss_mib=process.memory_info().rss / _MIB,
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            tasks=_value(metrics, "unigate_event_loop_tasks"),
            inside=_value(metrics, "unigate_requests_inside"),
            waiting=_value(metrics, "unigate_requests_waiting"),
        )

    def assert_no_more_than(self, before: "Holdings", *, more_mib: float = 32.0) -> None:
        """Memory may have grown by what allocators and caches keep; nothing else may have."""
        said = f"{before} → {self}"
        assert self.inside == self.waiting == 0, said
        assert self.rss_mib <= before.rss_mib + more_mib, said
        # Connections that clients keep alive are theirs.
        assert self.descriptors <= before.descriptors + 4, said
        assert self.threads <= before.threads + 1, said
        assert self.tasks <= before.tasks, said


def _value(metrics: str, name: str) -> float:
    found = re.search(rf"^{name} ([0-9.e+]+)$", metrics, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])
