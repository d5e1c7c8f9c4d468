"""S3 on loopback: moto's server, with buckets of its own for each test."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

SECRET = "5ecre7Acce55Key5ecre7"  # noqa: S105  # opens nothing


class Buckets:
    """The server, and what a client has to know of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(verify=False)  # noqa: S501  # plain HTTP: no bundle to read

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "AKIAFORTESTS",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_S3_USE_PATH_STYLE": "true",
        }

    @property
    def google_environment(self) -> dict[str, str]:
        # Google's XML API is S3's but for names of headers; obstore speaks it.
        return {"STORAGE_EMULATOR_HOST": self.url}

    def fill(self, bucket: str, prefix: str, files: dict[str, bytes]) -> None:
        self._client.put(f"{self.url}/{bucket}").raise_for_status()
        # Open to all, so that what is read without a signature can be tested too.
        everything = f"arn:aws:s3:::{bucket}/*"
        rule = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": everything}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        self._client.put(f"{self.url}/{bucket}?policy", content=policy).raise_for_status()
        for name, data in files.items():
            self._client.put(
                f"{self.url}/{bucket}/{prefix}/{name}", content=data
            ).raise_for_status()

    def written(self, bucket: str) -> dict[str, object]:
        """When each object was written last."""
        store = S3Store(
            bucket, endpoint=self.url, region="us-east-1", access_key_id="x",
            secret_access_key="y", client_options={"allow_http": True},  # noqa: S106
        )  # fmt: skip
        return {o["path"]: o["last_modified"] for batch in store.list() for o in batch}

    def close(self) -> None:
        self._client.close()

    def get(self, place: str) -> bytes:
        return self._client.get(f"{self.url}/{place}").raise_for_status().content


@contextmanager
def buckets() -> Iterator[Buckets]:
    """S3 runs while the block does."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = Buckets(f"http://{host}:{port}")
    try:
        yield found
    finally:
        found.close()
        server.stop()
