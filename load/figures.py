"""The figures of a run out of Locust's statistics, which it merges from all its workers.

Locust keeps times in whole milliseconds, from a hundred on in tens and from a thousand on in
hundreds; so precise are the quantiles.
"""

from collections import Counter

from locust.stats import RequestStats, StatsEntry, calculate_response_time_percentile

from load.limits import SHARES

ANSWERS = "POST"
"""The entries of whole requests, as Locust names them by their method."""
TTFT, ITL, TPS = "TTFT", "ITL", "TPS"
"""Ours: ms to the first token; ms between tokens; tokens/s of an answer, whose length is tokens."""
_ENTRIES = {"ttft": TTFT, "itl": ITL, "latency": ANSWERS}


def figures(stats: RequestStats) -> dict[str, float]:
    """Those of `FIGURES` that were measured."""
    answers = _entries(stats, ANSWERS)
    asked = sum(entry.num_requests for entry in answers)
    if not asked:
        return {}
    took_s = (stats.last_request_timestamp or stats.start_time) - stats.start_time
    found = {
        "failure_ratio": sum(entry.num_failures for entry in answers) / asked,
        "requests_per_s": asked / took_s,
    }
    if streamed := _entries(stats, TPS):
        found["tokens_per_s"] = sum(entry.total_content_length for entry in streamed) / took_s
    for what, method in _ENTRIES.items():
        times: Counter[int] = Counter()
        for entry in _entries(stats, method):
            times.update(entry.response_times)
        for share, value in SHARES.items():
            if times:
                time_ms = calculate_response_time_percentile(times, times.total(), value)
                found[f"{what}_{share}_ms"] = float(time_ms)
    return found


def _entries(stats: RequestStats, method: str) -> list[StatsEntry]:
    return [entry for (_, kind), entry in stats.entries.items() if kind == method]
