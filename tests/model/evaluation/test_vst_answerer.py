"""What the model says through the harness is what it says when asked by hand."""

import copy
from pathlib import Path

import pytest
import torch
from tiny_models import pixels

from model.evaluation.question import Question
from model.evaluation.viewing import VideoStretch
from model.evaluation.vst_answerer import SeenAsVst, VstAnswerer, prompt_ids

VIEWING = VideoStretch(Path("v.mp4"))


def question(prompt: str, **changes) -> Question:
    return Question("q", VIEWING, prompt, "letter", "A", most_tokens=6, **changes)


@pytest.fixture
def asked(model, processor):
    model.processor = processor
    return model


def test_the_prompt_is_the_usual_one(processor) -> None:
    before, behind = prompt_ids(processor, None, "What?", "")
    assert before == processor.prefix_ids()
    assert behind == processor.question_ids("What?")


def test_system_and_prefill_have_their_places(processor) -> None:
    before, behind = prompt_ids(processor, "Look well.", "What?", "Best option: (")
    text = processor.tokenizer.decode
    assert text(before) == "<|im_start|>system\nLook well.<|im_end|>\n<|im_start|>user\n"
    assert text(behind) == "\nWhat?<|im_end|>\n<|im_start|>assistant\nBest option: ("


def test_it_answers_as_the_model_does(asked, processor) -> None:
    frames = pixels(20)
    by_hand = asked.compress(iter(frames), ratio=4).close()
    expected = [asked.answer(by_hand, words, max_new_tokens=6, do_sample=False) for words in ("What?", "And then?")]
    seen = VstAnswerer(asked, [4]).look(((float(number), frame) for number, frame in enumerate(frames)), None)
    assert [seen.reply(question(words)).text for words in ("What?", "And then?")] == expected
    assert seen.times_s == [float(number) for number in range(20)]
    assert seen.positions == by_hand.positions_used
    asked_with = len(processor.question_ids("What?"))
    assert asked_with < seen.reply(question("What?")).positions <= asked_with + 6


def test_an_answer_does_not_depend_on_earlier_ones(asked) -> None:
    frames = [(None, frame) for frame in pixels(14)]
    seen = VstAnswerer(asked, [8]).look(iter(frames), "Look well.")
    first = seen.reply(question("What?"))
    seen.reply(question("Something else altogether?", prefill="Well"))
    assert seen.reply(question("What?")) == first


def test_drawn_ratios_do_not_depend_on_the_order_of_videos(asked) -> None:
    answerer, frames = VstAnswerer(asked, [2, 4, 8]), [(None, frame) for frame in pixels(40)]
    positions = answerer.look(iter(frames), None).positions
    answerer.look(iter(frames[:13]), None)
    assert answerer.look(iter(frames), None).positions == positions
    assert answerer.ratio == "2 4 8"


def test_a_forced_answer_is_right_when_greedy_decoding_gives_it(asked, processor) -> None:
    seen = VstAnswerer(asked, [4]).look(((None, frame) for frame in pixels(20)), None)
    ids = prompt_ids(processor, None, "What?", "")[1]
    new = asked.generate(
        input_ids=torch.tensor([ids]), past_key_values=seen._memory.cache(asked), max_new_tokens=3, do_sample=False)
    said = processor.tokenizer.decode(new[0, len(ids):])
    assert processor.ids(said) == new[0, len(ids):].tolist(), "the tokenizer must give these tokens back"
    right = Question("q", VIEWING, "What?", "open", said, teacher_forced=True)
    wrong = Question("q", VIEWING, "What?", "open", said[:-1] + chr(ord(said[-1]) ^ 1), teacher_forced=True)
    assert seen.reply(right).forced is True
    assert seen.reply(right).positions == len(ids) + 3
    assert seen.reply(wrong).forced is False
    whole = Question("q", VIEWING, "What?", "open", said, teacher_forced=True, answer_ends=True)
    assert seen.reply(whole).forced is False, "it says more than that"


def test_an_answer_that_has_to_end_is_right_where_the_model_ends_it(asked, processor) -> None:
    """What the model says third is made the end of a turn."""
    seen = VstAnswerer(asked, [4]).look(((None, frame) for frame in pixels(20)), None)
    ids = prompt_ids(processor, None, "What?", "")[1]
    new = asked.generate(
        input_ids=torch.tensor([ids]), past_key_values=seen._memory.cache(asked), max_new_tokens=3, do_sample=False)
    *said, end = new[0, len(ids):].tolist()
    whole = Question("q", VIEWING, "What?", "open", processor.tokenizer.decode(said), teacher_forced=True,
                     answer_ends=True)
    ending = copy.deepcopy(processor)
    ending.tokenizer.eos_token = ending.tokenizer.convert_ids_to_tokens(end)
    assert SeenAsVst(asked, ending, seen._memory).reply(whole).forced is True
    assert SeenAsVst(asked, processor, seen._memory).reply(whole).forced is False


def test_a_checkpoint_does_not_change_what_greedy_means(asked, monkeypatch) -> None:
    """Weights are shipped with a generation_config.json that punishes what was said before."""
    seen = VstAnswerer(asked, [4]).look(((None, frame) for frame in pixels(20)), None)
    before = seen.reply(question("What?")).text
    monkeypatch.setattr(asked.generation_config, "repetition_penalty", 5.0)
    assert seen.reply(question("What?")).text == before


def test_a_ratio_that_the_model_has_not_is_refused(asked) -> None:
    with pytest.raises(ValueError, match="compression ratio 3"):
        VstAnswerer(asked, [3])


def test_images_are_tiles_and_frames_are_not(asked) -> None:
    import numpy as np

    picture = np.zeros((56, 84, 3), np.uint8)
    answerer = VstAnswerer(asked, [4])
    assert answerer.prepare(picture, False).shape == (1, 3, 28, 28)
    assert answerer.prepare(picture, True).shape == (6, 3, 28, 28)
