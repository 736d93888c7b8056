"""Ways to look at a long video: what they keep, and that one memory serves them all."""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

import copy
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import TOKENS_PER_FRAME, WINDOW, pixels

from model.evaluation.methods.kept_tokens import grid_of
from model.evaluation.methods.method import NAMES, REDUCE, Method, MethodError
from model.evaluation.methods.two_tokens import two_tokens
from model.evaluation.methods.watch import encoded, watch
from model.memory import Memory
from model.rotary import STRETCH, rotary_tables

PREFIX, QUESTION, MARK = [1, 2, 3], [4, 5, 6], 299
SIZE = 8  # of a token
WAYS = sorted(REDUCE)
LENGTHS, FACTORS = st.integers(1, 40), st.sampled_from([1, 2, 4, 9, 12, 36])


def film(frames: int, tokens: int = 36, seed: int = 0) -> torch.Tensor:
    """Visual tokens [F, V, C]."""
    return torch.randn(frames, tokens, SIZE, generator=torch.Generator().manual_seed(seed)).double()


def reduced(way: str, film_FVC: torch.Tensor, factor: int) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    parts = list(REDUCE[way](iter(film_FVC), factor))
    return torch.cat([part.tokens_KC for part in parts]), [pair for part in parts for pair in part.frames]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, deadline=None)
@given(frames=LENGTHS, factor=FACTORS, seed=st.integers(0, 99))
def test_a_way_keeps_what_it_says_and_in_order(way, frames, factor, seed):
    film_FVC = film(frames, seed=seed)
    tokens, spans = reduced(way, film_FVC, factor)
    expected = frames * 36 if factor == 1 else Method(way, factor).tokens_kept(frames, 36, 360)
    assert len(tokens) == len(spans) == expected
    per_slot = 36 // factor if way == "pool-space" else 36
    for place in range(per_slot):
        mine = spans[place::per_slot]
        assert all(0 <= first <= last < frames for first, last in mine)
        assert all(before[1] < after[0] for before, after in pairwise(mine))
        if way != "drop-frames":  # every frame is in what is kept
            assert [first for first, _ in mine] == [0, *(last + 1 for _, last in mine[:-1])]
            assert mine[-1][1] == frames - 1


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=10, deadline=None)
@given(frames=LENGTHS, seed=st.integers(0, 99))
def test_factor_one_changes_nothing(way, frames, seed):
    film_FVC = film(frames, seed=seed)
    assert torch.equal(reduced(way, film_FVC, 1)[0], film_FVC.flatten(0, 1))


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None)
@given(frames=LENGTHS, factor=FACTORS, seed=st.integers(0, 99))
def test_what_is_kept_lies_between_what_was_seen(way, frames, factor, seed):
    film_FVC = film(frames, seed=seed)
    tokens, spans = reduced(way, film_FVC, factor)
    for token, (first, last) in zip(tokens, spans, strict=True):
        seen = film_FVC[first:last + 1].flatten(0, 1)
        assert (token >= seen.amin(0) - 1e-9).all()
        assert (token <= seen.amax(0) + 1e-9).all()


@pytest.mark.parametrize("way", ["pool-space", "pool-time", "merge-places"])
@settings(max_examples=20, deadline=None)
@given(frames=LENGTHS, factor=FACTORS, seed=st.integers(0, 99))
def test_means_are_kept(way, frames, factor, seed):
    film_FVC = film(frames, seed=seed)
    tokens, spans = reduced(way, film_FVC, factor)
    weights = torch.tensor([last - first + 1.0 for first, last in spans]).double()[:, None]
    assert torch.allclose((tokens * weights).sum(0) / weights.sum(), film_FVC.mean((0, 1)))


@settings(max_examples=20, deadline=None)
@given(before=st.integers(1, 15), after=st.integers(1, 15), way=st.sampled_from(["merge-frames", "merge-places"]))
def test_merging_never_mixes_two_stills_while_there_is_another_pair(before, after, way):
    one, other = film(2)
    tokens, _ = reduced(way, torch.stack([one] * before + [other] * after), math.ceil((before + after) / 2))
    kept = tokens.unflatten(0, (-1, 36))
    assert before + after == 1 or {bool((frame - one).abs().max() < 1e-9) for frame in kept} == {True, False}
    assert all(min((frame - still).abs().max() for still in (one, other)) < 1e-9 for frame in kept)


