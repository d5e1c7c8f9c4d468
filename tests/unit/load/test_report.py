"""Medians, ratios, tables and pictures of a run."""

import json
from pathlib import Path

from load.pictures import draw
from load.report import Failure, Measured, Run, Sample, markdown, tabulate, write

SAMPLES = [
    Sample("vllm serve", "chat-8", 1, {"cpu_us_per_token": 90.0, "ttft_p50_ms": 40.0}),
    Sample("vllm serve", "chat-8", 2, {"cpu_us_per_token": 110.0, "ttft_p50_ms": 20.0}),
    Sample("vllm serve", "chat-8", 3, {"cpu_us_per_token": 100.0, "ttft_p50_ms": 30.0}),
    Sample("unigate", "chat-8", 3, {"cpu_us_per_token": 25.0}),
    Sample("unigate", "alone", 1, {"cpu_us_per_request": 0.5, "took_s": 7.0}),
]


def run() -> Run:
    failures = [Failure("nginx", "start", 1, "nginx is not\n installed")]
    return Run({"rounds": 3, "cores": 2}, SAMPLES, failures)


def test_a_figure_is_the_median_with_its_spread_and_ratio() -> None:
    row = tabulate(SAMPLES)["chat-8"]
    assert row["vllm serve"]["cpu_us_per_token"] == Measured(100.0, 90.0, 110.0, 1.0)
    assert row["unigate"]["cpu_us_per_token"] == Measured(25.0, 25.0, 25.0, 0.25)
    assert "ttft_p50_ms" not in row["unigate"]


def test_what_is_compared_is_of_the_same_round() -> None:
    hours = {"quiet": (10.0, 4.0), "busy": (30.0, 12.0), "busier": (50.0, 25.0)}
    samples = [
        Sample(name, "x", number, {"cpu_us_per_token": value})
        for number, values in enumerate(hours.values())
        for name, value in zip(("vllm serve", "unigate"), values, strict=True)
    ]
    # Of the medians the ratio is 0.4 and, without the busy hour of one of them, 0.48.
    assert tabulate(samples)["x"]["unigate"]["cpu_us_per_token"].ratio == 0.4
    without = [sample for sample in samples if (sample.contestant, sample.round) != ("unigate", 1)]
    assert tabulate(without)["x"]["unigate"]["cpu_us_per_token"].ratio == 0.45


def test_without_the_baseline_there_is_no_ratio() -> None:
    assert tabulate(SAMPLES)["alone"]["unigate"] == {
        "cpu_us_per_request": Measured(0.5, 0.5, 0.5, None)
    }


def test_a_baseline_of_nothing_has_no_ratio() -> None:
    samples = [Sample(name, "x", 1, {"health_max_ms": 0.0}) for name in ("vllm serve", "unigate")]
    assert tabulate(samples)["x"]["unigate"]["health_max_ms"].ratio is None


def test_the_table_has_a_column_for_each_contestant() -> None:
    lines = markdown(run(), tabulate(SAMPLES)).splitlines()
    assert lines[0] == "rounds 3, cores 2."
    at = lines.index("| chat-8 | vllm serve | unigate |")
    assert lines[at + 1 : at + 4] == [
        "| --- | --: | --: |",
        "| CPU µs/token | 100 ×1.00 [90–110] | 25 ×0.25 |",
        "| TTFT p50 ms | 30 ×1.00 [20–40] |  |",
    ]


def test_what_failed_is_said_in_one_line() -> None:
    lines = markdown(run(), {}).splitlines()
    assert lines[-1] == "- nginx, start, round 1: nginx is not installed"


def test_a_report_is_json_a_table_and_pictures(tmp_path: Path) -> None:
    table = tabulate(SAMPLES)
    write(run(), table, tmp_path / "new")
    draw(table, tmp_path / "new")
    written = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert written["cases"]["chat-8"]["unigate"]["cpu_us_per_token"]["ratio"] == 0.25
    assert len(written["samples"]) == len(SAMPLES)
    assert written["failures"][0]["contestant"] == "nginx"
    assert "| chat-8 |" in (tmp_path / "new" / "bench.md").read_text()
    pictures = sorted(path.name for path in (tmp_path / "new").glob("*.png"))
    assert pictures == ["cpu_us_per_request.png", "cpu_us_per_token.png"]
