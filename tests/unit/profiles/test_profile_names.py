"""How profiles are called, and what is understood of what people write."""

import re

import pytest

from profiles.errors import UnknownProfileError
from profiles.profile import Objective, Profile
from profiles.profile_name import find, parse, says_default

PROFILES = (
    Profile(gpu="h100", precision="fp8", tp=2, objective=Objective.LATENCY),
    Profile(gpu="h100", precision="fp8", tp=2, objective=Objective.THROUGHPUT),
    Profile(gpu="h200", precision="fp8", tp=2, objective=Objective.LATENCY),
    Profile(precision="fp8", tp=2, arguments={"--quantization": "fp8"}),
    Profile(precision="bf16"),
    Profile(precision="bf16", lora=True),
    Profile(precision="bf16", tp=2, pp=2),
)


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        (PROFILES[1], "vllm-h100-fp8-tp2-pp1-throughput"),
        (PROFILES[4], "vllm-bf16-tp1-pp1"),
        (PROFILES[5], "vllm-bf16-tp1-pp1-lora"),
        (PROFILES[6], "vllm-bf16-tp2-pp2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_profile_is_called_by_its_contents(profile: Profile, name: str) -> None:
    assert profile.name == name


def test_the_listing_calls_it_as_nim_does() -> None:
    assert PROFILES[5].listed_name(34) == "vllm-bf16-tp1-pp1-feat_lora-34.0"
    assert PROFILES[0].listed_name(None) == "vllm-h100-fp8-tp2-pp1-latency"


def test_an_id_is_the_same_on_every_machine_and_in_every_run() -> None:
    """If this fails, pins of earlier versions no longer hold: say so in CHANGELOG.md."""
    assert PROFILES[4].id == "1bd2e3abd929f860bc8ee2a5a11a0176655a91995da01ca8965c15992049b218"


def test_the_order_of_flags_and_where_they_come_from_are_not_part_of_the_id() -> None:
    one = Profile(precision="bf16", arguments={"--a": "1", "--b": "2"}, source="here", rank=1)
    other = Profile(precision="bf16", arguments={"--b": "2", "--a": "1"}, source="there")
    assert one.id == other.id


@pytest.mark.parametrize(
    "other",
    [
        Profile(precision="fp16"),
        Profile(precision="bf16", tp=2),
        Profile(precision="bf16", pp=2),
        Profile(precision="bf16", gpu="h100"),
        Profile(precision="bf16", objective=Objective.LATENCY),
        Profile(precision="bf16", lora=True),
        Profile(precision="bf16", arguments={"--max-num-seqs": "256"}),
        Profile(precision="bf16", weights="hf://org/other"),
    ],
    ids=["precision", "tp", "pp", "gpu", "objective", "lora", "arguments", "weights"],
)
def test_all_contents_are_part_of_the_id(other: Profile) -> None:
    assert other.id != Profile(precision="bf16").id
    assert re.fullmatch("[0-9a-f]{64}", other.id)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vllm-bf16-tp1-pp1", 4),
        ("vllm-bf16-tp1", 4),
        ("VLLM-BF16-TP1-PP1", 4),
        ("vllm-bf16-tp1-pp1-34.0", 4),
        ("vllm-bf16-tp1-pp1-34", 4),
        (" - vllm-bf16-tp1-pp1 [requires >=34 GB/gpu]", 4),
        ("vllm-bf16-tp1-lora", 5),
        ("vllm-bf16-tp1-pp1-feat_lora-34.0", 5),
        ("vllm-bf16-tp2-pp2", 6),
        ("vllm-h100-fp8-tp2-throughput", 1),
        ("vllm-h100-fp8-tp2-pp1-throughput-2330:10de-62.0", 1),
        ("vllm-h100-fp8-tp2-pp1-throughput-2330:10de-" + "a" * 64 + "-1", 1),
        ("vllm-fp8-tp2-pp1", 3),  # exactly this name comes before what it might also mean
        ("vllm-h100-fp8-tp2", 0),  # the first of those it means
        ("vllm-h200-tp2", 2),
    ],
)
def test_every_spelling_is_understood(text: str, expected: int) -> None:
    assert find(text, PROFILES)[0] is PROFILES[expected]


def test_what_a_name_leaves_out_may_be_anything() -> None:
    assert find("vllm-fp8-tp2", PROFILES) == (PROFILES[3], *PROFILES[:3])


@pytest.mark.parametrize(
    "text", ["tp2-vllm", "vllm", "", "vllm-fp8-fp4-tp2", "model", "vllm-tp2-tp4"]
)
def test_what_is_no_profiles_name_is_not_one(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("text", [None, "", "default", "Default ", "auto"])
def test_default_is_a_word(text: str | None) -> None:
    assert says_default(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("vllm-bf16-tp4", "nearest are vllm-bf16-tp2-pp2, vllm-bf16-tp1-pp1"),
        ("vllm-bf16-tp1-pp4", "nearest are vllm-bf16-tp"),
        ("vllm-h100-fp8-tp2-lora", "list-model-profiles prints them"),
        ("tensorrt_llm-h100-fp8-tp2-latency", "is a profile for tensorrt_llm; here are"),
        ("sglang-bf16-tp1", "is a profile for sglang"),
        ("vllm", "there is no profile 'vllm'"),
        ("x", "there is no profile 'x'; list-model-profiles prints them"),
        ("f" * 64, "no profile has the id"),
        ("f" * 64 + " (vllm-bf16-tp4-pp1)", "there is no profile"),
        ("0123abc", "there is no profile"),  # seven digits are not an abbreviation
    ],
)
def test_what_names_nothing_is_refused_with_the_nearest(text: str, sentence: str) -> None:
    with pytest.raises(UnknownProfileError, match=re.escape(sentence)):
        find(text, PROFILES)


def test_an_abbreviated_id_is_enough_when_it_is_the_only_one() -> None:
    assert find(PROFILES[0].id[:8], PROFILES) == (PROFILES[0],)
    twins = [Profile(precision="bf16", given_id="a" * 63 + end) for end in "01"]
    with pytest.raises(UnknownProfileError, match="begins several ids"):
        find("a" * 12, twins)


def test_a_line_of_the_listing_means_its_id() -> None:
    line = f"- {PROFILES[1].id} (vllm-bf16-tp1-pp1-34.0) [requires >=34 GB/gpu]"
    assert find(line, PROFILES) == (PROFILES[1],)
