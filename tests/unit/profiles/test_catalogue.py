"""The catalogue as it is, and what is said when a file of it is wrong."""

import time
from pathlib import Path

import pytest

from profiles.catalogue import CATALOGUE, Family, load, recognise
from profiles.errors import CatalogueError
from profiles.hardware.family import gpu_family
from profiles.profile import Origin
from tests.support.models import config_of

FAMILIES = load()
# All the engine has, so that a slip of the pen is found without starting one (vLLM 0.32.0).
TOOL_PARSERS = {"llama3_json", "hermes", "openai"}
REASONING_PARSERS = {"qwen3", "deepseek_r1"}
FLAGS = {
    "--max-num-seqs", "--max-num-batched-tokens", "--gpu-memory-utilization", "--quantization",
    "--enable-expert-parallel", "--enable-auto-tool-choice", "--tool-call-parser",
    "--reasoning-parser",
}  # fmt: skip
REST = "precision: fp8, tp: 1, objective: latency, source: by rule"
GOOD = """
about: a family
recognise: {config: {model_type: llama, hidden_size: 64}, names: ['tiny.*']}
profiles:
  - {key: one, gpus: [h100], precision: fp8, tp: 1, objective: latency, source: by rule}
"""


def test_the_families_of_the_issue_are_there() -> None:
    names = {family.name for family in FAMILIES}
    assert names >= {
        "llama-3.1-8b", "llama-3.1-70b", "qwen3-32b", "qwen3-8b", "mixtral-8x7b", "gpt-oss-20b",
        "gpt-oss-120b", "deepseek-v3",
    }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_entry_has_a_source_and_known_words(family: Family) -> None:
    for entry in family.file.profiles:
        assert len(entry.source) > 20, entry.key
        assert entry.arguments.keys() <= FLAGS, entry.key
        for gpu in entry.gpus:
            assert gpu_family(f"NVIDIA {gpu}", "") == gpu, entry.key
    for reading in family.file.readings:
        flags = reading.arguments
        assert flags.keys() <= FLAGS
        assert flags.get("--tool-call-parser", "hermes") in TOOL_PARSERS
        assert flags.get("--reasoning-parser", "qwen3") in REASONING_PARSERS


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("llama-3.1-8b-instruct", "llama-3.1-8b"),
        ("llama-3.1-70b-instruct", "llama-3.1-70b"),
        ("qwen3-32b", "qwen3-32b"),
        ("mixtral-8x7b-instruct", "mixtral-8x7b"),
        ("gpt-oss-120b", "gpt-oss-120b"),
        ("deepseek-r1", "deepseek-v3"),
    ],
)
def test_a_model_is_known_by_its_shape_whatever_its_name(model: str, family: str) -> None:
    found = recognise(config_of(model), "/mnt/models/our-fine-tune")
    assert found is not None
    assert found.name == family


def test_a_name_does_not_make_a_family_of_another_shape() -> None:
    pruned = config_of("llama-3.1-8b-instruct") | {"num_hidden_layers": 16}
    assert recognise(pruned, "meta-llama/Llama-3.1-8B-Instruct") is None


def test_without_a_config_the_name_decides() -> None:
    found = recognise(None, "meta-llama/Llama-3.1-8B-Instruct")
    assert found is not None
    assert found.name == "llama-3.1-8b"
    assert recognise(None, "org/unheard-of") is None


def test_parsers_are_for_models_with_a_known_name() -> None:
    family = recognise(config_of("qwen3-32b"), "")
    assert family is not None
    known = family.profiles("bf16", "Qwen/Qwen3-32B")
    assert {profile.arguments["--reasoning-parser"] for profile in known} == {"qwen3"}
    tuned = family.profiles("bf16", "/models/our-fine-tune/")
    assert not any("--reasoning-parser" in profile.arguments for profile in tuned)
    assert family.reads_answers_of("Qwen/Qwen3-32B-FP8")
    assert not family.reads_answers_of("org/Qwen3-32B-Base")


