"""The estimate against public measurements of real start-ups (tests/data/vllm_memory).

The targets are those of the README beside the estimator. Rows that are not judged say why.
"""

import statistics

import pytest

from tests.unit.profiles.memory.observations import Comparison, comparisons, table


def _judged(name: str) -> list[float]:
    return sorted(abs(value) for row in comparisons() if (value := getattr(row, name)) is not None)


def _ninth_of_ten(errors: list[float]) -> float:
    return errors[-(-len(errors) * 9 // 10) - 1]


@pytest.mark.parametrize(
    ("figure", "rows", "median", "nine_of_ten"),
    [
        ("weights_error", 33, 0.05, 0.15),
        ("kv_error", 20, 0.04, 0.10),
        ("token_error", 34, 0.01, 0.01),
    ],
)
def test_the_estimate_is_as_good_as_promised(
    figure: str, rows: int, median: float, nine_of_ten: float
) -> None:
    errors = _judged(figure)
    assert len(errors) >= rows, table()
    assert statistics.median(errors) <= median, table()
    assert _ninth_of_ten(errors) <= nine_of_ten, table()


@pytest.mark.parametrize("row", comparisons(), ids=lambda row: f"row-{row.row}")
def test_a_row_that_is_not_judged_says_why(row: Comparison) -> None:
    if row.kv_error is None or row.token_error is None:
        assert row.reasons or row.token_error is None, table()
    if row.kv_error is None:
        assert row.reasons, table()


def test_plain_weights_are_right_to_a_hundredth() -> None:
    """Dense and FP8 models are counted, not guessed; what is off has a reason of its own."""
    off = {row.row for row in comparisons() if abs(row.weights_error or 0) > 0.01}
    known = {
        7: "the checkpoint keeps its attention in 16 bits, which its config here does not say",
        9: "the measured server had loaded the MTP layer",
        25: "images were switched off: the vision tower was not loaded",
        26: "the same",
        41: "ROCm",
        66: "Hopper's MXFP4 kernels pad less than Marlin",
        67: "the same",
    }
    adapters = {75, 76, 77, 78, 79, 80, 81, 82}  # what a LoRA slot takes is known to a tenth
    assert off <= set(known) | adapters, table()
