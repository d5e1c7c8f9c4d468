"""Whether credentials still hold: asked while a server serves, and long before they are needed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from profiles.access import Access
from profiles.credentials import Status, check
from profiles.redaction import redact
from profiles.source import BucketModel, HubModel, LocalModel, ModelScopeModel, NgcModel
from tests.support.bucket import SECRET, buckets
from tests.support.hub import TOKEN, hub
from tests.support.registries import LEGACY_KEY, PERSONAL_KEY, modelscope, ngc


def test_a_directory_needs_none(tmp_path: Path) -> None:
    assert check(LocalModel(tmp_path), Access()).status is Status.NONE


@pytest.mark.parametrize(
    ("repository", "token", "fault", "status"),
    [
        ("org/demo", TOKEN, None, Status.OK),
        ("org/private", TOKEN, None, Status.OK),
        ("org/private", "hf_another", None, Status.REFUSED),
        ("org/gated", TOKEN, None, Status.REFUSED),
        ("org/demo", TOKEN, "expired", Status.EXPIRED),
        ("org/demo", TOKEN, "revoked", Status.REFUSED),
    ],
)
def test_the_token_of_a_hub(
    model: Path, repository: str, token: str, fault: str | None, status: Status
) -> None:
    with hub(model) as server:
        if fault:
            setattr(server, fault, True)
        found = check(HubModel(repository), Access(hub_endpoint=server.url, hub_token=token))
        assert not server.sent
    assert found.status is status
    assert token not in found.sentence


def test_the_key_of_ngc(model: Path) -> None:
    source = NgcModel("nim", "meta", "demo", "1")
    with ngc(model) as server:

        def status(key: str | None) -> Status:
            url = server.url
            access = Access(ngc_endpoint=url, ngc_auth_endpoint=url, ngc_key=key)
            return check(source, access).status

        assert status(LEGACY_KEY) is Status.OK
        assert status(PERSONAL_KEY) is Status.OK
        assert status("nvapi-revoked") is Status.REFUSED
        assert status(None) is Status.REFUSED
        server.expired = True
        assert status(LEGACY_KEY) is Status.EXPIRED


def test_no_token_where_none_is_needed(model: Path) -> None:
    with modelscope(model) as server:
        found = check(ModelScopeModel("org/demo"), Access(modelscope_endpoint=server.url))
    assert found.status is Status.NONE


def test_the_keys_of_a_bucket_and_their_end(model: Path) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    with buckets() as s3:
        s3.fill("bucket", "m", {"config.json": b"{}"})
        source = BucketModel("s3", "bucket", "m")
        end = {"AWS_CREDENTIAL_EXPIRATION": soon.isoformat()}
        found = check(source, Access(environment=s3.environment | end))
        assert (found.status, found.expires_at) == (Status.OK, soon)
        past = {"AWS_CREDENTIAL_EXPIRATION": "2026-01-01T00:00:00Z"}
        found = check(source, Access(environment=s3.environment | past))
        assert found.status is Status.EXPIRED
        assert "2026-01-01" in found.sentence
        assert SECRET not in found.sentence


@pytest.mark.parametrize(
    "source",
    [HubModel("org/demo"), NgcModel("a", "b", "c", "1"), ModelScopeModel("a/b")],
    ids=["hf", "ngc", "modelscope"],
)
def test_silence_says_nothing_about_credentials(source: HubModel) -> None:
    nowhere = "http://127.0.0.1:9"
    access = Access(
        hub_endpoint=nowhere, ngc_endpoint=nowhere, modelscope_endpoint=nowhere, hub_token=TOKEN
    )
    assert check(source, access).status is Status.UNREACHABLE


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("GET https://cdn/x?X-Amz-Signature=5ecre7&a=b failed", "GET https://cdn/x failed"),
        ("proxy http://me:5ecre7@proxy:3128 refuses", "proxy http://proxy:3128 refuses"),
        ("header Authorization: Bearer 5ecre75ecre7", "header Authorization: Bearer ***"),
        ("the key hf_5ecre7 is wrong", "the key *** is wrong"),
    ],
    ids=["signature", "password", "bearer", "known"],
)
def test_secrets_are_taken_out_of_what_others_say(text: str, safe: str) -> None:
    assert redact(text, ["hf_5ecre7"]) == safe
