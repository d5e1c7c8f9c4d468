"""What vLLM's speech classes must not do for themselves: decode, detect, and end segments."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vllm.entrypoints.speech_to_text.base.serving import SpeechToTextBaseServing
from vllm.multimodal.audio import split_audio
from vllm.renderers.inputs.preprocess import parse_model_prompt
from vllm.sampling_params import SamplingParams

from engine.audio import decode
from engine.vllm.honest import Honest

# Of one step of Whisper's timestamps.
_STEP_S = 0.02


class Hearing(Honest, SpeechToTextBaseServing):
    """Mixed into them, before them."""

    longest_s: float
    """How much audio is decoded at most."""

    def _decode_and_chunk_speech(
        self, audio_data: bytes
    ) -> tuple[list[NDArray[np.float32]], float]:
        """The clips that the model hears one by one, and the seconds of all; in a thread.

        vLLM would tell clients to set variables of its own, and decode some files whole before it
        looks how long they are.
        """
        config = self.asr_config
        rate = int(config.sample_rate)
        samples = decode(audio_data, rate=rate, longest_s=self.longest_s)
        duration_s = len(samples) / rate
        clip_s = config.max_audio_clip_s
        if not config.allow_audio_chunking or clip_s is None or duration_s <= clip_s:
            return [samples], duration_s
        assert config.min_energy_split_window_size is not None  # what allow_audio_chunking says
        clips = split_audio(
            audio_data=samples,
            sample_rate=rate,
            max_clip_duration_s=clip_s,
            overlap_duration_s=config.overlap_chunk_second,
            min_energy_window_size=config.min_energy_split_window_size,
        )
        return clips, duration_s

    async def _detect_language(self, audio_chunk: NDArray[np.float32], request_id: str) -> str:
        """As vLLM's, which computes the clip's features on the event loop."""
        # Any: what vLLM's own methods below declare is not the type it has given this.
        tokenizer: Any = self.tokenizer
        prompt = self.model_cls.get_language_detection_prompt(audio_chunk, self.asr_config)
        parsed = parse_model_prompt(self.model_config, prompt)
        (rendered,) = await self.renderer.render_cmpl_async([parsed])
        params = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            allowed_token_ids=self.model_cls.get_language_token_ids(tokenizer),
        )
        generation = self.engine_client.generate(rendered, params, request_id)
        *_, last = [output async for output in generation]
        (answer,) = last.outputs
        token_ids = list(answer.token_ids)
        return self.model_cls.parse_language_detection_output(token_ids, tokenizer)

    def _get_verbose_segments(
        self, tokens: Any, log_probs: Any, request: Any, segment_class: Any, start_time: float = 0
    ) -> list[Any]:
        """What is between two timestamps, of one clip.

        vLLM's loses every word behind the last pair of timestamps, which is all of them when the
        answer was cut off, and fails where there is no token.
        """
        (zero,) = self.tokenizer.encode("<|0.00|>", add_special_tokens=False)
        segments: list[Any] = []
        words: list[int] = []
        chances: list[float] = []
        start_s = 0.0

        def close(end_s: float) -> None:
            text = str(self.tokenizer.decode(words, skip_special_tokens=True))
            encoded = text.encode()
            segments.append(
                segment_class(
                    id=len(segments),
                    seek=round(start_time * 100),
                    start=round(start_time + start_s, 3),
                    end=round(start_time + end_s, 3),
                    temperature=request.temperature,
                    text=text,
                    compression_ratio=len(encoded) / len(zlib.compress(encoded)),
                    tokens=words.copy(),
                    avg_logprob=sum(chances) / len(chances),
                )
            )

        for position, token in enumerate(tokens):
            if token < zero:
                if token != self.tokenizer.eos_token_id:
                    words.append(token)
                    chances.append(log_probs[position][token].logprob)
                continue
            time_s = (token - zero) * _STEP_S
            if words:
                close(time_s)
                words.clear()
                chances.clear()
            start_s = time_s
        if words:
            close(self.asr_config.max_audio_clip_s or 0.0)
        return segments
