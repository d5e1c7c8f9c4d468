"""What the server says about itself, in NIM's schema."""

import hashlib
from pathlib import Path

from tests.support.server import Server

LICENCE = Path(__file__).parents[2] / "LICENSE"


def test_metadata_names_the_model_and_the_profile(server: Server) -> None:
    body = server.get("/v1/metadata").json()
    assert body["modelInfo"] == [{"modelUrl": "unigate-demo", "shortName": "unigate-demo"}]
    assert body["licenseInfo"]["name"] == "Apache-2.0"
    assert body["repository_override"] == ""
    listed = {profile["id"] for profile in server.get("/v1/manifest").json()["profiles"]}
    assert body["selectedModelProfileId"] in listed
    assert body["version"] == server.get("/v1/version").json()["release"]


def test_the_licence_is_given_with_its_text(server: Server) -> None:
    body = server.get("/v1/license").json()
    assert body["content"] == LICENCE.read_text()
    assert body["sha"] == hashlib.sha256(LICENCE.read_bytes()).hexdigest()
    assert body["size"] == LICENCE.stat().st_size
