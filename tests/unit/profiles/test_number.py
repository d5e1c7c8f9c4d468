"""Numbers as vLLM's flags spell them."""

import pytest

from profiles.number import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8192", 8192),
        (" 8192 ", 8192),
        ("32k", 32_000),
        ("32K", 32_768),
        ("25.6k", 25_600),
        ("2M", 2 << 20),
        ("4G", 4 << 30),
        ("1.5m", 1_500_000),
    ],
)
def test_a_suffix_multiplies(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "auto", "-1", "1.5K", "1.5", "k", "8b", "1e3", "٣x"])
def test_anything_else_is_no_number(text: str) -> None:
    assert whole_number(text) is None
