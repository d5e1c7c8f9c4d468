"""Fetching from a hub, over real sockets and with the hub's own client."""

import json
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from profiles.access import Access
from profiles.download import fetch
from profiles.errors import Cause, ModelNotAvailableError, SourceError
from profiles.source import HubModel
from profiles.store.transfer import Patience
from tests.support.hub import COMMIT, SIGNATURE, TOKEN, hub
from tests.unit.profiles.store.conftest import Fetch, content, safetensors

DEMO = HubModel("org/demo")
SHARD = "model-00001-of-00002.safetensors"


def test_a_model_is_fetched_once_and_served_from_the_store(model: Path, get: Fetch) -> None:
    (model / "model.onnx").write_bytes(b"another engine's")
    (model / "pytorch_model.bin").write_bytes(b"the same weights again")
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
        sent_bytes = server.sent_bytes
        assert get(DEMO, endpoint=server.url) == directory
        assert server.sent_bytes == sent_bytes
    assert directory.name == COMMIT
    wanted = content(model)
    del wanted["model.onnx"], wanted["pytorch_model.bin"]
    assert content(directory) == wanted
    assert get(DEMO, offline=True) == directory


def test_a_commit_in_the_store_is_served_without_asking(model: Path, get: Fetch) -> None:
    source = HubModel("org/demo", COMMIT)
    with hub(model) as server:
        directory = get(source, endpoint=server.url)
        server.requests.clear()
        assert get(source, endpoint=server.url) == directory
        assert not server.requests


@pytest.mark.parametrize("cuts", [[1], [500_000, 400_000, 300_000]], ids=["one", "three"])
def test_a_model_arrives_whole_over_cuts(model: Path, get: Fetch, cuts: list[int]) -> None:
    with hub(model) as server:
        server.faults.cuts = list(cuts)
        directory = get(DEMO, endpoint=server.url, workers=1)
        assert not server.faults.cuts
        # Nothing came twice.
        assert server.sent_bytes == sum(len(data) for data in content(model).values())
    assert content(directory) == content(model)


