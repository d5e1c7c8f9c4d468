"""One place for each test."""

from pathlib import Path

import pytest

from tests.unit.engine.adapters.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
