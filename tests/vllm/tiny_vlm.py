"""A vision-language model of 170,000 random weights, made on the spot: it can be served, and says noise."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

_SPECIAL = ["<unk>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>",
            "<row_1_col_1>", "<pad>"]
_CONTEXT = 16_384
_CHAT = (
    "<|im_start|>{% for message in messages %}{{ message['role'] }}:"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}")


def write_tiny_vlm(folder: Path) -> None:
    """Write a model with its processor that vLLM serves: Idefics3, 56 pixels, 4 tokens an image, 16,384 tokens."""
    tokenizer = _tokenizer()
    images = Idefics3ImageProcessorPil(
        do_image_splitting=False, size={"longest_edge": 56}, max_image_size={"longest_edge": 56})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=_CHAT)
    processor.save_pretrained(folder)
    torch.manual_seed(0)
    Idefics3ForConditionalGeneration(_config(tokenizer)).float().save_pretrained(folder)


def _config(tokenizer: PreTrainedTokenizerFast) -> Idefics3Config:
    ids = dict(zip(_SPECIAL, tokenizer.convert_tokens_to_ids(_SPECIAL), strict=True))
    return Idefics3Config(
        image_token_id=ids["<image>"], scale_factor=2, pad_token_id=ids["<pad>"], tie_word_embeddings=False,
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                       "image_size": 56, "patch_size": 14},
        text_config={"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
                     "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32,
                     "vocab_size": len(tokenizer), "max_position_embeddings": _CONTEXT,
                     "bos_token_id": ids["<|im_start|>"], "eos_token_id": ids["<end_of_utterance>"],
                     "pad_token_id": ids["<pad>"]})


def _tokenizer() -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=_SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False)
    raw.train_from_iterator(["a red square moves to the left while a blue circle grows and a word appears"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", bos_token="<|im_start|>", eos_token="<end_of_utterance>",
        pad_token="<pad>", extra_special_tokens=_SPECIAL[3:7], model_max_length=_CONTEXT)
