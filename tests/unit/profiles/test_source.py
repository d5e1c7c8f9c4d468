"""Where a model comes from."""

from pathlib import Path

import pytest

from profiles.errors import ModelReferenceError
from profiles.source import (
    BucketModel,
    HubModel,
    LocalModel,
    ModelScopeModel,
    NgcModel,
    RemoteModel,
    parse_source,
    store_key,
)


@pytest.mark.parametrize(
    ("reference", "source"),
    [
        ("/models/llama", LocalModel(Path("/models/llama"))),
        ("hf://org/model", HubModel("org/model", None)),
        ("hf://org/model:v1.0", HubModel("org/model", "v1.0")),
        ("hf://org/model:refs/pr/1", HubModel("org/model", "refs/pr/1")),
        ("hf://org/model/", HubModel("org/model", None)),
        ("hf://org/model?file=a.gguf", HubModel("org/model", None, ("a.gguf",))),
        ("hf://org/m:v1?file=a%20b&file=c/d", HubModel("org/m", "v1", ("a b", "c/d"))),
        ("ngc://nim/meta/llama:hf-1.0+x", NgcModel("nim", "meta", "llama", "hf-1.0+x")),
        ("ngc://nvidia/llama:1", NgcModel("nvidia", None, "llama", "1")),
        ("modelscope://org/model:v1", ModelScopeModel("org/model", "v1")),
        ("s3://bucket", BucketModel("s3", "bucket", "")),
        ("s3://my.bucket/org/model/", BucketModel("s3", "my.bucket", "org/model")),
        ("gs://bucket/org/model", BucketModel("gs", "bucket", "org/model")),
    ],
)
def test_what_users_write_is_understood(reference: str, source: object) -> None:
    assert parse_source(reference) == source


@pytest.mark.parametrize(
    "reference",
    ["hf://", "hf://org", "hf://org/model:", "hf://a/b/c", "http://x/y", "hf://a/b?branch=c"],
)
def test_the_rest_is_refused_with_a_sentence(reference: str) -> None:
    with pytest.raises(ModelReferenceError, match=r"hf://"):
        parse_source(reference)


@pytest.mark.parametrize(
    ("reference", "form"),
    [
        ("ngc://nim/meta/llama", "ngc://organisation/[team/]model:version"),
        ("ngc://llama:1", "ngc://organisation/[team/]model:version"),
        ("modelscope://model", "modelscope://organisation/model"),
        ("s3://", "s3://bucket"),
        ("gs://-bucket/x", "gs://bucket"),
        ("hf://org/model?file=../etc/passwd", "name inside the model"),
        ("hf://org/model?file=/etc/passwd", "name inside the model"),
        ("hf://org/model?file=", "name inside the model"),
    ],
)
def test_the_right_form_is_in_the_sentence(reference: str, form: str) -> None:
    with pytest.raises(ModelReferenceError) as caught:
        parse_source(reference)
    assert form in str(caught.value)


def test_secrets_in_a_reference_are_not_repeated() -> None:
    with pytest.raises(ModelReferenceError) as caught:
        parse_source("https://me:password@host/model?X-Amz-Signature=5ecre7")
    assert "password" not in str(caught.value)
    assert "5ecre7" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    ["hf://org/model:v1?file=a%20b", "ngc://nim/meta/llama:1", "ngc://nvidia/llama:1",
     "modelscope://org/model", "s3://bucket/a/b", "gs://bucket"],
)  # fmt: skip
def test_a_source_is_written_as_it_was_read(uri: str) -> None:
    source = parse_source(uri)
    assert source.uri == uri
    assert parse_source(source.uri) == source


def test_no_two_sources_share_a_place_in_the_store() -> None:
    sources: list[RemoteModel] = [
        HubModel("org/model"), HubModel("org/model", None, ("a",)),
        HubModel("org/model", None, ("b",)), ModelScopeModel("org/model"),
        NgcModel("org", None, "model", "1"), NgcModel("org", "team", "model", "1"),
        BucketModel("s3", "org", "model"), BucketModel("gs", "org", "model"),
    ]  # fmt: skip
    keys = {store_key(source) for source in sources}
    assert len(keys) == len(sources)
    assert not any("/" in key for key in keys)


def test_a_relative_directory_is_made_absolute() -> None:
    source = parse_source("models/llama")
    assert isinstance(source, LocalModel)
    assert source.path.is_absolute()
    assert source.name == "llama"
