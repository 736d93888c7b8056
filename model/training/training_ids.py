"""A conversation to ids and labels: what is learned are the answers.

Where the ids are cut is where they are cut when the model is asked: prompt and answer are tokenised apart, and a
medium stands alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from model.processing_video_xl import MARK, VideoXLProcessor
from model.token_loss import IGNORED_LABEL

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
"""How the tables and the chat template call who speaks."""

Turn = Mapping[str, str]
"""`from` and `value`."""


@dataclass(frozen=True, slots=True)
class TrainingIds:
    """One sample. What stands up to the last medium can be shared with other samples about the same media."""

    shared: list[int]
    shared_labels: list[int]
    question: list[int]
    question_labels: list[int]

    def __len__(self) -> int:
        return len(self.shared) + len(self.question)


def training_ids(
    processor: VideoXLProcessor, conversation: Sequence[Turn], template: Literal["chat", "plain"],
    published_labels: bool,
) -> TrainingIds:
    """Ids and labels of a conversation, one `media_token_id` for each mark.

    A label stands at its token's own place, -100 where nothing is learned: at media and in everything but answers.
    An answer is learned with the mark that ends it.

    Args:
        processor: chat template and tokenizer.
        conversation: turns of `human`, `gpt` and `system`.
        template: `plain` leaves everything out but media and answers, each answer closed by a line break.
        published_labels: the chat's marks <|im_start|> and <|im_end|>, and what follows the latter, are learned in
            all turns, as published.

    Raises:
        ValueError: the chat template does not let an answer be told from its prompt.
    """
    pieces = _plain_pieces(conversation) if template == "plain" else _chat_pieces(processor, conversation)
    end = processor.tokenizer.eos_token_id
    ids, labels = [], []
    for text, is_answer in pieces:
        some = processor.ids(text)
        learned = _end_of_answer(some, end if template == "chat" else None) if is_answer else 0
        ids += some
        labels += some[:learned] + [IGNORED_LABEL] * (len(some) - learned)
    if published_labels and template == "chat":
        labels = _with_chat_marks(processor, ids, labels)
    labels = [IGNORED_LABEL if one == processor.media_token_id else label
              for one, label in zip(ids, labels, strict=True)]
    cut = _shared_length(ids, processor)
    return TrainingIds(ids[:cut], labels[:cut], ids[cut:], labels[cut:])


def _plain_pieces(conversation: Sequence[Turn]) -> list[tuple[str, bool]]:
    return [
        (f"{turn['value']}\n", True) if turn["from"] == "gpt" else ("".join(MARK.findall(turn["value"])), False)
        for turn in conversation
    ]


def _chat_pieces(processor: VideoXLProcessor, conversation: Sequence[Turn]) -> list[tuple[str, bool]]:
    messages = [{"role": ROLES[turn["from"]], "content": turn["value"]} for turn in conversation]
    pieces, done = [], 0
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = processor.apply_chat_template(messages[:number], add_generation_prompt=True, tokenize=False)
        answered = processor.apply_chat_template(messages[: number + 1], tokenize=False)
        if not answered.startswith(prompt):
            raise ValueError("the chat template writes a prompt otherwise once it is answered: answers cannot be "
                             "told from prompts; give the processor another chat template")
        pieces += [(prompt[done:], False), (answered[len(prompt):], True)]
        done = len(answered)
    return pieces


def _end_of_answer(ids: list[int], end: int | None) -> int:
    """How many ids the answer takes with the mark that ends it; what follows the mark is never generated."""
    return len(ids) - ids[::-1].index(end) if end in ids else len(ids)


def _with_chat_marks(processor: VideoXLProcessor, ids: list[int], labels: list[int]) -> list[int]:
    start, end = (processor.tokenizer.convert_tokens_to_ids(mark) for mark in ("<|im_start|>", "<|im_end|>"))
    if None in (start, end) or start == end:
        raise ValueError("published labels need a tokenizer with <|im_start|> and <|im_end|>")
    return [one if one in (start, end) or before == end else label
            for before, one, label in zip([None, *ids], ids, labels, strict=False)]


def _shared_length(ids: list[int], processor: VideoXLProcessor) -> int:
    """Up to the last medium; without media as far as the usual prompt goes in front of one."""
    media = processor.media_token_id
    if media in ids:
        return len(ids) - ids[::-1].index(media)
    usual = processor.prefix_ids()
    same = [one == other for one, other in zip(ids, usual, strict=False)]
    return same.index(False) if False in same else len(same)
