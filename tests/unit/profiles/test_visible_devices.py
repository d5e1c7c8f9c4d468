"""CUDA_VISIBLE_DEVICES, read as CUDA reads it."""

import pytest

from profiles.hardware.visible_devices import Device, visible_devices

GPUS = (Device(uuid="GPU-aa01-1"), Device(uuid="GPU-aa02-2"), Device(uuid="GPU-bb03-3"))
MIXED = (
    Device(uuid="GPU-aa01-1"),
    Device(uuid="GPU-aa02-2", slices=("MIG-cc01", "MIG-cc02")),
    Device(uuid="GPU-bb03-3", slices=()),
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(None, [0, 1, 2], id="not set"),
        pytest.param("0,1,2", [0, 1, 2], id="all"),
        pytest.param("2,0", [2, 0], id="the order is the list's"),
        pytest.param(" 1 , 2", [1, 2], id="spaces around numbers"),
        pytest.param("1gpu,+2", [1, 2], id="numbers as strtoul reads them"),
        pytest.param("GPU-bb", [2], id="prefix of a UUID"),
        pytest.param("GPU-bb03-3,GPU-aa01", [2, 0], id="UUIDs"),
        pytest.param("", [], id="empty"),
        pytest.param(" ", [], id="blank"),
        pytest.param("-1", [], id="minus one"),
        pytest.param("NoDevFiles", [], id="Slurm's word for none"),
        pytest.param("2,-1,1", [2], id="minus one ends the list"),
    ],
)
def test_what_is_meant_is_shown_without_a_word(value: str | None, shown: list[int]) -> None:
    visible = visible_devices(value, GPUS)
    assert visible.places == tuple((index, None) for index in shown)
    assert visible.problem is None


@pytest.mark.parametrize(
    ("value", "shown", "said"),
    [
        pytest.param("0,3,1", [0], "'3' names no GPU", id="number too high"),
        pytest.param("7", [], "numbers below 3", id="nothing before it"),
        pytest.param("all", [], "'all' names no GPU", id="the container toolkit's word"),
        pytest.param("0,,1", [0], "'' names no GPU", id="empty entry"),
        pytest.param("0,GPU-bb", [0], "'GPU-bb' names no GPU", id="UUID among numbers"),
        pytest.param("GPU-bb,0", [2], "'0' names no GPU", id="number among UUIDs"),
        pytest.param("GPU-bb, GPU-aa01", [2], "' GPU-aa01' names no GPU", id="space before a UUID"),
        pytest.param("GPU-aa", [], "'GPU-aa' names no GPU", id="prefix that fits two"),
        pytest.param("GPU-ff", [], "'GPU-ff' names no GPU", id="UUID of another machine"),
        pytest.param("MIG-cc", [], "'MIG-cc' names no GPU", id="MIG device of another machine"),
        pytest.param("1,1", [], "twice", id="number twice"),
        pytest.param("0,1,01", [], "twice", id="number twice, spelt differently"),
        pytest.param("GPU-bb,GPU-bb03", [], "twice", id="GPU twice"),
    ],
)
def test_what_is_wrong_ends_the_list_and_is_named(value: str, shown: list[int], said: str) -> None:
    visible = visible_devices(value, GPUS)
    assert visible.places == tuple((index, None) for index in shown)
    assert visible.problem is not None
    assert said in visible.problem


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [
        pytest.param("MIG-cc02", (1, 1), None, id="MIG device"),
        pytest.param("0", (0, None), None, id="whole GPU"),
        pytest.param("1", (1, 0), "1 of 2 devices", id="its GPU stands for the first"),
        pytest.param("GPU-aa02", (1, 0), "1 of 2 devices", id="the same by UUID"),
        pytest.param("MIG-cc02,MIG-cc01", (1, 1), "1 of 2 devices", id="only the first of a list"),
        pytest.param("0,1", (1, 0), "1 of 3 devices", id="no whole GPU beside one"),
        pytest.param(None, (1, 0), "1 of 3 devices", id="not set"),
    ],
)
def test_cuda_shows_one_mig_device_and_nothing_beside_it(
    value: str | None, place: tuple[int, int | None], said: str | None
) -> None:
    visible = visible_devices(value, MIXED)
    assert visible.places == (place,)
    assert (visible.problem is None) if said is None else (said in (visible.problem or ""))


def test_mig_mode_without_a_mig_device_leaves_nothing_and_says_so() -> None:
    visible = visible_devices("2", MIXED)
    assert visible.places == ()
    assert "GPU 2 is in MIG mode without a MIG device" in (visible.problem or "")
