"""POST /v1/audio/transcriptions and /v1/audio/translations."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine
from app.form import form_reader

router = APIRouter()


@router.post("/v1/audio/transcriptions", response_model=None)
async def transcribe(engine: ReadyEngine) -> Answering:
    """What is said in a recording, streamed or whole."""
    speech = engine.serving.speech
    return Answering(engine, speech.transcribe, form_reader(speech.largest_file))


@router.post("/v1/audio/translations", response_model=None)
async def translate(engine: ReadyEngine) -> Answering:
    """The same in English."""
    speech = engine.serving.speech
    return Answering(engine, speech.translate, form_reader(speech.largest_file))
