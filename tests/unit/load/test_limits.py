"""Limits are held or broken, and each that is broken is said."""

import pytest

from load.limits import broken


@pytest.mark.parametrize(
    ("limits", "figures", "sentences"),
    [
        ({"max_ttft_p95_ms": 100}, {"ttft_p95_ms": 100.0}, []),
        (
            {"max_ttft_p95_ms": 100},
            {"ttft_p95_ms": 101.0},
            ["ttft_p95_ms is 101; max_ttft_p95_ms is 100"],
        ),
        ({"min_tokens_per_s": 50}, {"tokens_per_s": 50.0}, []),
        (
            {"min_tokens_per_s": 50},
            {"tokens_per_s": 49.5},
            ["tokens_per_s is 49.5; min_tokens_per_s is 50"],
        ),
        (
            {"max_failure_ratio": 0.01, "max_itl_p95_ms": 5},
            {"failure_ratio": 0.02, "itl_p95_ms": 6.0},
            [
                "failure_ratio is 0.02; max_failure_ratio is 0.01",
                "itl_p95_ms is 6; max_itl_p95_ms is 5",
            ],
        ),
    ],
    ids=["at the most", "above", "at the least", "below", "two"],
)
def test_a_limit_that_does_not_hold_is_a_sentence(
    limits: dict[str, float], figures: dict[str, float], sentences: list[str]
) -> None:
    assert broken(limits, figures) == sentences


def test_a_run_that_measured_nothing_breaks_every_limit() -> None:
    assert broken({"max_failure_ratio": 0.5, "min_tokens_per_s": 1}, {}) == [
        "failure_ratio was not measured; max_failure_ratio is 0.5",
        "tokens_per_s was not measured; min_tokens_per_s is 1",
    ]
