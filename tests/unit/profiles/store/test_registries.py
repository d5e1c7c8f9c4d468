"""NVIDIA's registry and ModelScope, over sockets and after their public protocols."""

from pathlib import Path

import pytest

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.source import ModelScopeModel, NgcModel
from tests.support.registries import (
    LEGACY_KEY,
    MODELSCOPE_TOKEN,
    PERSONAL_KEY,
    ModelScope,
    Ngc,
    modelscope,
    ngc,
)
from tests.unit.profiles.store.conftest import Fetch, content

LLAMA = NgcModel("nim", "meta", "demo", "1")
OPEN = NgcModel("nvidia", "tao", "open", "1")


def access_to(server: Ngc, key: str | None) -> Access:
    return Access(ngc_endpoint=server.url, ngc_auth_endpoint=server.url, ngc_key=key)


@pytest.mark.parametrize("key", [LEGACY_KEY, PERSONAL_KEY], ids=["legacy", "personal"])
def test_a_model_of_ngc_arrives_whole_over_cuts(model: Path, get: Fetch, key: str) -> None:
    with ngc(model) as server:
        server.faults.cuts = [900_000, 300_000, 1]
        directory = get(LLAMA, access=access_to(server, key), workers=1)
        sent_bytes = server.sent_bytes
        assert get(LLAMA, access=access_to(server, key)) == directory
        assert server.sent_bytes == sent_bytes
    assert content(directory) == content(model)
    assert directory.name == "1"


def test_a_registry_that_says_later_is_asked_again(model: Path, get: Fetch) -> None:
    with ngc(model) as registry:
        registry.faults.busy = [429, 503]
        assert content(get(LLAMA, access=access_to(registry, PERSONAL_KEY))) == content(model)


def test_a_corrupt_file_of_ngc_is_found_by_its_checksum(model: Path, get: Fetch) -> None:
    with ngc(model) as server:
        server.faults.corrupt = -1
        with pytest.raises(SourceError, match="is damaged"):
            get(LLAMA, access=access_to(server, PERSONAL_KEY))


@pytest.mark.parametrize("key", [None, PERSONAL_KEY], ids=["keyless", "proxy"])
def test_the_catalogue_and_its_proxies_need_no_key(
    model: Path, get: Fetch, key: str | None
) -> None:
    with ngc(model) as server:
        access = access_to(server, key)
        if key:
            place = server.url.removeprefix("http://")
            access = Access(override=f"jfrog://{place}/", ngc_key=key)
        assert content(get(OPEN, access=access)) == content(model)


def test_a_key_of_ngc_is_not_sent_to_where_the_files_are(model: Path, get: Fetch) -> None:
    with ngc(model) as server, ngc(model) as elsewhere:
        get(LLAMA, access=access_to(server, LEGACY_KEY))
        assert not elsewhere.requests
        said = [headers.get("authorization", "") for headers in server.headers_seen]
    assert not any(LEGACY_KEY in value for value in said)  # only in its encoded form, for a token


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (None, "set NGC_API_KEY"),
        ("nvapi-wrongwrongwrong", "is wrong, revoked, or its account"),
        ("wronglegacykey", "is wrong, revoked, or its account"),
    ],
    ids=["none", "wrong personal", "wrong legacy"],
)
def test_a_refusal_of_ngc_says_what_to_do(
    model: Path, get: Fetch, key: str | None, sentence: str
) -> None:
    with ngc(model) as server, pytest.raises(SourceError, match=sentence) as caught:
        get(LLAMA, access=access_to(server, key))
    assert caught.value.cause is Cause.REFUSED
    assert key is None or key not in str(caught.value)


def test_a_version_that_ngc_does_not_have_is_called_that(model: Path, get: Fetch) -> None:
    with ngc(model) as server, pytest.raises(SourceError, match="check the name and") as caught:
        get(NgcModel("nim", "meta", "demo", "2"), access=access_to(server, PERSONAL_KEY))
    assert caught.value.cause is Cause.MISSING


def test_an_expired_key_of_ngc_is_called_that(model: Path, get: Fetch) -> None:
    with ngc(model) as server:
        server.expired = True
        with pytest.raises(SourceError, match="NGC_API_KEY has expired") as caught:
            get(LLAMA, access=access_to(server, LEGACY_KEY))
    assert caught.value.cause is Cause.EXPIRED


def modelscope_access(server: ModelScope, token: str | None = None) -> Access:
    return Access(modelscope_endpoint=server.url, modelscope_token=token)


@pytest.mark.parametrize("revision", [None, "v1"], ids=["branch", "tag"])
def test_a_model_of_modelscope_arrives_whole(model: Path, get: Fetch, revision: str | None) -> None:
    source = ModelScopeModel("org/demo", revision)
    with modelscope(model) as server:
        server.faults.cuts = [1_000_000, 7]
        directory = get(source, access=modelscope_access(server), workers=1)
    assert content(directory) == content(model)
    assert get(source, offline=True) == directory


@pytest.mark.parametrize(
    ("source", "token", "sentence"),
    [
        (ModelScopeModel("org/private"), None, "set MODELSCOPE_API_TOKEN"),
        (ModelScopeModel("org/private"), "ms-wrong", "is wrong, has expired"),
        (ModelScopeModel("org/demo", "v2"), None, "does not exist at revision 'v2'"),
        (ModelScopeModel("org/nothing"), None, "does not exist"),
    ],
    ids=["no token", "wrong token", "revision", "name"],
)
def test_a_refusal_of_modelscope_says_what_to_do(
    model: Path, get: Fetch, source: ModelScopeModel, token: str | None, sentence: str
) -> None:
    with modelscope(model) as server, pytest.raises(SourceError, match=sentence) as caught:
        get(source, access=modelscope_access(server, token))
    assert "ms-wrong" not in str(caught.value)


def test_a_private_model_of_modelscope_comes_with_its_token(model: Path, get: Fetch) -> None:
    with modelscope(model) as server:
        access = modelscope_access(server, MODELSCOPE_TOKEN)
        directory = get(ModelScopeModel("org/private"), access=access)
    assert content(directory) == content(model)


@pytest.mark.parametrize("source", [LLAMA, ModelScopeModel("org/demo")], ids=["ngc", "modelscope"])
def test_nobody_there_is_called_that(get: Fetch, source: NgcModel) -> None:
    nowhere = "http://127.0.0.1:9"
    access = Access(
        ngc_endpoint=nowhere, ngc_auth_endpoint=nowhere, modelscope_endpoint=nowhere, ngc_key="x"
    )
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        get(source, access=access)
    assert caught.value.cause is Cause.UNREACHABLE