def test_dropping_keeps_frames_as_they_are_and_evenly():
    film_FVC = film(12)
    tokens, spans = reduced("drop-frames", film_FVC, 4)
    assert spans[::36] == [(1, 1), (5, 5), (9, 9)]
    assert torch.equal(tokens, film_FVC[[1, 5, 9]].flatten(0, 1))


def test_pooling_over_space_averages_squares_row_by_row():
    frame = torch.arange(16.0).reshape(1, 16, 1)  # 4 x 4: 0 1 2 3 / 4 5 6 7 / ...
    assert reduced("pool-space", frame, 4)[0].flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert reduced("pool-space", frame, 2)[0].flatten().tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5]
    assert (grid_of(9, 12), grid_of(18, 12), grid_of(8, 12)) == ((3, 3), (6, 3), (4, 2))
    with pytest.raises(ValueError, match="equal parts of 32"):
        reduced("pool-space", film(1, 144), 32)
    with pytest.raises(ValueError, match="no square"):
        reduced("pool-space", film(1, 12), 2)


def test_merging_takes_the_likest_neighbours_first():
    base = torch.eye(SIZE).double()
    looks = [base[0], base[0] + 0.1 * base[1], base[2], base[3], base[3] + 0.1 * base[1]]
    film_FVC = torch.stack([look.expand(4, SIZE) for look in looks])
    expected = torch.stack([(looks[0] + looks[1]) / 2, looks[2], (looks[3] + looks[4]) / 2])
    for way in ("merge-frames", "merge-places"):
        tokens, spans = reduced(way, film_FVC, 2)  # to three
        assert spans[::4] == [(0, 1), (2, 2), (3, 4)]
        assert torch.allclose(tokens[::4], expected)


def test_two_tokens_are_the_mean_and_what_the_question_asks_for():
    [frame] = film(1, 144)
    asked = 1000 * frame[77] / frame[77].norm()
    likest = frame[(frame @ asked).argmax()]
    [kept] = two_tokens(iter([frame]), 72, asked[None])
    assert torch.allclose(kept.tokens_KC, torch.stack([likest, frame.mean(0)]))
    [kept] = two_tokens(iter([frame]), 16, torch.zeros(3, SIZE))  # nothing asked: the context is a mean too
    assert len(kept.tokens_KC) == 144 // 16
    assert torch.allclose(kept.tokens_KC[0], frame.mean(0))
    assert torch.allclose(kept.tokens_KC[1:].mean(0), frame.mean(0))
    with pytest.raises(ValueError, match="two or more"):
        list(two_tokens(iter([frame]), 144, asked[None]))


# ---- Through the model


@pytest.fixture(scope="module")
def double(model):
    return copy.deepcopy(model).double()


def asked(model, memory) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([QUESTION]), past_key_values=memory.cache()).logits


def looked(model, method: str, frames: int) -> Memory:
    video = pixels(frames, dtype=torch.float64)
    timed = [(0.5 * number, frame) for number, frame in enumerate(video)]
    return watch(model, Method.parse(method), encoded(model, timed), PREFIX, QUESTION)


@pytest.mark.parametrize(("method", "ratio"), [("all", 1), ("vst:4", 4), ("vst:8:yarn", 8), ("all::ntk", 1)])
def test_looking_in_videoxls_own_ways_is_compressing(double, method, ratio):
    positions = Method.parse(method).positions
    expected = double.compress(pixels(31, dtype=torch.float64), ratio=ratio, prefix_ids=PREFIX, positions=positions)
    memory = looked(double, method, 31)
    assert (asked(double, memory) - asked(double, expected)).abs().max() < 1e-10
    assert memory.vst_frames() == expected.close().vst_frames()
    assert memory.state.times_s == [0.5 * number for number in range(31)]


