"""What goes wrong around a model: asked before the weights come, put into sentences."""

from pathlib import Path

import pytest

from profiles.access import Access
from profiles.description import describe
from profiles.errors import Cause, ModelNotAvailableError, ModelReferenceError, SourceError
from profiles.source import HubModel
from profiles.store.trouble import denied
from profiles.workspace import materialise
from tests.support.hub import COMMIT, hub
from tests.support.origin import Handler, Origin, running
from tests.support.places import tmpfs
from tests.unit.profiles.store.conftest import Fetch

DEMO = HubModel("org/demo")


class Portal(Handler):
    """A network that wants a login first answers everything with its page."""

    def answer(self, path: str, query: dict[str, str]) -> None:
        self.send(200, b"<html>Welcome</html>", content_type="text/html")


class OtherProgram(Handler):
    """JSON, but not a hub's."""

    def answer(self, path: str, query: dict[str, str]) -> None:
        self.send(200, b"null")


@pytest.mark.parametrize("kind", [Portal, OtherProgram])
def test_what_is_no_hub_is_named_so(get: Fetch, kind: type[Handler]) -> None:
    with (
        running(Origin(kind)) as server,
        pytest.raises(SourceError, match="does not answer as a hub does: check HF_ENDPOINT") as e,
    ):
        get(DEMO, endpoint=server.url)
    assert e.value.cause is Cause.BROKEN


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:abc", "http://[::1", "huggingface.co"])
def test_an_endpoint_that_is_no_address_is_a_bad_setting(get: Fetch, endpoint: str) -> None:
    with pytest.raises(ModelReferenceError, match=r"HF_ENDPOINT .* write https://host"):
        get(DEMO, endpoint=endpoint)


@pytest.mark.parametrize("override", ["https://me:5ecre7@host:abc/", "me:5ecre7@host"])
def test_a_mirrors_address_is_refused_without_its_password(get: Fetch, override: str) -> None:
    with pytest.raises(ModelReferenceError, match="NIM_REPOSITORY_OVERRIDE") as caught:
        get(DEMO, access=Access(override=override))
    assert "5ecre7" not in str(caught.value)


def test_a_store_that_cannot_be_read_is_said_before_a_profile_is_chosen(cache: Path) -> None:
    (cache / "models" / "hf--org--demo" / "refs" / "default").mkdir(parents=True)
    with pytest.raises(ModelNotAvailableError, match="cannot be used"):
        describe(DEMO, cache=cache, access=Access())


def test_a_store_that_may_not_be_made_is_mended_by_making_it(tmp_path: Path) -> None:
    there, not_there = tmp_path, tmp_path / "nim" / "cache"
    assert f"on the host: mkdir -p {not_there} && chown -R " in str(denied(not_there, not_there))
    assert "on the host: chown -R " in str(denied(there / "probe", there))


def test_a_commit_in_the_store_is_described_without_asking(
    model: Path, cache: Path, get: Fetch
) -> None:
    source = HubModel("org/demo", COMMIT)
    with hub(model) as server:
        directory = get(source, endpoint=server.url)
        server.requests.clear()
        access = Access(hub_endpoint=server.url)
        assert describe(source, cache=cache, access=access).config == {"model_type": "llama"}
        assert not server.requests
        # What is damaged is about to be fetched again, so it says nothing about the model.
        (directory / "config.json").write_text("{}")
        assert describe(source, cache=cache, access=access).config == {"model_type": "llama"}


def test_a_profile_is_not_chosen_by_a_corrupt_config(model: Path, cache: Path) -> None:
    with hub(model) as server:
        access = Access(hub_endpoint=server.url)
        server.faults.corrupt = 1
        assert describe(DEMO, cache=cache, access=access).config == {"model_type": "llama"}
        server.faults.corrupt = -1
        with pytest.raises(SourceError, match=r"config\.json cannot be read .* checksum differs"):
            describe(DEMO, cache=cache, access=access)


def test_a_workspace_that_is_a_file_is_named_as_what_it_is(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelNotAvailableError, match="name another directory") as caught:
        materialise(model, tmp_path / "file")
    assert "NIM_CACHE_PATH" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_workspace_is_not_mistaken_for_the_store(model: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", 1024 * 1024) as small:
        with pytest.raises(ModelNotAvailableError, match="no space is left for") as caught:
            materialise(model, small / "workspace")
        assert not list(small.iterdir())
    assert "NIM_CACHE_PATH" not in str(caught.value)
