"""Makes a tiny model that sees: Idefics3 with random weights and the built-in model's tokenizer.

Of vLLM's architectures it is one that works without torchvision, which has no build for the CPU on
PyPI: transformers has its image processor in plain PIL, too.
"""

import sys
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

_SIDE_PIXELS = 64
_PATCH_PIXELS = 8
_SCALE = 2
# Tokens of an image in the prompt, without the three around them.
_FEATURES = (_SIDE_PIXELS // _PATCH_PIXELS // _SCALE) ** 2

_SPECIAL = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
# The image as a word of the user's message, before its text.
_TEMPLATE = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}\
{% if part.type == 'image' %}<image>{% elif part.type == 'text' %}{{ part.text }}{% endif %}\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def write_vision_model(directory: Path, demo: Path) -> None:
    """Write the model's files; `demo` is the built-in model, whose tokenizer it takes."""
    tokenizer = AutoTokenizer.from_pretrained(demo)
    tokenizer.add_special_tokens({"additional_special_tokens": _SPECIAL})
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = Idefics3Config(
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": _SIDE_PIXELS,
            "patch_size": _PATCH_PIXELS,
        },
        text_config=text,
        image_token_id=tokenizer.get_vocab()["<image>"],
        scale_factor=_SCALE,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        # As they are initialized, images would hardly make a difference to the answer.
        for parameter in model.parameters():
            parameter.mul_(3)
    model.save_pretrained(directory)
    edge = {"longest_edge": _SIDE_PIXELS}
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(
            size=edge, max_image_size=edge, do_image_splitting=False
        ),
        tokenizer=tokenizer,
        image_seq_len=_FEATURES,
        chat_template=_TEMPLATE,
    )
    processor.save_pretrained(directory)


if __name__ == "__main__":  # in a process of its own: tests need neither torch nor its warnings
    write_vision_model(Path(sys.argv[1]), Path(sys.argv[2]))
