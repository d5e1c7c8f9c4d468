"""What is not loaded, and for which reason."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.adapters.refusal import Reason
from tests.support.adapters import Tensors, tensors, write_adapter
from tests.unit.engine.adapters.place import CONFIG, WEIGHTS, Place


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rank": 9}, Reason.RANK),
        ({"rank_pattern": {"q_proj": 64}}, Reason.RANK),
        ({"rank_pattern": [8]}, Reason.CONFIG),
        ({"r": 0}, Reason.CONFIG),
        ({"r": "8"}, Reason.CONFIG),
        ({"r": True}, Reason.CONFIG),
        ({"r": None}, Reason.CONFIG),
        ({"peft_type": "IA3"}, Reason.CONFIG),
        ({"peft_type": None}, Reason.CONFIG),
        ({"lora_alpha": "16"}, Reason.CONFIG),
        ({"target_modules": None}, Reason.CONFIG),
    ],
    ids=str,
)
def test_a_configuration_that_is_not_served(
    place: Place, fields: dict[str, Any], reason: Reason
) -> None:
    write_adapter(place.root / "mine", **fields)
    assert place.judged() is reason


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b" " * (1 << 20) + b"{}"],
    ids=lambda text: f"{text[:2]!r} x {len(text)}",
)  # fmt: skip
def test_a_configuration_that_is_none(place: Place, text: bytes) -> None:
    mine = write_adapter(place.root / "mine")
    (mine / CONFIG).write_bytes(text)
    assert place.judged() is Reason.CONFIG


def drop(name: str) -> Callable[[Path], object]:
    return lambda mine: (mine / name).unlink()


def cut(keep: int) -> Callable[[Path], object]:
    def truncate(mine: Path) -> None:
        (mine / WEIGHTS).write_bytes((mine / WEIGHTS).read_bytes()[:keep])

    return truncate


def pickled(content: bytes) -> Callable[[Path], object]:
    def rename(mine: Path) -> None:
        (mine / WEIGHTS).unlink()
        (mine / "adapter_model.bin").write_bytes(content)

    return rename


def as_directory(name: str) -> Callable[[Path], object]:
    def replace(mine: Path) -> None:
        (mine / name).unlink()
        (mine / name).mkdir()

    return replace


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (drop(CONFIG), Reason.CONFIG),
        (drop(WEIGHTS), Reason.WEIGHTS),
        (cut(0), Reason.WEIGHTS),
        (cut(7), Reason.WEIGHTS),
        (cut(1000), Reason.WEIGHTS),
        (cut(-1), Reason.WEIGHTS),
        (pickled(b"\x80\x04."), Reason.WEIGHTS),
        (pickled(b"PK\x03\x04"), Reason.WEIGHTS),
        (as_directory(CONFIG), Reason.UNREADABLE),
        (as_directory(WEIGHTS), Reason.UNREADABLE),
    ],
    ids=["no config", "no weights", "empty", "7 bytes", "cut", "one byte short", "old pickle",
         "half a zip", "config is a directory", "weights are a directory"],
)  # fmt: skip
def test_files_that_are_not_good(
    place: Place, spoil: Callable[[Path], object], reason: Reason
) -> None:
    spoil(write_adapter(place.root / "mine"))
    assert place.judged() is reason


def test_a_pipe_is_not_waited_for(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    (mine / CONFIG).unlink()
    os.mkfifo(mine / CONFIG)
    assert place.judged() is Reason.UNREADABLE


def without_ups() -> Tensors:
    return {name: one for name, one in tensors(1).items() if "lora_A" in name}


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"model.layers.0.weight": np.zeros((4, 4), np.float32)}, Reason.WEIGHTS),
        (without_ups(), Reason.WEIGHTS),
        ({name: one[None] for name, one in tensors(1).items()}, Reason.WEIGHTS),
        (tensors(1, rank=64), Reason.RANK),  # whatever its configuration says
    ],
    ids=["no LoRA", "half a LoRA", "three axes", "a higher rank"],
)
def test_tensors_that_are_not_those_of_an_adapter(
    place: Place, weights: Tensors, reason: Reason
) -> None:
    write_adapter(place.root / "mine", weights=weights)
    assert place.judged() is reason


@pytest.mark.parametrize("name", ["mine", CONFIG, WEIGHTS])
def test_a_link_that_leads_out_of_the_root_is_not_followed(
    place: Place, tmp_path: Path, name: str
) -> None:
    outside = write_adapter(tmp_path / "outside")
    if name == "mine":
        (place.root / "mine").symlink_to(outside)
    else:
        inside = write_adapter(place.root / "mine")
        (inside / name).unlink()
        (inside / name).symlink_to(outside / name)
    assert place.judged() is Reason.PLACE


def test_links_inside_the_root_are_followed(place: Place) -> None:
    hidden = write_adapter(place.root / ".versions" / "7")
    (place.root / "mine").symlink_to(".versions/7")
    assert place.judged() is None
    assert place.shelf.served["mine"] == (hidden / WEIGHTS).read_bytes()


def test_a_loop_of_links_is_refused(place: Place) -> None:
    (place.root / "mine").symlink_to("mine")
    assert place.judged() in (Reason.UNREADABLE, Reason.PLACE)
