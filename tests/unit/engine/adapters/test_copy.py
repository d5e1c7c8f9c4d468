"""The copy that the engine reads."""

import json

import pytest

from engine.adapters.copy import Copier
from engine.adapters.refusal import AdapterRefusedError, Reason
from engine.adapters.root import Root, fingerprint
from tests.support.adapters import write_adapter
from tests.unit.engine.adapters.place import CONFIG, Place


def test_what_changes_while_it_is_copied_is_not_taken(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    seen = fingerprint(mine)
    write_adapter(mine, seed=2)
    with pytest.raises(AdapterRefusedError) as caught:
        Copier(Root(place.root), place.scratch, 8).copy(mine, seen)
    assert caught.value.reason is Reason.CHANGING
    assert not list(place.scratch.iterdir())


def test_a_copy_that_nobody_has_any_more_is_gone(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    copy = Copier(Root(place.root), place.scratch, 8).copy(mine, fingerprint(mine))
    assert list(place.scratch.iterdir()) == [copy.path]
    del copy
    assert not list(place.scratch.iterdir())


def test_a_configuration_is_read_from_the_copy_that_is_served(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    copy = Copier(Root(place.root), place.scratch, 8).copy(mine, fingerprint(mine))
    (mine / CONFIG).write_text(json.dumps({}))
    assert json.loads((copy.path / CONFIG).read_text())["r"] == 8