@pytest.mark.parametrize(
    ("own", "offered"),
    [("bf16", {"bf16", "fp8"}), ("fp8", {"fp8"}), ("int4", set()), ("nvfp4", set())],
)
def test_a_checkpoint_is_had_in_its_own_precision_or_made_fp8(own: str, offered: set[str]) -> None:
    family = recognise(config_of("llama-3.1-70b-instruct"), "")
    assert family is not None
    profiles = family.profiles(own, "")
    assert {profile.precision for profile in profiles} == offered
    for profile in profiles:
        is_made = own == "bf16" and profile.precision == "fp8"
        assert ("--quantization" in profile.arguments) is is_made


def test_a_profile_says_where_it_comes_from() -> None:
    family = recognise(config_of("gpt-oss-120b"), "openai/gpt-oss-120b")
    assert family is not None
    first = family.profiles("mxfp4", "openai/gpt-oss-120b")[0]
    assert first.origin is Origin.CATALOGUE
    assert first.origin_key == "gpt-oss-120b.yaml: latency-tp8"
    assert "vllm-project/recipes@" in first.source


def test_the_family_of_a_model_is_found_in_no_time() -> None:
    config = config_of("qwen3-32b")
    recognise(config, "")
    start_s = time.perf_counter()
    recognise(config, "")
    # 10 ms here; generous, for the machine may be busy.
    assert time.perf_counter() - start_s < 0.2


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(GOOD)
    (family,) = load(tmp_path)
    assert [profile.name for profile in family.profiles("bf16", "")] == [
        "vllm-h100-fp8-tp1-pp1-latency",
        "vllm-h100-fp8-tp1-pp1-latency-lora",
    ]


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        ("tp: 1", "tp: 0", "tiny.yaml: profiles.one.tp: "),
        ("tp: 1", "tq: 1", "tiny.yaml: profiles.one.tq: Extra inputs are not permitted"),
        ("precision: fp8", "precision: fp9", "profiles.one.precision: .*'fp9' is not a precision"),
        ("objective: latency", "objective: speed", "profiles.one.objective: "),
        (", source: by rule", "", "tiny.yaml: profiles.one.source: Field required"),
        ("gpus: [h100]", "gpus: []", "profiles.one.gpus: "),
        ("about: a family", "about: a family\nabuot: x", "tiny.yaml: abuot: Extra"),
        ("tp: 1", "tp: 1, arguments: {max-num-seqs: '1'}", "write it as --max-num-seqs"),
        ("'tiny.*'", "'tiny('", "is not a regular expression"),
        ("hidden_size: 64}", "hidden_size: 64", "tiny.yaml is not YAML"),
        (GOOD, "- a list", "tiny.yaml is not a mapping"),
        (
            "profiles:",
            f"profiles:\n  - {{key: one, gpus: [l4], {REST}}}",
            "the key 'one' is there twice",
        ),
        (
            "profiles:",
            f"profiles:\n  - {{key: two, gpus: [h100], {REST}}}",
            "tiny.yaml: one is the same as tiny.yaml: two: remove one",
        ),
    ],
    ids=[
        "bound", "unknown field", "precision", "objective", "no source", "no gpu", "unknown key",
        "flag", "pattern", "yaml", "list", "key twice", "profile twice",
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_key(
    tmp_path: Path, good: str, bad: str, sentence: str
) -> None:
    assert good in GOOD
    (tmp_path / "tiny.yaml").write_text(GOOD.replace(good, bad))
    with pytest.raises(CatalogueError, match=sentence):
        load(tmp_path)


def test_a_wrong_file_of_another_family_does_not_stop_a_model(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(GOOD)
    (tmp_path / "zz.yaml").write_text(GOOD.replace("64", "65").replace("tp: 1", "tp: 0"))
    assert recognise({"model_type": "llama", "hidden_size": 64}, "", directory=tmp_path)


def test_the_catalogue_lies_beside_the_code() -> None:
    assert sorted(path.stem for path in CATALOGUE.glob("*.yaml")) == [
        family.name for family in FAMILIES
    ]
