"""A packed row holds, question by question, what its samples hold alone; the labels are the answers."""

import io
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image

from model.processing_video_xl import VideoXLProcessor
from model.training.batch import Batch
from model.training.loader import TrainingLoader
from model.training.loader_settings import LoaderSettings
from model.training.mixture import everything
from model.training.training_ids import training_ids
from tests.model.tiny_models import byte_tokenizer, tiny_config, tiny_model
from tests.model.training.hand_made_shards import frame, jpeg, medium, sample, video_frames, write_data_set

CONFIG = tiny_config()
TOKENIZER = byte_tokenizer()
PROCESSOR = VideoXLProcessor.for_model(CONFIG, TOKENIZER)


def batches(root: Path, **changes) -> list[Batch]:
    settings = LoaderSettings.for_model(CONFIG, [2], **{"rows": 1, **changes})
    loader = TrainingLoader(everything([str(root)], most_frames=6), PROCESSOR, settings, 0, 1, 0, 0)
    return list(islice(loader, loader.batches_per_epoch))


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two spans of a video, seven questions about each, answers of different lengths."""
    samples = [
        sample(f"{span}-{number}", [medium("film", *stretch)], f"<image>\nWhat is {number}?", f"It is {'x' * number}.")
        for span, stretch in {"early": (0, 8), "late": (8, 16)}.items() for number in range(7)]
    return write_data_set(tmp_path_factory.mktemp("spans") / "a", samples, video_frames("film", 16))


def test_packed_questions_are_those_that_stand_alone(spans: Path) -> None:
    alone = {batch.sample_ids[0][0]: batch for batch in batches(spans, most_questions=1)}
    assert len(alone) == 14
    packed = batches(spans, most_questions=5)
    assert sorted(len(batch.sample_ids[0]) for batch in packed) == [2, 2, 5, 5]
    for batch in packed:
        shared = batch.question_ids[0] == 0
        for number, sample_id in enumerate(batch.sample_ids[0], start=1):
            mine = shared | (batch.question_ids[0] == number)
            single = alone[sample_id]
            assert torch.equal(batch.input_ids[0][mine], single.input_ids[0])
            assert torch.equal(batch.labels[0][mine], single.labels[0])
            assert torch.equal(batch.pixel_values, single.pixel_values)
            assert torch.equal(batch.media_sizes, single.media_sizes)
            assert single.question_ids[0].tolist() == [0] * int(shared.sum()) + [1] * int((~shared[mine]).sum())


def test_the_model_reads_a_packed_batch_as_it_reads_its_samples(spans: Path) -> None:
    """Summed loss over answers, which does not depend on how rows are cut."""
    model = tiny_model()

    def summed_loss(some: list[Batch]) -> float:
        with torch.no_grad():
            return sum(float(model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels,
                question_ids=batch.question_ids, pixel_values=batch.pixel_values, media_sizes=batch.media_sizes,
                ratio=4).loss) * batch.answer_tokens for batch in some)

    assert summed_loss(batches(spans, most_questions=5, rows=2)) == pytest.approx(
        summed_loss(batches(spans, most_questions=1, rows=3)), rel=1e-4)


def test_a_row_is_bounded_by_its_text(spans: Path) -> None:
    rows = batches(spans, most_questions=14, most_tokens=400)
    assert max(int(batch.attention_mask.sum()) for batch in rows) <= 400
    assert len(rows) > 2
    assert sum(batch.samples for batch in rows) == 14


def learned(ids: list[int], labels: list[int]) -> str:
    assert all(label in (-100, one) for one, label in zip(ids, labels, strict=True))
    return TOKENIZER.decode([label for label in labels if label != -100])


TALK = [
    {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."},
    {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."},
]


def test_the_answers_of_all_turns_are_learned_with_their_ends() -> None:
    ids = training_ids(PROCESSOR, TALK, "chat", published_labels=False)
    assert learned(ids.shared + ids.question, ids.shared_labels + ids.question_labels) == \
        "A cat.<|im_end|>Yes.<|im_end|>"
    asked = PROCESSOR.apply_chat_template(
        [{"role": "user", "content": "<image>\nWhat?"}], add_generation_prompt=True, tokenize=False)
    whole = ids.shared + ids.question
    assert whole[:len(PROCESSOR.ids(asked))] == PROCESSOR.ids(asked)
    assert ids.shared == [*PROCESSOR.prefix_ids(), CONFIG.media_token_id]


def test_published_labels_have_the_marks_of_all_turns_too() -> None:
    """Every <|im_start|>, every <|im_end|> and the line break behind it, and the answers."""
    ids = training_ids(PROCESSOR, TALK, "chat", published_labels=True)
    turn = "<|im_start|><|im_end|>\n"
    assert learned(ids.shared + ids.question, ids.shared_labels + ids.question_labels) == (
        f"{turn}{turn}<|im_start|>A cat.<|im_end|>\n{turn}<|im_start|>Yes.<|im_end|>\n")


def test_the_plain_template_is_medium_caption_and_line_break() -> None:
    talk = [{"from": "human", "value": "Describe it: <image>\n"}, {"from": "gpt", "value": "A cat."}]
    ids = training_ids(PROCESSOR, talk, "plain", published_labels=False)
    assert ids.shared == [CONFIG.media_token_id]
    assert TOKENIZER.decode(ids.question) == learned(ids.question, ids.question_labels) == "A cat.\n"


def test_a_system_turn_of_its_own_takes_the_place_of_the_usual_one() -> None:
    talk = [{"from": "system", "value": "Be brief."}, *TALK[:2]]
    ids = training_ids(PROCESSOR, talk, "chat", published_labels=False)
    assert TOKENIZER.decode(ids.shared[:-1]) == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
    assert learned(ids.question, ids.question_labels) == "A cat.<|im_end|>"


def test_media_stand_where_their_marks_do_and_images_keep_their_size(tmp_path: Path) -> None:
    sizes = {"wide": (90, 30), "high": (30, 80)}
    frames = [frame(name, 0, None, jpeg(number, *size), size) for number, (name, size) in enumerate(sizes.items())]
    frames += video_frames("film", 9)
    media = [medium("wide", kind="image"), medium("film", 2, 6), medium("high", kind="image")]
    talk = ("First <image>, then <video>.\nAnd?", "Well.", "And <image>?", "No.")
    root = write_data_set(tmp_path / "a", [sample("all", media, *talk)], frames)
    batch, = batches(root)
    pictures = {row["video_id"]: Image.open(io.BytesIO(row["image"]["bytes"])) for row in frames[:2]}
    tiles = {name: PROCESSOR.image_pixels(picture) for name, picture in pictures.items()}
    film = PROCESSOR.video_pixels([Image.open(io.BytesIO(row["image"]["bytes"])) for row in frames[4:8]])
    assert batch.media_sizes.tolist() == [len(tiles["wide"]), 4, len(tiles["high"])]
    assert torch.equal(batch.pixel_values, torch.cat([tiles["wide"], film, tiles["high"]]))
    marks = (batch.input_ids[0] == CONFIG.media_token_id).nonzero().squeeze(1).tolist()
    assert len(marks) == 3
    between = batch.input_ids[0][marks[0] + 1:marks[1]].tolist()
    assert TOKENIZER.decode(between) == ", then "
    assert batch.question_ids[0].tolist() == [0] * (marks[2] + 1) + [1] * (len(batch.question_ids[0]) - marks[2] - 1)
    assert learned(batch.input_ids[0].tolist(), batch.labels[0].tolist()) == "Well.<|im_end|>No.<|im_end|>"
    assert all(batch.labels[0][mark] == -100 for mark in marks)


def test_samples_whose_words_before_the_medium_differ_are_not_packed(tmp_path: Path) -> None:
    film = [medium("film", 0, 5)]
    samples = [sample("a", film, "<image>\nWhat?", "A."), sample("b", film, "Look: <image>\nWhat?", "B."),
               sample("c", film, "<video>\nWho?", "C."),
               sample("d", film, "<image>\nWhat?", "D.", conversations=[
                   {"from": "system", "value": "Be brief."}, {"from": "human", "value": "<image>\nWhat?"},
                   {"from": "gpt", "value": "D."}])]
    root = write_data_set(tmp_path / "a", samples, video_frames("film", 5))
    assert sorted(tuple(sorted(batch.sample_ids[0])) for batch in batches(root)) == [("a", "c"), ("b",), ("d",)]
