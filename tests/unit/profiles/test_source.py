"""Where a model comes from."""

from pathlib import Path

import pytest

from profiles import HubModel, LocalModel, ModelReferenceError, parse_source


@pytest.mark.parametrize(
    ("reference", "source"),
    [
        ("/models/llama", LocalModel(Path("/models/llama"))),
        ("hf://org/model", HubModel("org/model", None)),
        ("hf://org/model:v1.0", HubModel("org/model", "v1.0")),
        ("hf://org/model:refs/pr/1", HubModel("org/model", "refs/pr/1")),
    ],
)
def test_what_users_write_is_understood(reference: str, source: object) -> None:
    assert parse_source(reference) == source


@pytest.mark.parametrize(
    "reference", ["hf://", "hf://org", "hf://org/model:", "hf://a/b/c", "http://x/y", "s3://b/k"]
)
def test_the_rest_is_refused_with_a_sentence(reference: str) -> None:
    with pytest.raises(ModelReferenceError, match=r"hf://"):
        parse_source(reference)


def test_a_relative_directory_is_made_absolute() -> None:
    source = parse_source("models/llama")
    assert isinstance(source, LocalModel)
    assert source.path.is_absolute()
    assert source.name == "llama"
