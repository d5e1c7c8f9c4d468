"""Segments as SubRip and WebVTT."""

from engine.subtitles import Cue, srt, vtt

CUES = [Cue(0.0, 1.25, " one two"), Cue(3599.9996, 3661.5, "three")]


def test_subrip() -> None:
    assert srt(CUES) == (
        "1\n00:00:00,000 --> 00:00:01,250\none two\n\n2\n01:00:00,000 --> 01:01:01,500\nthree\n\n"
    )


def test_webvtt() -> None:
    assert vtt(CUES) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\none two\n\n"
        "01:00:00.000 --> 01:01:01.500\nthree\n\n"
    )


def test_nothing_was_said() -> None:
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n\n"


def test_a_text_cannot_pose_as_the_next_cue() -> None:
    cue = Cue(0, 1, "<i>a & b\n\n2\n00:00:05,000 --> 00:00:06,000")
    assert srt([cue]).splitlines()[2] == "<i>a & b 2 00:00:05,000 -> 00:00:06,000"
    assert vtt([cue]).splitlines()[3] == "&lt;i&gt;a &amp; b 2 00:00:05,000 -&gt; 00:00:06,000"
