"""NIM's manifests, and the copy that is kept for offline starts."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from profiles.errors import ManifestError
from profiles.manifest import Manifest, read_manifest, write_manifest
from profiles.profile import Objective, Origin, Profile
from profiles.runtime_manifest import FILE_NAME, Cached, Stamp, cached, write_atomically
from tests.support.machines import machine
from tests.support.models import profiles_of

ID, OTHER_ID = "a" * 64, "b" * 64
VERSION_1 = f"""
{ID}:
  model: meta/llama-3.1-8b-instruct
  release: 1.3.0
  tags: {{llm_engine: vllm, precision: bf16, tp: '2', pp: '1', feat_lora: 'true', profile: latency}}
  container_url: registry.example/meta/llama
  workspace: !workspace
    components:
      - dst: ''
        src:
          repo_id: ngc://nim/meta/llama-3.1-8b-instruct:hf
          files:
            - !name 'config.json'
            - !name 'model.safetensors'
      - dst: extra
        src: {{repo_id: ngc://nim/meta/more, files: [!name 'x']}}
{OTHER_ID}:
  tags: {{llm_engine: tensorrt_llm, precision: fp8, tp: '1', gpu: H100}}
  workspace: !workspace {{components: []}}
"""
VERSION_2 = f"""
schema_version: 2.0.0
profile_selection_criteria: default
profiles:
  - id: {ID}
    tags:
      backend: vllm
      gpu: H100_NVL
      gpu_device: 2321:10de
      precision: fp8
      tp: '2'
      nim_json_args: '{{"max_num_seqs": 256, "enable-expert-parallel": true, "eager": false}}'
    workspace:
      files:
        config.json: {{uri: 'ngc://nim/meta/llama:fp8?file=config.json'}}
"""
STAMP = Stamp(model="hf://org/model:main", config="c0ffee", machine="8 h100", unigate="1", vllm="0")


def test_version_1_is_read_with_its_tags() -> None:
    manifest = read_manifest(VERSION_1, file="model_manifest.yaml")
    (profile,) = manifest.profiles  # the other is not for vLLM
    assert profile.id == ID
    assert profile.name == "vllm-bf16-tp2-pp1-latency-lora"
    assert profile.origin is Origin.MANIFEST
    assert profile.weights == "ngc://nim/meta/llama-3.1-8b-instruct:hf"
    assert manifest.files[ID] == {
        "config.json": "ngc://nim/meta/llama-3.1-8b-instruct:hf?file=config.json",
        "model.safetensors": "ngc://nim/meta/llama-3.1-8b-instruct:hf?file=model.safetensors",
        "extra/x": "ngc://nim/meta/more?file=x",
    }


def test_version_2_is_read_with_its_flags() -> None:
    manifest = read_manifest(VERSION_2, file="model_manifest.yaml")
    (profile,) = manifest.profiles
    assert profile.id == ID
    assert profile.name == "vllm-h100-fp8-tp2-pp1"
    assert profile.arguments == {"--max-num-seqs": "256", "--enable-expert-parallel": ""}
    assert manifest.files[ID] == {"config.json": "ngc://nim/meta/llama:fp8?file=config.json"}


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        ("tp: '2'", "tp: two", "m.yaml: aaaaaaaaaaaa: tp is 'two'"),
        ("precision: fp8", "precision: fp9", "precision is 'fp9'; use one of"),
        ("precision: fp8", "", "precision is ''"),
        ("true", "tru", "nim_json_args is not JSON"),
        ("'{\"max", "'[]' #", "nim_json_args is not a JSON object"),
        (f"id: {ID}", "name: x", "profiles.0 has no id"),
        ("backend: vllm", "backend: triton", "no profile for vLLM"),
        ("profiles:\n", "profiles: 3\nrest:\n", "profiles should be a list"),
        ("profiles:", "profiles: !python/object:os.system", "has tags of its own"),
        (VERSION_2, "", "should be a mapping"),
        (VERSION_2, "{", "is not YAML"),
    ],
    ids=[
        "tp", "precision", "no precision", "json", "list", "id", "engine", "profiles", "code",
        "empty", "yaml",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_manifest_is_named(good: str, bad: str, sentence: str) -> None:
    assert good in VERSION_2
    with pytest.raises(ManifestError, match=sentence):
        read_manifest(VERSION_2.replace(good, bad), file="m.yaml")


def test_the_same_id_twice_is_refused() -> None:
    entry = VERSION_2.partition("profiles:\n")[2]
    with pytest.raises(ManifestError, match="is there twice"):
        read_manifest(VERSION_2 + entry, file="m.yaml")


def test_what_is_written_is_nims_version_2() -> None:
    profile = Profile(gpu="h100", precision="fp8", tp=2, objective=Objective.LATENCY, lora=True)
    files = {profile.id: {"config.json": "hf://org/model:main?file=config.json"}}
    text = write_manifest(Manifest(profiles=(profile,), files=files))
    contents = yaml.safe_load(text)
    assert contents["schema_version"] == "2.0.0"
    assert contents["profile_selection_criteria"] == "default"
    (entry,) = contents["profiles"]
    assert entry["id"] == profile.id
    assert entry["tags"] == {
        "llm_engine": "vllm", "gpu": "h100", "precision": "fp8", "tp": "2", "pp": "1",
        "profile": "latency", "feat_lora": "true",
    }  # fmt: skip
    assert entry["workspace"]["files"]["config.json"] == {
        "uri": "hf://org/model:main?file=config.json"
    }


def test_profiles_survive_being_written_and_read() -> None:
    profiles = profiles_of("llama-3.1-70b-instruct", machine("h100", 8))
    written = Manifest(profiles=profiles, stamp={"model": "x"})
    read = read_manifest(write_manifest(written), file="m.yaml")
    assert read.stamp == {"model": "x"}
    for before, after in zip(profiles, read.profiles, strict=True):
        assert after.id == before.id
        assert replace(after, given_id=None).id == before.id
        assert (after.name, after.needs_pin, after.source) == (
            before.name, before.needs_pin, before.source,
        )  # fmt: skip


class Maker:
    """Makes a manifest, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Manifest:
        self.count += 1
        return Manifest(profiles=(Profile(precision="bf16"),))


def kept(directory: Path, stamp: Stamp = STAMP) -> tuple[Cached, int]:
    make = Maker()
    return cached(directory, stamp, make), make.count


def test_a_manifest_is_made_once_and_then_reused(tmp_path: Path) -> None:
    first, made = kept(tmp_path)
    assert (first.is_reused, made, first.note) == (False, 1, "")
    again, made = kept(tmp_path)
    assert (again.is_reused, made) == (True, 0)
    assert [p.id for p in again.manifest.profiles] == [p.id for p in first.manifest.profiles]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("tag", ["model", "config", "machine", "unigate", "vllm"])
def test_a_stale_manifest_is_made_anew(tmp_path: Path, tag: str) -> None:
    kept(tmp_path)
    changed = replace(STAMP, **{tag: "another"})
    anew, made = kept(tmp_path, changed)
    assert (anew.is_reused, made) == (False, 1)
    assert f"it was for another {tag}" in anew.note
    assert kept(tmp_path, changed)[0].is_reused


@pytest.mark.parametrize(
    "contents", [b"", b"{", b"\xff\xfe", b"profiles: []", VERSION_1.encode()],
    ids=["empty", "broken", "binary", "no profiles", "NIM's own"],
)  # fmt: skip
def test_a_broken_manifest_is_made_anew(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(contents)
    anew, made = kept(tmp_path)
    assert (anew.is_reused, made) == (False, 1)
    assert "is made anew" in anew.note


def test_a_store_that_cannot_be_written_costs_the_copy_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    made, count = kept(blocked / "store")
    assert (made.is_reused, count) == (False, 1)
    assert made.manifest.profiles
    assert "cannot be written" in made.note


def test_nobody_sees_half_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "store" / FILE_NAME
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [found.name for found in path.parent.iterdir()] == [FILE_NAME]


def test_a_write_that_fails_leaves_the_old_one_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == [FILE_NAME]
