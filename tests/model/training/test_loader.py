"""Every sample once per epoch, whatever the workers and ranks, broken off and resumed anywhere."""

import hashlib
import io
import json
import multiprocessing
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from model.processing_video_xl import VideoXLProcessor
from model.training.batch import Batch
from model.training.epoch_order import rows_of_epoch, shuffled
from model.training.loader import LoaderStateError, TooMuchBadError, TrainingLoader, state_of_rank
from model.training.loader_settings import LoaderSettings
from model.training.missing_parts import missing_parts
from model.training.mixture import Mixture, MixtureError, everything
from model.training.shard_files import ShardError
from tests.model.tiny_models import byte_tokenizer, tiny_config
from tests.model.training.hand_made_shards import (
    frame,
    jpeg,
    medium,
    sample,
    turned_jpeg,
    video_frames,
    write_data_set,
)

CONFIG = tiny_config()
PROCESSOR = VideoXLProcessor.for_model(CONFIG, byte_tokenizer())
BUDGET = 6


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two data sets of 65 samples about videos, images and words, in several row groups."""
    folder = tmp_path_factory.mktemp("shards")
    films = [row for film in range(6) for row in video_frames(f"film{film}", 16, 100 * film)]
    asked = [
        sample(f"{film}-{question}", [medium(f"film{film}", 0, 10)], f"<image>\nWhat is {question}?", f"It is {film}.")
        for film in range(6) for question in range(8)]
    first = write_data_set(folder / "films", asked, films, frames_per_group=30)
    images = [frame(f"image{number}", 0, None, jpeg(900 + number, 40 + 8 * number, 28), (40 + 8 * number, 28))
              for number in range(8)]
    several = [medium(f"image{number}", kind="image") for number in (1, 2)]
    talks = [
        sample(f"talk{number}", [medium(f"image{number}", kind="image")], "<image>\nWhat?", "A cat.", "Sure?", "No.")
        for number in range(8)]
    talks += [sample(f"words{number}", [], f"Is {number} odd?", "Perhaps.") for number in range(8)]
    talks.append(sample("both", several, "First <image> then <image>, and?", "Cats."))
    second = write_data_set(folder / "talks", talks, images, frames_per_group=3)
    return [str(first), str(second)]


ALL = {f"{film}-{question}" for film in range(6) for question in range(8)} | {"both"} | {
    f"{kind}{number}" for kind in ("talk", "words") for number in range(8)}


def loader(
    shards: list[str] | Mixture, rank: int = 0, world_size: int = 1, workers: int = 0, seed: int = 3,
    ratios: Sequence[int] = (2,), **changes
) -> TrainingLoader:
    settings = LoaderSettings.for_model(CONFIG, ratios, **{"rows": 2, "most_questions": 3, "streams": 3, **changes})
    mixture = shards if isinstance(shards, Mixture) else everything(shards, BUDGET)
    return TrainingLoader(mixture, PROCESSOR, settings, rank, world_size, seed, workers)


def digest(batch: Batch) -> str:
    """A hash over every bit of a batch."""
    parts = [batch.input_ids, batch.attention_mask, batch.labels, batch.question_ids, batch.pixel_values,
             batch.media_sizes]
    data = b"".join(b"-" if part is None else part.numpy().tobytes() + str(part.shape).encode() for part in parts)
    return hashlib.sha256(data + repr(batch.sample_ids).encode()).hexdigest()


def seen(batches: Iterable[Batch]) -> list[str]:
    return [sample_id for batch in batches for row in batch.sample_ids for sample_id in row]


def test_an_epoch_over_two_ranks_and_two_workers_broken_off_and_resumed_sees_every_sample_once(
    shards: list[str],
) -> None:
    per_epoch = loader(shards).batches_per_epoch  # of one rank with the same rows: half of them for two
    once: list[Batch] = []
    twice: list[Batch] = []
    for rank in (0, 1):
        first = loader(shards, rank, 2, workers=2, rows=1)
        assert first.batches_per_epoch == per_epoch
        begun = iter(first)
        some = list(islice(begun, 5))
        state = json.loads(json.dumps(first.state_dict()))
        begun.close()
        second = loader(shards, rank, 2, workers=2, rows=1)
        second.load_state_dict(state)
        rest = list(islice(second, 2 * per_epoch - 5))
        once += [*some, *rest[:per_epoch - 5]]
        twice += rest[per_epoch - 5:]
        assert second.epoch == 2
        unbroken = list(islice(loader(shards, rank, 2, rows=1), 2 * per_epoch))
        assert [digest(batch) for batch in [*some, *rest]] == [digest(batch) for batch in unbroken]
    assert Counter(seen(once)) == Counter(seen(twice)) == Counter(ALL)
    assert seen(once) != seen(twice)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_batches_are_the_same_for_any_number_of_workers(shards: list[str], workers: int) -> None:
    count = loader(shards).batches_per_epoch + 2
    alone = [digest(batch) for batch in islice(loader(shards), count)]
    assert [digest(batch) for batch in islice(loader(shards, workers=workers), count)] == alone
    assert len(set(alone)) == count


def test_a_step_has_the_same_samples_whatever_the_number_of_ranks(shards: list[str]) -> None:
    alone = loader(shards, rows=4)
    shared = [iter(loader(shards, rank, 2, rows=2)) for rank in (0, 1)]
    for batch in islice(alone, alone.batches_per_epoch):
        assert sorted(seen([batch])) == sorted(seen(next(rank) for rank in shared))


def test_ranks_may_change_on_resume_as_long_as_the_global_batch_does_not(shards: list[str]) -> None:
    first = loader(shards, rows=2)
    some = list(islice(first, 4))
    rest = []
    for rank in (0, 1):
        other = loader(shards, rank, 2, rows=1)
        other.load_state_dict(first.state_dict())
        rest += list(islice(other, other.batches_per_epoch - 4))
    assert Counter(seen([*some, *rest])) == Counter(ALL)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3), (2, 2)])
def test_what_was_unusable_is_shared_out_among_other_ranks(before: int, after: int) -> None:
    found = [["a: torn", "b: torn", "c: torn"], ["d: torn"]][:before]
    states = [{"epoch": 1, "batch": 5, "data": "hash", "bad": {"picture_unreadable": 2 + len(some)},
               "bad_of_epoch": some} for some in found]
    shared = [state_of_rank(states, rank, after) for rank in range(after)]
    assert all((state["epoch"], state["batch"], state["data"]) == (1, 5, "hash") for state in shared)
    total = sum((Counter(state["bad"]) for state in shared), Counter())
    assert total == {"picture_unreadable": {1: 5, 2: 8}[before]}
    assert sorted(chain(*(state["bad_of_epoch"] for state in shared))) == sorted(chain(*found))


@pytest.mark.parametrize("change", [{"seed": 4}, {"most_questions": 2}, {"rows": 3}, {"published_labels": True}])
def test_a_state_of_another_run_is_refused(shards: list[str], change: dict) -> None:
    with pytest.raises(LoaderStateError, match="resume with those"):
        loader(shards, **change).load_state_dict(loader(shards).state_dict())


def test_a_state_of_other_data_is_refused(shards: list[str]) -> None:
    with pytest.raises(LoaderStateError):
        loader(shards[:1]).load_state_dict(loader(shards).state_dict())


def test_a_state_is_refused_where_samples_say_another_thing_or_lie_in_other_row_groups(tmp_path: Path) -> None:
    films = [row for film in range(24) for row in video_frames(f"film{film:02d}", 2, 10 * film)]

    def made(name: str, answer: str = "It.", seconds: float = 2.0, frames_per_group: int = 2) -> TrainingLoader:
        samples = [sample(f"{film:02d}", [medium(f"film{film:02d}", 0.0, seconds)], "<image>\nWhat?", answer)
                   for film in range(24)]
        return loader([str(write_data_set(tmp_path / name, samples, films, frames_per_group=frames_per_group))])

    state = json.loads(json.dumps(made("first").state_dict()))
    made("again").load_state_dict(state)
    for name, changes in (
        ("answer", {"answer": "No."}), ("stretch", {"seconds": 1.5}), ("groups", {"frames_per_group": 4}),
    ):
        with pytest.raises(LoaderStateError, match="samples changed, or were written into other row groups"):
            made(name, **changes).load_state_dict(state)
    older = {name: value for name, value in state.items() if name != "content"}
    made("older").load_state_dict(older)


def test_no_rank_is_idle_and_what_fills_up_teaches_nothing(shards: list[str]) -> None:
    facts = loader(shards, rows=1, world_size=6).facts()
    assert 0 < facts.filler_rows_per_epoch < 6
    fillers = 0
    for rank in range(6):
        batches = list(islice(loader(shards, rank, 6, rows=1), facts.batches_per_epoch))
        assert len(batches) == facts.batches_per_epoch
        empty = [batch for batch in batches if not batch.samples]
        fillers += len(empty)
        assert all(batch.answer_tokens == 0 and batch.attention_mask.all() for batch in empty)
        assert all(batch.answer_tokens > 0 for batch in batches if batch.samples)
    assert fillers == facts.filler_rows_per_epoch


def test_the_global_generator_of_torch_is_left_alone(shards: list[str]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    next(iter(loader(shards)))
    assert torch.equal(torch.rand(3), expected)


def test_a_picture_with_damaged_exif_is_counted(tmp_path: Path) -> None:
    """Values that PIL cannot write back without the turn: it raises TypeError, struct.error, AttributeError."""
    pictures = {"whole": turned_jpeg(0x0103, 3), "resolution": turned_jpeg(0x011a, 1),
                "compression": turned_jpeg(0x0103, 1), "maker": turned_jpeg(0x010f, 5)}
    frames = [frame(name, 0, None, picture) for name, picture in pictures.items()]
    samples = [sample(name, [medium(name, kind="image")], "<image>\n?", "!") for name in pictures]
    some = loader([str(write_data_set(tmp_path / "made", samples, frames))], max_bad_fraction=1.0)
    assert seen(islice(some, some.batches_per_epoch)) == ["whole"]
    assert some.bad == {"picture_unreadable": 3}


def test_workers_end_when_this_process_says_so_and_not_when_others_do(shards: list[str]) -> None:
    """A polite stop may reach every process of a group."""
    others = set(multiprocessing.active_children())
    batches = iter(loader(shards, workers=2))
    expected = [digest(batch) for batch in islice(loader(shards), 9)]
    found = [digest(next(batches))]
    workers = [one for one in multiprocessing.active_children() if one not in others]
    assert len(workers) == 2
    for polite in ("TERM", "INT"):
        subprocess.run(["kill", f"-{polite}", *(str(worker.pid) for worker in workers)], check=True)
    found += [digest(batch) for batch in islice(batches, 8)]  # more than were made beforehand
    assert found == expected
    batches.close()
    workers[0].join(60)
    assert not any(worker.is_alive() for worker in workers)

    hanging = iter(loader(shards, workers=1))
    next(hanging)
    worker, = (one for one in multiprocessing.active_children() if one not in others)

    def end() -> None:
        worker.terminate()
        worker.join(60)  # torch raises at once, or for the next batch
        list(islice(hanging, 9))

    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        end()
    assert not worker.is_alive()


def test_an_undecodable_picture_is_counted_and_its_row_teaches_nothing(tmp_path: Path) -> None:
    frames = [frame("good", 0, None, jpeg(1)), frame("torn", 0, None, jpeg(2)[:300]), frame("none", 0, None, b"")]
    samples = [sample(f"{video}-{turn}", [medium(video, kind="image")], f"<image>\n{turn}?", "Yes.")
               for video in ("good", "torn", "none") for turn in range(2)]
    root = str(write_data_set(tmp_path / "torn", samples, frames))
    tolerant = loader([root], max_bad_fraction=0.7)
    batches = list(islice(tolerant, tolerant.batches_per_epoch))
    assert sorted(seen(batches)) == ["good-0", "good-1"]
    assert tolerant.bad == {"picture_unreadable": 4}
    assert tolerant.state_dict()["bad"] == {"picture_unreadable": 4}
    with pytest.raises(TooMuchBadError, match=r"torn|none"):
        list(islice(loader([root]), tolerant.batches_per_epoch))


def test_what_may_not_be_trained_on_is_left_out_and_counted(tmp_path: Path) -> None:
    frames = [row for film in ("film", "twin", "planted") for row in video_frames(film, 5)]
    film = [medium("film", 0, 5)]
    asked = ("<image>\nWhat?", "That.")
    samples = [
        sample("kept", film, *asked, min_frames=4),
        sample("test", film, *asked, split="test"),
        sample("needle", film, *asked, calibration=True),
        sample("of a planted film", [medium("planted", 0, 5)], *asked),
        sample("twin", [medium("twin", 0, 5)], *asked),
        sample("unseen", film, *asked, min_frames=BUDGET + 1),
        sample("two marks", film, "<image><image>\nWhat?", "That."),
        sample("mark in the answer", film, "What?", "<image>"),
        sample("no answer", film, "<image>\nWhat?"),
        sample("answer first", film, "<image>\nWhat?", "That.", conversations=[
            {"from": "gpt", "value": "That."}, {"from": "human", "value": "<image>What?"},
            {"from": "gpt", "value": "That."}]),
        sample("no frames", [medium("film", 7, 9)], *asked),
        sample("no film", [medium("gone", 0, 9)], *asked),
        sample("no such frame", [medium("film", kind="image", frame_indexes=[2, 77])], *asked),
        sample("too long", film, "<image>\n" + "word " * 100, "That."),
    ]
    root = str(write_data_set(tmp_path / "mixed", samples, frames, duplicates=["twin"], planted=["planted"]))
    mixed = loader([root], max_bad_fraction=0.9, most_tokens=500)
    source, = mixed.facts().sources
    assert source.left_out == {"not_train": 1, "calibration": 2, "duplicate": 1, "evidence_unseen": 1}
    assert source.bad == {"turns_unusable": 3, "marks_and_media_differ": 1, "frames_missing": 3, "too_long": 1}
    assert seen(islice(mixed, mixed.batches_per_epoch)) == ["kept"]
    assert "  left out, evidence_unseen: 1" in mixed.facts().lines()
    with pytest.raises(TooMuchBadError, match=r"8 samples are unusable.*\n.*turns_unusable: 3"):
        loader([root])


def test_position_range_is_counted_as_the_model_counts_it(tmp_path: Path) -> None:
    """Of samples of growing length exactly those are taken that the range of positions holds."""
    film = [medium("film", 0, 5)]
    words = {f"{length:03}": f"<image>\n{'x' * length}" for length in range(0, 560, 7)}
    samples = [sample(name, film, question, "Yes.") for name, question in words.items()]
    root = str(write_data_set(tmp_path / "long", samples, video_frames("film", 5)))
    taken = loader([root], max_bad_fraction=1.0, most_questions=1)
    needed = {}
    for name, question in words.items():
        text = f"{question}<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n".removeprefix("<image>")
        ids = len(PROCESSOR.prefix_ids()) + len(PROCESSOR.ids(text))
        needed[name] = ids + 5 * CONFIG.tokens_per_crop // 2
    limit = CONFIG.text_config.max_position_embeddings
    expected = [name for name, positions in needed.items() if positions <= limit]
    assert 0 < len(expected) < len(words)
    assert sorted(seen(islice(taken, taken.batches_per_epoch))) == expected


@pytest.mark.parametrize(("ratios", "expected"), [
    ((16,), {"four", "sixteen", "beside", "words"}),  # spans of 16, 48 + 16, 8 + 8, no visual tokens
    ((8, 16), {"four", "six", "fourteen", "sixteen", "beside", "apart", "words"}),
    ((12,), {"six", "after", "words"}),
    ((4, 16), {"four", "five", "six", "fourteen", "sixteen", "beside", "apart", "after", "words"}),
])
def test_samples_with_a_window_that_no_ratio_divides_are_counted(
    tmp_path: Path, ratios: Sequence[int], expected: set[str]
) -> None:
    """Four tokens a frame, windows of 48: every span is cut into windows from its own start."""
    def film(begin: int, end: int) -> dict:
        return medium("film", begin, end)

    lengths = {"four": 4, "five": 5, "six": 6, "fourteen": 14, "sixteen": 16}
    samples = [sample(name, [film(0, length)], "<image>\nWhat?", "That.") for name, length in lengths.items()] + [
        sample("beside", [film(0, 2), film(5, 7)], "<image><image>\nWhat?", "That."),
        sample("apart", [film(0, 2), film(5, 7)], "<image> or <image>?", "That."),
        sample("after", [film(0, 3)], "Look: <image>\nWhat?", "That."),
        sample("words", [], "What?", "That.")]
    root = str(write_data_set(tmp_path / "made", samples, video_frames("film", 16)))
    mixture = everything([root], 20)
    some = loader(mixture, ratios=ratios, max_bad_fraction=1.0)
    assert set(seen(islice(some, some.batches_per_epoch))) == expected
    assert some.facts().sources[0].bad.get("no_ratio_divides", 0) == len(samples) - len(expected)
    if len(expected) < len(samples):
        with pytest.raises(TooMuchBadError, match="no_ratio_divides"):
            loader(mixture, ratios=ratios)


def test_what_is_unusable_is_a_share_of_what_was_read_and_not_of_a_cap(tmp_path: Path) -> None:
    samples = [sample(f"{number:03}", [], "<image> Why?" if number < 2 else "Why?", "So.") for number in range(100)]
    shards = [str(write_data_set(tmp_path / "made", samples, []))]
    capped = Mixture.model_validate({"sources": [{"name": "made", "cap": 20}], "shards": shards})
    assert loader(capped, max_bad_fraction=0.02).facts().samples == 20
    with pytest.raises(TooMuchBadError, match=r"2 samples are unusable.*\(1\.9\)"):
        loader(capped, max_bad_fraction=0.019)


def test_an_unusable_sample_that_an_epoch_shows_often_is_one(tmp_path: Path) -> None:
    talks = [sample(f"{number:03}", [], "Why?", "So.") for number in range(48)]
    seen_in = [sample(name, [medium(name, kind="image")], "<image>\n?", "!", kind="seen") for name in ("good", "torn")]
    frames = [frame("good", 0, None, jpeg(1)), frame("torn", 0, None, jpeg(2)[:300])]
    mixture = Mixture.model_validate({"shards": [str(write_data_set(tmp_path / "made", [*talks, *seen_in], frames))],
                                      "sources": [{"name": "talks", "kinds": ["asked"]},
                                                  {"name": "seen", "kinds": ["seen"], "weight": 5.0}]})
    some = loader(mixture, max_bad_fraction=0.02, rows=1)
    batches = iter(some)
    epochs = list(islice(batches, 2 * some.batches_per_epoch))
    assert some.bad == {"picture_unreadable": 10}
    assert list(some.bad_of_epoch) == ["torn"]
    assert seen(epochs).count("good") == 10
    assert some.state_dict()["bad_of_epoch"] == []
    next(batches)
    while not some.bad_of_epoch:
        next(batches)
    again = loader(mixture, max_bad_fraction=0.02, rows=1)
    again.load_state_dict(some.state_dict())
    assert again.bad_of_epoch == some.bad_of_epoch
    with pytest.raises(TooMuchBadError, match="torn"):
        list(islice(loader(mixture, max_bad_fraction=0.019, rows=1), some.batches_per_epoch))


def test_of_several_ranks_what_all_found_counts(tmp_path: Path) -> None:
    samples = [sample(name, [medium(name, kind="image")], "<image>\n?", "!") for name in "abcdefgh"]
    frames = [frame(name, 0, None, jpeg(1)[:300] if name in "ab" else jpeg(1)) for name in "abcdefgh"]
    shards = [str(write_data_set(tmp_path / "made", samples, frames))]
    ranks = [loader(shards, rank, 2, rows=1, max_bad_fraction=0.2) for rank in (0, 1)]
    for rank in ranks:
        list(islice(rank, rank.batches_per_epoch))
    found = [rank.bad_of_epoch for rank in ranks]
    assert {name for one in found for name in one} == {"a", "b"}
    ranks[0].check_bad([found[0], {}] if len(found[0]) < 2 else [{}, {}])
    for rank in ranks:
        with pytest.raises(TooMuchBadError, match=r"2 samples are unusable.*\(1\.6\)"):
            rank.check_bad(found)


def test_weights_and_caps(shards: list[str]) -> None:
    def mixture(**changes) -> Mixture:
        return Mixture.model_validate(
            {"sources": [{"name": "made", "most_frames": BUDGET, **changes}], "shards": shards})

    capped = loader(mixture(cap=10))
    some = seen(islice(capped, capped.batches_per_epoch))
    assert len(some) == len(set(some)) == 10
    assert capped.facts().sources[0].left_out == {"over_cap": len(ALL) - 10}
    again = loader(mixture(cap=11), seed=8)
    assert set(some) < set(seen(islice(again, again.batches_per_epoch)))
    halves = loader(mixture(weight=0.5), most_questions=1, rows=1)
    count = halves.batches_per_epoch
    epochs = list(islice(halves, 2 * count))
    assert max(Counter(seen(epochs)).values()) <= 2
    assert len(set(seen(epochs))) >= len(ALL) - 1
    double = loader(mixture(weight=2.0))
    assert Counter(seen(islice(double, double.batches_per_epoch))) == Counter([*ALL, *ALL])


def test_what_is_missing_is_told_and_no_batch_is_given(shards: list[str], tmp_path: Path) -> None:
    unfinished = write_data_set(tmp_path / "unfinished", [], [])
    (unfinished / "manifest.json").unlink()
    mixture = Mixture.model_validate({"shards": [*shards, str(unfinished)], "sources": [
        {"name": "here", "datasets": ["made", "gone"]}, {"name": "away", "shards": [str(tmp_path / "nowhere")]}]})
    folder, nowhere, *data_sets = missing_parts(mixture)
    assert folder.startswith(f"{unfinished}: no finished data set")
    assert nowhere.startswith(f"{tmp_path / 'nowhere'}: no finished data set")
    assert data_sets == ["here: gone", "away: every data set"]
    lacking = loader(mixture)
    assert lacking.facts().samples == len(ALL)
    with pytest.raises(MixtureError, match=r"(?s)unfinished: no.*nowhere: no.*here: gone.*away: every data set"):
        next(iter(lacking))


def test_a_folder_that_no_source_asks_for_is_missing_too(shards: list[str], tmp_path: Path) -> None:
    mixture = Mixture.model_validate(
        {"shards": [str(tmp_path / "nowhere")], "sources": [{"name": "own", "shards": shards}]})
    missing, = missing_parts(mixture)
    assert missing.startswith(f"{tmp_path / 'nowhere'}: no finished data set")


def test_two_sources_may_not_take_the_same_samples(shards: list[str]) -> None:
    mixture = Mixture.model_validate({"shards": shards, "sources": [
        {"name": "one", "datasets": ["made"]}, {"name": "two", "kinds": ["asked"]}]})
    with pytest.raises(MixtureError, match="'one' and 'two' both take 'asked' of 'made'"):
        loader(mixture)


def test_a_folder_in_several_spellings_is_one(shards: list[str], tmp_path: Path) -> None:
    films, _ = shards
    (tmp_path / "link").symlink_to(films)
    spellings = [films, f"{films}/../films", str(tmp_path / "link"), os.path.relpath(films)]
    assert loader(spellings).facts() == loader([films]).facts()
    for spelling in spellings[1:]:
        mixture = Mixture.model_validate({"sources": [
            {"name": "one", "shards": [films]}, {"name": "two", "shards": [spelling]}]})
        with pytest.raises(MixtureError, match="'one' and 'two' both take"):
            loader(mixture)
    nowhere = tmp_path / "nowhere"
    twice = Mixture.model_validate({"shards": [films, str(nowhere), f"{nowhere}/../nowhere"],
                                    "sources": [{"name": "all"}]})
    assert len(missing_parts(twice)) == 1


def test_a_kind_of_which_there_is_no_sample_is_told(shards: list[str]) -> None:
    mixture = Mixture.model_validate({"shards": shards, "sources": [{"name": "made", "kinds": ["asked", "aksed"]}]})
    facts = loader(mixture).facts()
    assert facts.samples == len(ALL)
    assert [line for line in facts.lines() if "kind" in line] == ["  there is no sample of the kind 'aksed'"]


def test_broken_data_sets_are_named(tmp_path: Path) -> None:
    def written(name: str) -> Path:
        return write_data_set(tmp_path / name, [sample("a", [medium("film", 0, 3)], "<image>\n?", "!")],
                              video_frames("film", 3))

    truncated = written("truncated")
    frames = truncated / "data" / "frames" / "train-00000.parquet"
    frames.write_bytes(frames.read_bytes()[:-20])
    with pytest.raises(ShardError, match=r"frames/train-00000.parquet is damaged"):
        loader([str(truncated)])
    other = written("other")
    (other / "data" / "samples" / "train-00000.parquet").write_bytes(
        (other / "data" / "videos" / "train-00000.parquet").read_bytes())
    with pytest.raises(ShardError, match="column 'sample_id' of 'samples' should be string but is not there"):
        loader([str(other)])
    scratched = written("scratched")
    frames = scratched / "data" / "frames" / "train-00000.parquet"
    data = bytearray(frames.read_bytes())
    place = data.find(b"\xff\xd8\xff")  # inside the page of the pictures
    frames.write_bytes(data[:max(place, 50) - 30] + bytes(60) + data[max(place, 50) + 30:])
    for workers in (0, 1):
        with pytest.raises((ShardError, TooMuchBadError), match=r"cannot be read|unusable"):
            next(iter(loader([str(scratched)], workers=workers)))


@given(rows=st.integers(1, 60), chunks=st.integers(1, 9), streams=st.integers(1, 12), epoch=st.integers(0, 3))
def test_an_epoch_is_a_permutation(rows: int, chunks: int, streams: int, epoch: int) -> None:
    of_row = np.arange(rows) % chunks
    order = shuffled(np.arange(rows), of_row, streams, epoch, 1)
    assert sorted(order.tolist()) == list(range(rows))


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_source_has_the_same_share_all_through_an_epoch(tmp_path: Path, world_size: int) -> None:
    """One row group each of 100 and 300 rows: three streams would be done with the first source before the end."""
    shards = [str(write_data_set(tmp_path / name, [
        sample(f"{name}{number}", [], f"Is {number} odd?", "Perhaps.") for number in range(count)], []))
        for name, count in (("few", 100), ("many", 300))]
    ranks = [loader(shards, rank, world_size, rows=20 // world_size) for rank in range(world_size)]
    batches = [[seen([batch]) for batch in islice(one, 20)] for one in ranks]
    for quarter in range(4):
        ids = [name for of_rank in batches for batch in of_rank[5 * quarter:5 * quarter + 5] for name in batch]
        few = sum(name.startswith("few") for name in ids)
        assert len(ids) == 100
        assert 12 <= few <= 38, (quarter, few)  # four standard deviations around 25


@given(rows=st.integers(1, 40), weight=st.floats(0.05, 3), epochs=st.integers(1, 6))
def test_no_row_is_seen_twice_more_than_another(rows: int, weight: float, epochs: int) -> None:
    taken = Counter()
    for epoch in range(epochs):
        taken.update(rows_of_epoch([np.arange(rows)], [weight], epoch, 1).tolist())
    assert max(taken.values()) - min(taken[row] for row in range(rows)) <= 1


@pytest.mark.parametrize("orientation", [1, 6])
def test_pictures_much_larger_than_shown_are_decoded_smaller_and_look_alike(tmp_path: Path, orientation: int) -> None:
    side = PROCESSOR.size
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((16 * side, 12 * side), Image.Resampling.BICUBIC).save(file, "JPEG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file))
    row = frame("film", 0, 0.0, file.getvalue(), upright.size)
    asked = sample("s", [medium("film", 0, 1)], "<image>\nWhat?", "It.")
    folder = write_data_set(tmp_path, [asked], [row], frames_per_group=1)
    shown = next(iter(loader([str(folder)], rows=1))).pixel_values[0]
    expected = PROCESSOR.frame_pixels(np.asarray(upright))
    assert (shown - expected).abs().mean() < 0.02 * expected.std()
    assert not torch.equal(shown, expected), "it was decoded whole"
