"""OpenAI's Python SDK, unmodified, with a model that hears."""

import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support import tones
from tests.support.server import Server

MODEL = "tones"
SAID = [[0, 1, 2], [4, 3]]
TEXT = "one two three five four"
# The model hears 4 s at once; the pauses are where the parts of this are told apart.
LONG = [[0, 1, 2], [4, 3], [2, 3, 4], [1, 3], [4, 3, 2], [0, 1]]


@pytest.fixture(scope="module")
def client(speech_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=speech_server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def audio(
    sentences: list[list[int]] = SAID, language: str = "en", kind: str = "wav"
) -> tuple[str, bytes]:
    """A file as the SDK takes it."""
    return f"speech.{kind}", tones.encode(tones.speech(sentences, language), kind)


def transcribe(client: OpenAI, *said: Any, **fields: Any) -> Any:
    return client.audio.transcriptions.create(model=MODEL, file=audio(*said), **fields)


def translate(client: OpenAI, *said: Any, **fields: Any) -> Any:
    with pytest.warns(DeprecationWarning, match="deprecated"):  # OpenAI ends its own translations
        return client.audio.translations.create(model=MODEL, file=audio(*said), **fields)


@pytest.mark.parametrize("kind", tones.CONTAINERS)
def test_every_kind_of_file_is_heard(client: OpenAI, kind: str) -> None:
    assert transcribe(client, SAID, "en", kind).text == TEXT


@pytest.mark.parametrize("sentences", [[[3]], [[1, 2], [0]], [[2, 1, 0, 4]]], ids=str)
def test_what_is_written_is_what_was_said(client: OpenAI, sentences: list[list[int]]) -> None:
    answer = transcribe(client, sentences)
    assert answer.text == tones.text(sentences)
    assert answer.usage.type == "duration"
    assert answer.usage.seconds in {1, 2}


def test_the_language_is_heard_or_told(client: OpenAI) -> None:
    german = tones.text(SAID, "de")
    heard = transcribe(client, SAID, "de", response_format="verbose_json")
    assert (heard.language, heard.text) == ("de", german)
    assert transcribe(client, SAID, "de", language="de").text == german
    told = transcribe(client, SAID, "en", language="de", response_format="verbose_json")
    assert told.language == "de"


def test_translations_are_in_english(client: OpenAI) -> None:
    assert translate(client, SAID, "de").text == TEXT
    verbose = translate(client, SAID, "de", response_format="verbose_json")
    assert verbose.text == TEXT
    assert [segment.text for segment in verbose.segments] == [" one two three", " five four"]
    assert translate(client, SAID, "de", response_format="text") == TEXT + "\n"


def test_segments_have_their_times(client: OpenAI) -> None:
    answer = transcribe(client, response_format="verbose_json", timestamp_granularities=["segment"])
    first, second = answer.segments
    assert answer.text == TEXT
    assert answer.duration == pytest.approx(2.4)
    assert answer.usage.seconds == 3
    assert (first.id, first.text, second.id, second.text) == (0, " one two three", 1, " five four")
    assert first.start == 0
    assert first.end == pytest.approx(1.1, abs=0.15)
    assert second.start == pytest.approx(1.6, abs=0.15)
    assert second.end == pytest.approx(2.3, abs=0.15)
    assert -1 < first.avg_logprob < 0
    assert len(first.tokens) == 3


def test_text_and_subtitles(client: OpenAI) -> None:
    assert transcribe(client, response_format="text") == TEXT + "\n"
    time = r"00:00:0\d[.,]\d{3}"
    srt = transcribe(client, response_format="srt")
    assert re.fullmatch(
        rf"1\n{time} --> {time}\none two three\n\n2\n{time} --> {time}\nfive four\n\n", srt
    )
    vtt = transcribe(client, response_format="vtt")
    assert vtt == "WEBVTT\n\n" + re.sub(r"^\d\n", "", srt, flags=re.M).replace(",", ".")


@pytest.mark.parametrize("fields", [{}, {"language": "en"}], ids=str)
def test_a_stream_has_the_events_of_openai(client: OpenAI, fields: dict[str, str]) -> None:
    *deltas, done = transcribe(client, stream=True, **fields)
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    # Words that are heard while the event loop is behind come together.
    assert 0 < len(deltas) <= len(TEXT.split())
    assert "".join(event.delta for event in deltas) == TEXT
    assert (done.type, done.text) == ("transcript.text.done", TEXT)
    assert done.usage.type == "tokens"
    assert done.usage.output_tokens >= len(deltas)
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens


def test_what_is_longer_than_a_clip_is_heard_to_its_end(client: OpenAI) -> None:
    text = tones.text(LONG)
    assert transcribe(client, LONG).text == text
    assert list(transcribe(client, LONG, stream=True))[-1].text == text
    segments = transcribe(client, LONG, response_format="verbose_json").segments
    assert [segment.id for segment in segments] == list(range(len(segments)))
    assert "".join(segment.text for segment in segments).split() == text.split()
    times = [time for segment in segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(len(tones.speech(LONG)) / tones.RATE, abs=0.2)


def test_an_answer_that_is_cut_off_keeps_its_words_in_every_format(client: OpenAI) -> None:
    cut = {"extra_body": {"max_completion_tokens": 2}}
    assert transcribe(client, **cut).text == "one two"
    verbose = transcribe(client, response_format="verbose_json", **cut)
    assert verbose.text == "one two"
    assert verbose.segments[0].end <= verbose.duration
    assert "one two" in transcribe(client, response_format="srt", **cut)


def test_silence_is_an_empty_transcript(client: OpenAI) -> None:
    silence = ("silence.wav", tones.encode(tones.silence(1)))
    create = client.audio.transcriptions.create
    assert create(model=MODEL, file=silence).text == ""
    assert create(model=MODEL, file=silence, response_format="verbose_json").segments == []
    assert create(model=MODEL, file=silence, response_format="srt") == ""
    (done,) = create(model=MODEL, file=silence, stream=True)
    assert (done.type, done.text) == ("transcript.text.done", "")  # type: ignore[union-attr]


def test_errors_are_the_sdks_own(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(client, language="xx")
    assert (caught.value.code, caught.value.param) == ("invalid_request", "language")
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(client, include=["logprobs"])
    assert caught.value.param == "include[]"