def test_what_has_arrived_is_used_by_the_next_attempt(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        server.faults.cuts = [1_000_000, 0, 0, 0]
        with pytest.raises(ModelNotAvailableError, match=r"kept for the next time"):
            get(DEMO, endpoint=server.url, workers=1)
        server.faults.cuts = []
        assert content(get(DEMO, endpoint=server.url)) == content(model)
        assert server.sent[SHARD] == (model / SHARD).stat().st_size


def test_a_server_without_ranges_is_read_from_the_start(
    model: Path, get: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    with hub(model) as server:
        server.faults.without_ranges = True
        server.faults.cuts = [700_000]
        assert content(get(DEMO, endpoint=server.url, workers=1)) == content(model)
    assert "download.interrupted" in caplog.text
    assert "download.corrupt" not in caplog.text


def test_a_server_that_is_overloaded_is_asked_again(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        server.faults.statuses = [503, 429]
        assert content(get(DEMO, endpoint=server.url, workers=1)) == content(model)


def test_a_hub_that_says_later_to_its_listing_is_asked_again(model: Path, get: Fetch) -> None:
    with hub(model) as origin:
        origin.faults.busy = [429, 503, 502]
        assert content(get(DEMO, endpoint=origin.url)) == content(model)


def test_a_hub_that_says_nothing_but_later_is_given_up(model: Path, get: Fetch) -> None:
    with hub(model) as origin:
        origin.faults.busy = [503] * 20
        with pytest.raises(SourceError, match="503"):
            get(DEMO, endpoint=origin.url)
        assert len(origin.requests) == 4


def test_silence_in_the_middle_is_not_waited_for_for_ever(model: Path, cache: Path) -> None:
    with hub(model) as server:
        server.faults.stall = True
        access = Access(hub_endpoint=server.url, timeout_s=0.2)
        with pytest.raises(SourceError, match="attempts in vain") as caught:
            fetch(DEMO, cache=cache, access=access, patience=Patience(attempts=2, first_wait_s=0))
    assert caught.value.cause is Cause.UNREACHABLE


def test_a_corrupt_file_is_fetched_again(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        server.faults.corrupt = 1
        assert content(get(DEMO, endpoint=server.url, workers=1)) == content(model)


@pytest.mark.parametrize("broken", ["config.json", SHARD])
def test_a_file_that_stays_corrupt_is_never_published(
    model: Path, get: Fetch, cache: Path, broken: str
) -> None:
    with hub(model) as server:
        server.faults.corrupt = -1
        source = HubModel("org/demo", None, (broken,))
        with pytest.raises(ModelNotAvailableError, match=rf"{broken} is damaged .*twice"):
            get(source, endpoint=server.url)
    assert not list(cache.rglob("models/*/*"))
    with pytest.raises(ModelNotAvailableError, match="not in the cache"):
        get(source, offline=True)


def test_a_moved_branch_fetches_only_what_has_changed(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        first = get(DEMO, endpoint=server.url)
        server.commit = "f" * 40
        (model / "config.json").write_text('{"model_type": "qwen3"}')
        server.sent.clear()
        second = get(DEMO, endpoint=server.url)
        # Its large files have the same checksums.
        assert not any(name.endswith(".safetensors") for name in server.sent)
    assert second != first
    assert content(second) == content(model)
    assert json.loads((first / "config.json").read_text()) == {"model_type": "llama"}
    assert get(DEMO, offline=True) == second


def test_one_file_can_be_asked_for(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        directory = get(HubModel("org/demo", None, ("config.json",)), endpoint=server.url)
        assert set(content(directory)) == {"config.json"}
        # That is not the model.
        with pytest.raises(ModelNotAvailableError, match="not in the cache"):
            get(DEMO, offline=True)
        with pytest.raises(ModelNotAvailableError, match=r"no file 'confg\.json'"):
            get(HubModel("org/demo", None, ("confg.json",)), endpoint=server.url)


def test_files_below_the_model_are_kept_where_they_are(model: Path, get: Fetch) -> None:
    (model / "chat").mkdir()
    (model / "chat" / "template.jinja").write_text("{{ messages }}")
    (model / "empty.json").write_text("")
    with hub(model) as server:
        assert content(get(DEMO, endpoint=server.url)) == content(model)


@pytest.mark.parametrize(
    ("source", "sentence", "cause"),
    [
        (HubModel("org/gated"), "is gated: accept its licence", Cause.GATED),
        (HubModel("org/nothing"), "does not exist, or is private", Cause.MISSING),
        (HubModel("org/private"), "does not exist, or is private", Cause.MISSING),
        (HubModel("org/demo", "nowhere"), "has no revision 'nowhere'", Cause.MISSING),
        (HubModel("a--b/c"), "is not a name a hub can have", Cause.MISSING),
    ],
    ids=["gated", "missing", "private", "revision", "name"],
)
def test_a_refusal_says_what_to_do(
    model: Path, get: Fetch, source: HubModel, sentence: str, cause: Cause
) -> None:
    with hub(model) as server, pytest.raises(SourceError, match=sentence) as caught:
        get(source, endpoint=server.url, token="hf_x")  # noqa: S106
    assert caught.value.cause is cause
    assert not server.sent


@pytest.mark.parametrize(
    ("fault", "sentence", "cause"),
    [
        ("expired", "token in HF_TOKEN has expired", Cause.EXPIRED),
        ("revoked", "refuses the token in HF_TOKEN", Cause.REFUSED),
    ],
)
def test_a_bad_token_is_named_but_not_shown(
    model: Path, get: Fetch, fault: str, sentence: str, cause: Cause
) -> None:
    with hub(model) as server:
        setattr(server, fault, True)
        with pytest.raises(SourceError, match=sentence) as caught:
            get(DEMO, endpoint=server.url, token=TOKEN)
    assert caught.value.cause is cause
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_private_model_comes_with_its_token_which_the_cdn_never_sees(
    model: Path, get: Fetch
) -> None:
    with hub(model) as server, hub(model) as cdn:
        server.cdn = cdn.url
        directory = get(HubModel("org/private"), endpoint=server.url, token=TOKEN)
        assert cdn.sent
        assert all("authorization" not in headers for headers in cdn.headers_seen)
    assert content(directory) == content(model)


def test_no_secret_is_in_messages_or_logs(
    model: Path, get: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="profiles")
    with hub(model) as server:
        server.faults.cuts = [10] * 30
        server.faults.statuses = [403]
        with pytest.raises(SourceError) as refused:
            get(HubModel("org/private"), endpoint=server.url, token=TOKEN, workers=1)
        server.faults.statuses = []
        server.faults.cuts = [10, *[0] * 30]
        with pytest.raises(SourceError) as cut:
            get(HubModel("org/private"), endpoint=server.url, token=TOKEN, workers=1)
    said = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    said += repr(refused.value) + repr(cut.value)
    assert TOKEN not in said
    assert SIGNATURE.partition("=")[2] not in said


def test_a_hub_that_is_gone_does_not_stop_a_model_that_is_here(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
        server.revoked = True
        assert get(DEMO, endpoint=server.url, token=TOKEN) == directory
    assert get(DEMO, endpoint="http://127.0.0.1:9") == directory


def test_a_hub_that_is_not_there_is_named_with_the_ways_out(get: Fetch) -> None:
    with pytest.raises(ModelNotAvailableError, match=r"cannot be reached.*HF_ENDPOINT"):
        get(DEMO, endpoint="http://127.0.0.1:9")


def test_a_name_that_leaves_the_directory_is_not_followed(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        (model / "..\\evil.json").write_text("{}")
        assert "..\\evil.json" not in content(get(DEMO, endpoint=server.url))


def hub_cache(model: Path, root: Path, *, without: tuple[str, ...] = ()) -> Path:
    """What huggingface_hub would have made of the model."""
    repository = root / "models--org--demo"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for name, data in content(model).items():
        if name not in without:
            (repository / "blobs" / f"blob-{name}").write_bytes(data)
            (snapshot / name).symlink_to(f"../../blobs/blob-{name}")
    return snapshot


def test_a_model_in_a_hubs_cache_is_used_in_place(model: Path, tmp_path: Path, get: Fetch) -> None:
    snapshot = hub_cache(model, tmp_path / "hub")
    caches = [tmp_path / "none", tmp_path / "hub"]
    assert get(DEMO, offline=True, hub_caches=caches) == snapshot
    with hub(model) as server:
        assert get(DEMO, endpoint=server.url, hub_caches=caches) == snapshot
        assert not server.sent_bytes
        assert get(DEMO, endpoint=server.url, hub_caches=caches, verify_every_file=True) == snapshot


@pytest.mark.parametrize("lost", [SHARD, "config.json", "tokenizer.json"])
def test_half_a_hubs_cache_is_not_a_model(
    model: Path, tmp_path: Path, get: Fetch, lost: str
) -> None:
    hub_cache(model, tmp_path / "hub", without=(lost,))
    caches = [tmp_path / "hub"]
    with pytest.raises(ModelNotAvailableError, match=lost.replace(".", r"\.")):
        get(DEMO, offline=True, hub_caches=caches)
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url, hub_caches=caches)
    assert content(directory) == content(model)
    assert tmp_path / "hub" not in directory.parents


def test_a_damaged_file_in_a_hubs_cache_is_found_when_every_file_is_read(
    model: Path, tmp_path: Path, get: Fetch
) -> None:
    snapshot = hub_cache(model, tmp_path / "hub")
    data = bytearray(safetensors(SHARD))
    data[-1] ^= 1
    (snapshot / SHARD).write_bytes(data)
    with hub(model) as server:
        options = {"endpoint": server.url, "hub_caches": [tmp_path / "hub"]}
        assert get(DEMO, **options) == snapshot  # of the right size: not looked into
        assert content(get(DEMO, **options, verify_every_file=True)) == content(model)


def test_half_a_model_of_huggingface_hub_itself_is_not_a_model(
    model: Path, tmp_path: Path, get: Fetch
) -> None:
    """What its own listing, which it keeps beside the files, says about a cut."""
    (model / "generation_config.json").write_text("{}")  # nothing in the model points to it
    caches = [tmp_path / "hub"]
    with hub(model) as server:
        snapshot = Path(
            snapshot_download("org/demo", cache_dir=caches[0], endpoint=server.url, token=False)
        )
    assert get(DEMO, offline=True, hub_caches=caches) == snapshot
    (snapshot / "generation_config.json").unlink()
    with pytest.raises(ModelNotAvailableError, match=r"lacks 1 of 6 files.*generation_config"):
        get(DEMO, offline=True, hub_caches=caches)