@pytest.mark.parametrize("way", ["pool-time", "drop-frames", "merge-frames", "merge-places"])
def test_a_reduced_video_is_read_like_one_of_these_tokens(double, way):
    """Held against one plain call of the model with the same tokens in the prompt."""
    video = pixels(31, dtype=torch.float64)
    with torch.no_grad():
        film_FVC = double.model.encode(video).unflatten(0, (31, -1))
        tokens, spans = reduced(way, film_FVC, 4)
        ids = torch.tensor([[*PREFIX, MARK, *QUESTION]])
        expected = double(ids, visual_tokens=tokens, ratio=1).logits[:, -len(QUESTION):]
    memory = looked(double, f"{way}:4", 31)
    assert (asked(double, memory) - expected).abs().max() < 1e-10
    assert memory.vst_frames() == spans
    assert memory.frames == 31


@pytest.mark.parametrize("name", NAMES)
def test_all_ways_take_the_room_they_say(double, name):
    """At equal factors, equally many bytes."""
    factor = 1 if name == "all" else 2
    memory = looked(double, f"{name}:{factor}", 40)
    kept = Method(name, factor).tokens_kept(40, TOKENS_PER_FRAME, WINDOW)
    text = double.config.text_config
    row = 2 * text.num_hidden_layers * text.num_key_value_heads * text.hidden_size // text.num_attention_heads * 8
    assert kept == 40 * TOKENS_PER_FRAME // factor
    assert memory.positions_used == len(PREFIX) + kept
    assert memory.nbytes == row * (len(PREFIX) + kept)


def test_a_reduced_memory_can_be_stored(double, tmp_path):
    memory = looked(double, "merge-places:4:linear", 20)
    memory.save(tmp_path / "film.memory")
    again = Memory.load(tmp_path / "film.memory", double)
    assert torch.equal(asked(double, again), asked(double, memory))
    assert again.vst_frames() == memory.vst_frames()
    assert again.state.positions == "linear"


def test_a_look_needs_frames_and_may_need_the_question(double):
    with pytest.raises(ValueError, match="zero frames"):
        watch(double, Method("pool-time", 2), iter(()), PREFIX)
    with pytest.raises(MethodError, match="give the question first"):
        watch(double, Method("two-tokens", 2), encoded(double, pixels(2).double()), PREFIX)
    with pytest.raises(ValueError, match="ratio 1, not 4"):
        Memory.begin(double, torch.tensor(PREFIX), 4).extend_reduced(torch.zeros(1, 32), [(0, 0)])


@given(name=st.sampled_from(NAMES), factor=st.integers(2, 200),
       positions=st.sampled_from(["published", "linear", "ntk", "yarn"]))
def test_a_method_reads_as_it_is_written(name, factor, positions):
    method = Method(name, 1 if name == "all" else factor, positions)
    assert Method.parse(str(method)) == method
    assert str(Method.parse(str(method))) == str(method)


@pytest.mark.parametrize("text", ["", "pool", "vst", "all:2", "vst:x", "vst:-2", "vst:8:spiral", "vst:8:yarn:1"])
def test_what_is_no_method_is_refused(text):
    with pytest.raises(MethodError):
        Method.parse(text)


def test_stretched_positions(double):
    config = double.config.text_config
    at = torch.arange(100)
    for one, other in zip(rotary_tables(config, "linear", (STRETCH * at).long(), torch.float64),
                          rotary_tables(config, "published", at, torch.float64), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    speeds = {name: _speeds(config, name) for name in ("published", "linear", "ntk", "yarn")}
    shrunk = {name: speeds["published"] / speed for name, speed in speeds.items()}
    assert torch.allclose(shrunk["linear"], torch.full((4,), STRETCH).double(), rtol=1e-3)
    assert shrunk["ntk"][0] == pytest.approx(1, rel=1e-3)
    assert shrunk["ntk"][-1] == pytest.approx(STRETCH, rel=1e-2)
    assert (shrunk["ntk"].diff() > 0).all()
    assert shrunk["yarn"].min() >= 1 - 1e-3
    assert shrunk["yarn"].max() <= STRETCH * (1 + 1e-2)


def _speeds(config, positions) -> torch.Tensor:
    """Angle from one position to the next of each frequency; float32 tables are exact enough at position 1."""
    cos, sin = rotary_tables(config, positions, torch.tensor([1]), torch.float64)
    return torch.atan2(sin, cos)[0, :4]
