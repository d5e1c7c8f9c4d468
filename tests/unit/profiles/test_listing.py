"""The listing, byte for byte as scripts expect it."""

import json
import re

from profiles.derive import derive
from profiles.hardware import Hardware
from profiles.memory import read_model
from profiles.profile_name import find
from profiles.selection import appraise_all
from profiles.selection.listing import listing, listing_as_dict
from profiles.selection.request import Request
from tests.support.machines import MACHINES, machine, together
from tests.support.models import facts_of, profiles_of

# As third-party scripts parse it (public outputs of NIM's list-model-profiles).
LINE = re.compile(
    r" {2,4}- [0-9a-f]{64} \(vllm-[a-z0-9_.-]+-\d+\.0\) "
    r"\[requires >=\d+ GB/gpu(, try --max-model-len=\d+ to reduce to >=\d+ GB/gpu)?\]"
)
TITLES = [
    "SYSTEM INFO",
    "MODEL PROFILES",
    "- Compatible with system and runnable:",
    "- Compatible with system but low memory:",
    "- Compilable to TRT-LLM using just-in-time compilation of HF models to TRTLLM engines: <None>",
    "- Incompatible with system:",
]


def listed(model: str, hardware: Hardware) -> list[str]:
    profiles = profiles_of(model, hardware)
    appraisals = appraise_all(profiles, facts_of(model), hardware, Request())
    return listing(hardware, appraisals).split("\n")


def section(lines: list[str], title: str) -> list[str]:
    start = next(i for i, line in enumerate(lines) if line.startswith(title))
    rest = lines[start + 1 :]
    return rest[: next((i for i, line in enumerate(rest) if line.startswith("- ")), len(rest))]


def test_the_system_comes_first_with_free_and_busy_gpus() -> None:
    hardware = together(machine("h100", 2, busy=(1,)), machine("l40s"))
    assert listed("qwen3-32b", hardware)[:7] == [
        "SYSTEM INFO",
        "- Free GPUs:",
        "  -  [2330:10de] (0) NVIDIA H100 80GB HBM3 [current utilization: 0%]",
        "  -  [26b9:10de] (2) NVIDIA L40S [current utilization: 1%]",
        "- Non-free GPUs:",
        "  -  [2330:10de] (1) NVIDIA H100 80GB HBM3 [current utilization: 50%]",
        "MODEL PROFILES",
    ]


def test_without_busy_gpus_their_title_is_left_out_and_without_free_ones_it_is_none() -> None:
    assert not any("Non-free" in line for line in listed("qwen3-32b", machine("h100")))
    busy = listed("qwen3-32b", machine("h100", busy=(0,)))
    assert busy[1:3] == ["- Free GPUs: <None>", "- Non-free GPUs:"]


def test_every_line_has_the_shape_that_scripts_parse() -> None:
    for model in ("llama-3.1-8b-instruct", "gpt-oss-120b"):
        for name, hardware in MACHINES.items():
            if not hardware.gpus:
                continue
            lines = listed(model, hardware)
            titles = [line for line in lines if not line.startswith("  ")]
            plain = [title.removesuffix(" <None>") for title in titles if "GPUs" not in title]
            assert plain == [title.removesuffix(" <None>") for title in TITLES], name
            for line in lines[lines.index("MODEL PROFILES") + 1 :]:
                if line.startswith("  ") and line != "  - With LoRA support:":
                    assert LINE.fullmatch(line), line


def test_runnable_profiles_come_best_first_and_lora_in_a_list_of_its_own() -> None:
    lines = section(
        listed("llama-3.1-8b-instruct", machine("h100")), "- Compatible with system and"
    )
    plain, _, lora = "\n".join(lines).partition("\n  - With LoRA support:\n")
    assert "(vllm-h100-fp8-tp1-pp1-throughput-31.0) [requires >=31 GB/gpu]" in plain.split("\n")[0]
    assert all(line.startswith("  - ") for line in plain.split("\n"))
    assert all(line.startswith("    - ") and "-feat_lora-" in line for line in lora.split("\n"))


def test_low_memory_names_the_length_that_fits() -> None:
    lines = section(listed("llama-3.1-8b-instruct", machine("l4")), "- Compatible with system but")
    assert re.search(
        r"\(vllm-bf16-tp1-pp1-36\.0\) \[requires >=36 GB/gpu, try --max-model-len=\d+ to reduce "
        r"to >=2[12] GB/gpu\]$",
        lines[0],
    )


def test_empty_sections_say_none() -> None:
    lines = listed("deepseek-r1", machine("t4"))
    assert "- Compatible with system and runnable: <None>" in lines
    assert "- Compatible with system but low memory: <None>" in lines
    assert lines[-1].startswith("    - ")


def test_a_machine_without_a_gpu_lists_its_profile_without_gigabytes() -> None:
    lines = listed("llama-3.1-8b-instruct", Hardware())
    assert lines[:2] == ["SYSTEM INFO", "- Free GPUs: <None>"]
    (plain, _, lora) = section(lines, "- Compatible with system and runnable:")
    assert plain.endswith(" (vllm-cpu-fp32-tp1-pp1)")
    assert lora.endswith(" (vllm-cpu-fp32-tp1-pp1-feat_lora)")


def test_each_line_can_be_pinned_as_it_is_printed() -> None:
    hardware = machine("h100", 2)
    profiles = profiles_of("llama-3.1-8b-instruct", hardware)
    for line in listed("llama-3.1-8b-instruct", hardware):
        if found := re.search(r"[0-9a-f]{64}", line):
            (profile,) = find(line, profiles)
            assert profile.id == found[0]


def test_programs_get_the_same_as_json() -> None:
    hardware = machine("h100", 2, busy=(1,))
    profiles = profiles_of("llama-3.1-70b-instruct", hardware)
    appraisals = appraise_all(profiles, facts_of("llama-3.1-70b-instruct"), hardware, Request())
    facts = json.loads(json.dumps(listing_as_dict(hardware, appraisals)))
    assert [gpu["is_free"] for gpu in facts["gpus"]] == [True, False]
    assert len(facts["profiles"]) == len(profiles)
    low = next(one for one in facts["profiles"] if one["fit"] == "low_memory")
    assert low["longest_model_len"] < 131072
    assert low["required_gb_per_gpu"] > low["reduced_gb_per_gpu"]
    assert all(one["reason"] for one in facts["profiles"] if one["fit"] != "runnable")


def test_the_smallest_model_asks_for_a_gigabyte() -> None:
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 384,
        "intermediate_size": 1536, "num_attention_heads": 12, "num_hidden_layers": 6,
        "vocab_size": 30522, "max_position_embeddings": 512,
    }  # fmt: skip
    hardware, facts = machine("h100"), read_model(config)
    text = listing(hardware, appraise_all(derive(facts, hardware), facts, hardware, Request()))
    assert "(vllm-bf16-tp1-pp1-1.0) [requires >=1 GB/gpu]" in text
    assert ">=0 GB" not in text
