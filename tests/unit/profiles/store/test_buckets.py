"""Models in object stores: S3 as moto's server gives it, and mirrors of other sources in it."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiles.access import Access
from profiles.errors import Cause, ModelNotAvailableError, ModelReferenceError, SourceError
from profiles.source import BucketModel, HubModel, ModelScopeModel, NgcModel
from profiles.sources.mirror import mirrored_name
from profiles.upload import mirror
from profiles.workspace import materialise
from tests.support.bucket import SECRET, Buckets, buckets
from tests.support.hub import hub
from tests.support.origin import Handler, Origin, running
from tests.support.registries import web
from tests.unit.profiles.store.conftest import Fetch, content, safetensors

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture(scope="module")
def s3() -> Iterator[Buckets]:
    with buckets() as server:
        yield server


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> str:
    """A bucket for this test alone."""
    return f"b{abs(hash(request.node.name)):x}"


@pytest.fixture
def access(s3: Buckets) -> Access:
    return Access(environment=s3.environment, timeout_s=5)


def test_a_model_in_a_bucket_arrives_whole(
    s3: Buckets, access: Access, bucket: str, model: Path, get: Fetch
) -> None:
    s3.fill(bucket, "org/model", content(model) | {"README.md": b"never wanted"})
    source = BucketModel("s3", bucket, "org/model")
    directory = get(source, access=access)
    assert content(directory) == content(model)
    assert get(source, access=access) == directory
    assert get(source, offline=True) == directory


class Unsteady(Handler):
    """As much of S3 as one object needs, over a line that breaks."""

    def answer(self, path: str, query: dict[str, str]) -> None:
        data = safetensors("object")
        if "list-type" in query:
            entry = f"<Contents><Key>m/model.safetensors</Key><Size>{len(data)}</Size>"
            entry += "<LastModified>2026-11-21T00:00:00Z</LastModified>"
            entry += f'<ETag>"{hashlib.md5(data).hexdigest()}"</ETag></Contents>'  # noqa: S324
            self.send(200, f"<ListBucketResult>{entry}</ListBucketResult>".encode())
        else:
            self.send_file(path, data, last_modified="Sat, 21 Nov 2026 00:00:00 GMT", etag='"x"')


@pytest.mark.parametrize("cuts", [[1_000_000, 300_000, 50_000], [0, 0, 0]], ids=["late", "early"])
def test_a_large_object_arrives_whole_over_cuts(
    access: Access, get: Fetch, cuts: list[int]
) -> None:
    with running(Origin(Unsteady)) as server:
        server.faults.cuts = list(cuts)
        unsteady = Access(environment={**access.environment, "AWS_ENDPOINT_URL": server.url})
        directory = get(BucketModel("s3", "bucket", "m"), access=unsteady)
        assert not server.faults.cuts
        assert server.sent_bytes < 1.5 * len(safetensors("object"))
    assert content(directory) == {"model.safetensors": safetensors("object")}


def test_a_corrupt_object_is_found_by_its_etag(access: Access, get: Fetch) -> None:
    with running(Origin(Unsteady)) as server:
        server.faults.corrupt = -1
        unsteady = Access(environment={**access.environment, "AWS_ENDPOINT_URL": server.url})
        with pytest.raises(SourceError, match=r"model\.safetensors is damaged"):
            get(BucketModel("s3", "bucket", "m"), access=unsteady)


def test_an_object_that_changes_is_fetched_again(
    s3: Buckets, access: Access, bucket: str, model: Path, get: Fetch
) -> None:
    source = BucketModel("s3", bucket, "m")
    s3.fill(bucket, "m", content(model))
    first = get(source, access=access)
    s3.fill(bucket, "m", {"config.json": b'{"model_type": "qwen3"}'})
    second = get(source, access=access)
    assert second != first
    assert (second / "config.json").read_bytes() == b'{"model_type": "qwen3"}'


def test_google_s_store_is_read_as_well(s3: Buckets, bucket: str, model: Path, get: Fetch) -> None:
    s3.fill(bucket, "m", content(model))
    access = Access(environment=s3.google_environment)
    directory = get(BucketModel("gs", bucket, "m"), access=access)
    assert content(directory) == content(model)


def test_a_profile_of_aws_gives_its_keys_and_place(
    s3: Buckets, bucket: str, model: Path, tmp_path: Path, get: Fetch
) -> None:
    s3.fill(bucket, "m", content(model))
    (tmp_path / "credentials").write_text(
        f"[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = {SECRET}\n"
    )
    (tmp_path / "config").write_text(f"[profile team]\nregion = us-east-1\nendpoint_url = {s3.url}")
    environment = {
        "AWS_PROFILE": "team",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    source = BucketModel("s3", bucket, "m")
    assert content(get(source, access=Access(environment=environment))) == content(model)
    lost = Access(environment=environment | {"AWS_PROFILE": "other"})
    with pytest.raises(SourceError, match="AWS_PROFILE is 'other'") as caught:
        get(BucketModel("s3", bucket, "n"), access=lost)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("no-such-bucket", "does not exist: check bucket"),
        ("{bucket}", "holds nothing: check bucket"),
    ],
    ids=["bucket", "prefix"],
)
def test_nothing_in_a_bucket_says_so(
    s3: Buckets, bucket: str, get: Fetch, place: str, sentence: str
) -> None:
    s3.fill(bucket, "m", {"config.json": b"{}"})
    source = BucketModel("s3", place.format(bucket=bucket), "elsewhere")
    with pytest.raises(SourceError, match=sentence) as caught:
        get(source, access=Access(environment=s3.environment))
    assert caught.value.cause is Cause.MISSING


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_that_is_not_there_is_called_that(get: Fetch, scheme: str) -> None:
    nowhere = "http://127.0.0.1:9"
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": nowhere,
        "STORAGE_EMULATOR_HOST": nowhere,
    }  # fmt: skip
    # Words of a path, and digits of the time it took, are no answer of the store.
    source = BucketModel(scheme, "b", "metadata/403")
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        get(source, access=Access(environment=environment, timeout_s=2))
    assert SECRET not in str(caught.value)


def test_what_is_mirrored_as_it_is_comes_back_with_checksums(
    s3: Buckets, access: Access, bucket: str, model: Path, get: Fetch
) -> None:
    s3.fill(bucket, "x", {})
    place = mirror(model, f"s3://{bucket}/m", access=access)
    assert place == f"s3://{bucket}/m"
    # A file that is damaged in the bucket, at the same size.
    data = bytearray((model / SHARD).read_bytes())
    data[-1] ^= 1
    s3.fill(bucket, "m", {SHARD: bytes(data)})
    with pytest.raises(ModelNotAvailableError, match=rf"{SHARD} is damaged"):
        get(BucketModel("s3", bucket, "m"), access=access)
    s3.fill(bucket, "m", {SHARD: (model / SHARD).read_bytes()})
    assert content(get(BucketModel("s3", bucket, "m"), access=access)) == content(model)


def test_what_is_mirrored_already_is_not_sent_again(
    s3: Buckets, access: Access, bucket: str, model: Path
) -> None:
    s3.fill(bucket, "x", {})
    mirror(model, f"s3://{bucket}/m", access=access)
    (model / "config.json").write_text('{"model_type": "qwen3"}')
    before = s3.written(bucket)
    time.sleep(1.1)  # S3 tells times in seconds
    mirror(model, f"s3://{bucket}/m", access=access)
    changed = {name for name, at in s3.written(bucket).items() if before[name] != at}
    assert changed == {"m/config.json", "m/.unigate.json"}


def test_what_was_edited_after_the_download_is_mirrored_as_it_is_now(
    s3: Buckets, access: Access, bucket: str, model: Path, get: Fetch
) -> None:
    s3.fill(bucket, "fetched", content(model))
    workspace = materialise(
        get(BucketModel("s3", bucket, "fetched"), access=access), model.parent / "workspace"
    )
    (workspace / "tokenizer.json").write_text("[]")  # as long as before
    (workspace / "chat_template.jinja").write_text("{{ messages }}")
    mirror(workspace, f"s3://{bucket}/edited", access=access)
    assert content(get(BucketModel("s3", bucket, "edited"), access=access)) == content(workspace)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_mirror_stands_in_for_the_source(
    s3: Buckets, bucket: str, model: Path, get: Fetch, scheme: str
) -> None:
    s3.fill(bucket, "x", {})
    environment = s3.environment | s3.google_environment
    source = NgcModel("nim", "meta", "demo", "hf")
    mirror(model, f"s3://{bucket}", access=Access(environment=environment), source=source)
    name = "nim%2Fmeta%2Fdemo%3Ahf%3Ffile%3Dconfig.json"
    assert mirrored_name(source, "config.json") == name
    access = Access(environment=environment, override=f"{scheme}://{bucket}/")
    assert content(get(source, access=access)) == content(model)
    with pytest.raises(SourceError, match="has nothing of ngc://nim/meta/demo:other"):
        get(NgcModel("nim", "meta", "demo", "other"), access=access)


def test_a_web_mirror_stands_in_for_the_source(
    s3: Buckets, access: Access, bucket: str, model: Path, get: Fetch
) -> None:
    s3.fill(bucket, "x", {})
    source = HubModel("org/demo", "v1")
    mirror(model, f"s3://{bucket}", access=access, source=source)
    with web() as server:
        for path in [*content(model), ".unigate.json"]:
            name = mirrored_name(source, path)
            server.files[f"some/path/{name}"] = s3.get(f"{bucket}/{name.replace('%', '%25')}")
        server.credential = "Basic 5ecre75ecre7"
        override = f"{server.url}/some/path"
        allowed = Access(override=override, https_credential=server.credential)
        assert content(get(source, access=allowed)) == content(model)
        with pytest.raises(SourceError, match="set NIM_HTTPS_CREDENTIAL"):
            get(HubModel("org/demo", "v2"), access=Access(override=override))
        server.credential = None
        with pytest.raises(SourceError, match="mirror it first"):
            get(HubModel("org/demo", "v2"), access=Access(override=override))
        # NIM's own mirrors have no manifest, but their users name files.
        del server.files[f"some/path/{mirrored_name(source, '.unigate.json')}"]
        one = HubModel("org/demo", "v1", ("config.json",))
        assert set(content(get(one, access=Access(override=override)))) == {"config.json"}


@pytest.mark.parametrize("override", ["mirror", "s3://", "ftp://host/", "jfrog://host/"])
def test_a_mirror_that_is_not_understood_is_named(get: Fetch, override: str) -> None:
    access = Access(override=override)
    with pytest.raises(ModelReferenceError, match="NIM_REPOSITORY_OVERRIDE"):
        get(NgcModel("a", "b", "c", "1") if "jfrog" not in override else _odd(), access=access)


def _odd() -> object:

    return ModelScopeModel("org/demo")


def test_a_workspace_is_made_of_plain_files(
    model: Path, tmp_path: Path, get: Fetch, cache: Path
) -> None:
    with hub(model) as server:
        directory = get(HubModel("org/demo"), endpoint=server.url)
    target = materialise(directory, tmp_path / "workspace")
    assert content(target) == content(model)
    assert (target / SHARD).stat().st_ino == (directory / SHARD).stat().st_ino
    # Editing it leaves the store alone.
    (target / "config.json").write_text("{}")
    assert get(HubModel("org/demo"), offline=True) == directory
    # A directory that is there, as a mounted volume is, is filled.
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "lost+found").mkdir()
    assert content(materialise(directory, tmp_path / "volume")) == content(model)
    assert content(materialise(directory, tmp_path / "volume")) == content(model)
    assert not list(tmp_path.glob("*/.config.json.*"))


def test_a_fine_tuned_checkpoint_goes_on_top_of_its_base(model: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    (tuned / "model.safetensors").write_bytes(b"tuned")
    (tuned / "config.json").write_text('{"model_type": "tuned"}')
    target = materialise([tuned, model], tmp_path / "workspace")
    assert content(target) == {
        "model.safetensors": b"tuned",
        "config.json": b'{"model_type": "tuned"}',
        "tokenizer.json": b"{}",
    }


def test_a_mirror_may_be_a_directory(model: Path, tmp_path: Path) -> None:
    place = mirror(model, str(tmp_path / "copy"), access=Access())
    assert content(Path(place)) == content(model)
    with pytest.raises(ModelReferenceError, match="s3://, gs:// or a directory"):
        mirror(model, "hf://org/model", access=Access())
