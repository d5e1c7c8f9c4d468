"""Proxies and certificates, as every library on the way to a model takes them."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.source import BucketModel, HubModel, NgcModel, RemoteModel
from profiles.sources.opening import open_remote
from tests.support.hub import Hub, hub
from tests.support.origin import Handler, Origin, running
from tests.support.proxy import encrypt, proxy
from tests.support.registries import PERSONAL_KEY, ngc
from tests.unit.profiles.store.conftest import Fetch, content

FETCHING = Path(__file__).with_name("fetching.py")
ROOT = Path(__file__).parents[4]


class EmptyBucket(Handler):
    """As much of S3 as an empty bucket needs."""

    def answer(self, path: str, query: dict[str, str]) -> None:
        self.send(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side of TLS, under a name that nobody can resolve."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hub.invalid", "127.0.0.1").configure_cert(made)
    return made


@pytest.fixture
def tls_bucket(context: ssl.SSLContext) -> Iterator[Origin]:
    server = Origin(EmptyBucket)
    encrypt(server, context)
    with running(server):
        yield server


@pytest.fixture
def tls_hub(model: Path, context: ssl.SSLContext) -> Iterator[Hub]:
    server = Hub(model)
    encrypt(server, context)
    with running(server):
        yield server


def fetch_in_process(cache: Path, url: str, **environment: str) -> str:
    """What a process with these variables says: httpx reads them from its environment."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(FETCHING), url, str(cache)],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HF_TOKEN": "x", **environment},
    )  # fmt: skip
    return done.stdout.strip() or done.stderr


def test_a_hub_behind_a_proxy_with_a_certificate_of_ones_own(
    tls_hub: Hub, model: Path, cache: Path, bundle: str
) -> None:
    tls_hub.cdn = "https://hub.invalid"
    with proxy({"hub.invalid:443": tls_hub.server_address[1]}) as way:
        said = fetch_in_process(
            cache, "https://hub.invalid", HTTPS_PROXY=way.url, SSL_CERT_FILE=bundle
        )
        assert content(Path(said)) == content(model)
        assert set(way.asked) == {"hub.invalid:443"}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [("HTTPS_PROXY", "set SSL_CERT_FILE to a bundle"), ("SSL_CERT_FILE", "HTTPS_PROXY")],
    ids=["no certificate", "no proxy"],
)
def test_what_is_missing_on_the_way_is_named(
    tls_hub: Hub, cache: Path, bundle: str, variables: str, sentence: str
) -> None:
    with proxy({"hub.invalid:443": tls_hub.server_address[1]}) as way:
        known = {"HTTPS_PROXY": way.url, "SSL_CERT_FILE": bundle}
        said = fetch_in_process(cache, "https://hub.invalid", **{variables: known[variables]})
    assert "exit 4" in said
    assert sentence in said


def test_no_proxy_leads_past_the_proxy(model: Path, cache: Path) -> None:
    with hub(model) as server:
        said = fetch_in_process(
            cache, server.url, HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1"
        )
    assert content(Path(said)) == content(model)


def bucket_access(url: str, **environment: str) -> Access:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": url}
    return Access(environment=keys | environment, timeout_s=3)


def refused(source: RemoteModel, access: Access) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_remote(source, access).listing()
    return caught.value


def test_a_bucket_with_a_certificate_of_ones_own(tls_bucket: Origin, bundle: str) -> None:
    url = tls_bucket.url.replace("http:", "https:")
    source = BucketModel("s3", "bucket", "m")
    stranger = refused(source, bucket_access(url))
    assert stranger.cause is Cause.UNREACHABLE
    assert "SSL_CERT_FILE" in str(stranger)
    # Through the handshake, to the answer that nothing is in it.
    assert refused(source, bucket_access(url, SSL_CERT_FILE=bundle)).cause is Cause.MISSING
    lost = refused(source, bucket_access(url, SSL_CERT_FILE="/nowhere.pem"))
    assert "SSL_CERT_FILE cannot be read" in str(lost)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_bucket_behind_a_proxy(tls_bucket: Origin, bundle: str, variable: str) -> None:
    source = BucketModel("s3", "bucket", "m")
    with proxy({"hub.invalid:443": tls_bucket.server_address[1]}) as way:
        said = {variable: way.url, "SSL_CERT_FILE": bundle}
        found = refused(source, bucket_access("https://hub.invalid", **said))
        assert found.cause is Cause.MISSING
        assert set(way.asked) == {"hub.invalid:443"}
    with proxy({}) as way:
        url = tls_bucket.url.replace("http:", "https:")
        said = {variable: way.url, "SSL_CERT_FILE": bundle, "NO_PROXY": "127.0.0.1"}
        assert refused(source, bucket_access(url, **said)).cause is Cause.MISSING
        assert not way.asked


def test_a_registry_behind_a_proxy(
    model: Path, get: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain HTTP goes through a proxy by its whole address; the fake serves it as its own."""
    with ngc(model) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        nowhere = "http://ngc.invalid"
        access = Access(ngc_endpoint=nowhere, ngc_auth_endpoint=nowhere, ngc_key=PERSONAL_KEY)
        directory = get(NgcModel("nim", "meta", "demo", "1"), access=access)
    assert content(directory) == content(model)


def test_variables_become_access() -> None:
    access = Access.from_environment(
        {
            "HF_ENDPOINT": "https://hub.example",
            "HF_TOKEN": "hf_5ecre7",
            "NGC_API_KEY": "second",
            "NGC_CLI_API_KEY": "first5ecre7",
            "MODELSCOPE_API_TOKEN": " ",
            "NGC_API_ENDPOINT": "ngc.example",
            "AWS_SECRET_ACCESS_KEY": "aws5ecre7",
            "NIM_REPOSITORY_OVERRIDE": "s3://mirror/",
        }
    )
    assert access.hub_endpoint == "https://hub.example"
    assert access.ngc_key == "first5ecre7"
    assert access.ngc_endpoint == "https://ngc.example"
    assert access.modelscope_token is None
    assert access.override == "s3://mirror/"
    assert set(access.secrets) >= {"hf_5ecre7", "first5ecre7", "aws5ecre7"}
    assert not any(secret in repr(access) for secret in access.secrets)


def test_a_source_needs_no_network_to_be_opened() -> None:
    for source in (HubModel("a/b"), NgcModel("a", None, "b", "1"), BucketModel("gs", "b", "")):
        environment = {"GOOGLE_SKIP_SIGNATURE": "true"}
        open_remote(source, Access(environment=environment)).close()
