"""What an adapter may be called."""

import pytest

from engine.adapters.name import check_name
from engine.adapters.refusal import AdapterRefusedError, Reason


@pytest.mark.parametrize(
    "name", ["a", "A-1_b.c", "org/name", "v1:2", "a@b+c", "模型", "a b", "9"], ids=str
)
def test_names_that_are_fine(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/..", "a/../b", "/a", "a/", "a//b", ".a", "-a", "a\\b", "a\nb",
     "a\0b", "a#2", "a%2f", "a" * 201, "_a", "a/.b"],
    ids=repr,
)  # fmt: skip
def test_names_that_are_tricks(name: str) -> None:
    with pytest.raises(AdapterRefusedError) as caught:
        check_name(name)
    assert caught.value.reason is Reason.NAME
