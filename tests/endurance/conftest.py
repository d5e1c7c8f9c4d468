"""How long these tests take is up to whoever runs them."""

import os

import pytest


@pytest.fixture(scope="session")
def seconds() -> float:
    """Of the part that counts: `make endurance SECONDS_EACH=300`."""
    return float(os.environ.get("SECONDS_EACH", "60"))
