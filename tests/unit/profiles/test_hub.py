"""Fetching from a hub, over a real socket and with the hub's own client."""

from pathlib import Path

import pytest

from profiles import HubModel, ModelNotAvailableError, fetch
from tests.support.hub import COMMIT, hub


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "files"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "model.onnx").write_bytes(b"never wanted")
    return directory


def test_a_model_is_fetched_once_and_served_from_the_cache(files: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with hub(files) as server:
        directory = fetch(HubModel("org/demo", None), cache=cache, endpoint=server.url)
    assert directory.name == COMMIT
    assert {path.name for path in directory.iterdir()} == {"config.json", "model.safetensors"}
    assert (directory / "model.safetensors").read_bytes() == b"weights"
    again = fetch(HubModel("org/demo", None), cache=cache, offline=True)
    assert again == directory


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (HubModel("org/gated", None), "is gated: accept its licence"),
        (HubModel("org/nothing", None), "does not exist, or is private"),
    ],
    ids=["gated", "missing"],
)
def test_a_refusal_says_what_to_do(
    files: Path, tmp_path: Path, source: HubModel, sentence: str
) -> None:
    with hub(files) as server, pytest.raises(ModelNotAvailableError, match=sentence):
        fetch(source, cache=tmp_path / "cache", endpoint=server.url, token="hf_x")  # noqa: S106


def test_a_hub_that_is_not_there_is_named_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailableError, match="HF_ENDPOINT"):
        fetch(HubModel("org/demo", None), cache=tmp_path, endpoint="http://127.0.0.1:9")


def test_offline_without_a_copy_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailableError, match="not in the cache"):
        fetch(HubModel("org/demo", None), cache=tmp_path, offline=True)


def test_a_cache_that_cannot_be_written_is_named(files: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with hub(files) as server, pytest.raises(ModelNotAvailableError, match=str(blocked)):
        fetch(HubModel("org/demo", None), cache=blocked / "cache", endpoint=server.url)
