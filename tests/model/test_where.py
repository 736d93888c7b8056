"""Where an answer looks: weights against attention written out in full, seconds against layouts made by hand."""

import copy
import math
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_models import TOKENS_PER_FRAME, pixels

from model.answer_attention import answer_attention
from model.attention_to_time import frame_edges, frame_shares, spans_above, spans_in_order
from model.memory import Memory
from model.where import clock, where

PREFIX, QUESTION, ANSWER = [1, 2, 3], [4, 5, 6, 7], [8, 9, 10]


@pytest.fixture(scope="module")
def double(model):
    return copy.deepcopy(model).double()


def film(frames: int):
    return ((float(number), frame) for number, frame in enumerate(pixels(frames)))


def written_out(model, memory) -> np.ndarray:
    """[L, N, T, S] softmax of each layer and head: question and answer over [kept rows | question and answer], from a
    decoder of nothing but its weights.
    """
    config, decoder = model.config.text_config, model.model.language_model
    cache = memory.cache().streams[0]
    ids = torch.tensor([*QUESTION, *ANSWER[:-1]])
    hidden, size = decoder.embed_tokens(ids), config.hidden_size // config.num_attention_heads
    places = len(cache.rows) + torch.arange(len(ids), dtype=torch.float64)
    angles = places[:, None] * config.rope_parameters["rope_theta"] ** -(torch.arange(0, size, 2).double() / size)
    cos, sin = (turn(angles).repeat(1, 2) for turn in (torch.cos, torch.sin))

    def turned(x):
        return x * cos + torch.cat((-x[..., size // 2:], x[..., :size // 2]), -1) * sin

    found = []
    for layer, (kept_k, kept_v) in zip(decoder.layers, cache.rows.contiguous(), strict=True):
        x, attention = layer.input_layernorm(hidden), layer.self_attn
        q, k, v = (project(x).view(len(ids), -1, size).transpose(0, 1)
                   for project in (attention.q_proj, attention.k_proj, attention.v_proj))
        group = q.shape[0] // k.shape[0]
        k, v = torch.cat((kept_k, turned(k)), 1), torch.cat((kept_v, v), 1)
        k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
        scores = turned(q) @ k.transpose(1, 2) / math.sqrt(size)
        ahead = torch.ones(len(ids), len(ids), dtype=torch.bool).triu(1)
        scores[:, :, len(cache.rows):].masked_fill_(ahead, -torch.inf)
        weights = scores.softmax(-1)
        found.append(weights)
        hidden = hidden + attention.o_proj((weights @ v).transpose(0, 1).flatten(1))
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return torch.stack(found).detach().numpy()


@pytest.mark.parametrize(("frames", "ratio", "closed"), [(30, 4, True), (30, 4, False), (13, 16, False), (25, 1, True)])
@pytest.mark.parametrize("layers", [None, [1]])
def test_weights_are_those_of_attention_written_out(double, frames, ratio, closed, layers, monkeypatch):
    monkeypatch.setattr("model.answer_attention.RUN", 7)  # several runs, the last one short
    memory = double.compress(film(frames), ratio=ratio, prefix_ids=PREFIX)
    memory = memory.close() if closed else memory
    found = answer_attention(double, memory, QUESTION, ANSWER, [(0, 3), (1, 2)], layers)
    full = written_out(double, memory)[slice(None) if layers is None else layers]
    answers = full[:, :, -len(ANSWER):].mean((0, 1))  # where the answer's tokens are predicted
    kept = len(memory.cache().streams[0].rows)
    for part, expected in enumerate((answers.mean(0), answers[1])):
        np.testing.assert_allclose(found.video_RK[part], expected[len(PREFIX):kept], atol=1e-6)
        text = expected[:len(PREFIX)].sum() + expected[kept:].sum()
        assert float(found.text_R[part]) == pytest.approx(text, abs=1e-6)
        assert float(found.video_RK[part].sum() + found.text_R[part]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("implementation", ["eager", "sdpa", "flex_attention"])
def test_the_way_attention_is_computed_does_not_matter(model, implementation):
    other = copy.deepcopy(model)
    other.set_attn_implementation(implementation)
    memory = other.compress(film(14), ratio=4, prefix_ids=PREFIX)
    usual = answer_attention(model, model.compress(film(14), ratio=4, prefix_ids=PREFIX), QUESTION, ANSWER)
    found = answer_attention(other, memory, QUESTION, ANSWER)
    torch.testing.assert_close(found.video_RK, usual.video_RK, atol=1e-5, rtol=1e-4)


def test_looking_leaves_memory_and_model_as_they_were(model):
    memory = model.compress(film(14), ratio=4, prefix_ids=PREFIX)
    kept, first = memory.positions_used, answer_attention(model, memory, QUESTION, ANSWER)
    assert memory.positions_used == kept
    assert not any(layer.self_attn._forward_pre_hooks for layer in model.model.language_model.layers)
    assert torch.equal(answer_attention(model, memory, QUESTION, ANSWER).video_RK, first.video_RK)


def test_an_empty_answer_looks_from_the_end_of_the_question(model):
    memory = model.compress(film(14), ratio=4, prefix_ids=PREFIX)
    none, one = (answer_attention(model, memory, QUESTION, answer) for answer in ([], [8]))
    assert torch.equal(none.video_RK, one.video_RK)


@pytest.mark.parametrize("wrong", [{"layers": [3]}, {"layers": []}, {"parts": [(1, 1)]}, {"parts": [(0, 4)]}])
def test_wrong_calls_are_refused(model, wrong):
    memory = model.compress(film(13), ratio=4, prefix_ids=PREFIX)
    with pytest.raises(ValueError, match=r"numbered|parts"):
        answer_attention(model, memory, QUESTION, ANSWER, **wrong)


def test_a_memory_file_looks_at_the_same_places(model, tmp_path):
    memory = model.compress(film(30), ratio=[2, 4, 8], prefix_ids=PREFIX).close()
    memory.save(tmp_path / "m")
    loaded = Memory.load(tmp_path / "m", model)
    first, again = (answer_attention(model, one, QUESTION, ANSWER).video_RK for one in (memory, loaded))
    assert torch.equal(first, again)
    shares = frame_shares(loaded, again.numpy())
    assert shares.shape == (1, 30)
    assert shares.sum() == pytest.approx(float(again.sum()))


# ---- Seconds


@pytest.mark.parametrize(("frames", "ratios", "closed"), [
    (30, [2, 4, 8], True), (30, [16, 8, 16], False), (13, [12, 16], False), (25, [1, 1, 4], True)])
def test_a_vst_lights_up_the_frames_that_stand_in_front_of_it(model, frames, ratios, closed):
    """Each VST by itself: its window of twelve frames is laid out by hand, token by token."""
    memory = model.compress(film(frames), ratio=ratios, prefix_ids=PREFIX)
    memory = memory.close() if closed else memory
    frame_of_tokens = []  # for each kept VST the frames of its tokens
    for window, ratio in enumerate(ratios):
        tokens = [frame for frame in range(12 * window, min(12 * (window + 1), frames))
                  for _ in range(TOKENS_PER_FRAME)]
        waiting = []
        for frame in tokens:
            waiting.append(frame)
            if len(waiting) == ratio:
                frame_of_tokens.append(waiting)
                waiting = []
        if len(tokens) < ratio:
            frame_of_tokens.append(waiting)
    lit = frame_shares(memory, np.eye(len(frame_of_tokens)))
    for row, tokens in zip(lit, frame_of_tokens, strict=True):
        expected = np.bincount(tokens, minlength=frames) / len(tokens)
        np.testing.assert_allclose(row, expected, atol=1e-12)
    with pytest.raises(ValueError, match="keeps"):
        frame_shares(memory, np.ones((1, len(frame_of_tokens) + 1)))


def test_a_token_of_several_frames_is_spread_over_them(model):
    memory = model.compress(film(1), ratio=1, prefix_ids=PREFIX)
    memory = Memory.begin(model, torch.tensor(PREFIX), 1)
    memory.extend_reduced(torch.randn(3, 32), [(0, 1), (2, 2), (2, 5)])
    memory.state.times_s = [float(second) for second in range(6)]
    np.testing.assert_allclose(
        frame_shares(memory, np.array([[0.4, 0.2, 0.4]])), [[0.2, 0.2, 0.3, 0.1, 0.1, 0.1]], atol=1e-12)


def test_edges_of_frames():
    assert frame_edges([0, 2, 3]).tolist() == [0, 2, 3, 4]
    assert frame_edges([0, 2, 3], 3.5).tolist() == [0, 2, 3, 3.5]
    assert frame_edges([5]).tolist() == [5, 6]
    assert frame_edges([1, 1]).tolist() == [1, 1, 2]  # more frames were wanted than there are
    for wrong in ([], [0, None], [2, 1]):
        with pytest.raises(ValueError, match="time"):
            frame_edges(wrong)


def test_spans_by_hand():
    shares, edges = np.array([0, 4, 3, 1, 0, 2, 0.0]), np.array([0, 2, 4, 6, 8, 10, 12, 14])
    spans = spans_above(shares, edges)
    assert [(span.start_s, span.end_s, span.share) for span in spans] == [(2, 6, 0.7), (10, 12, 0.2)]
    assert len(spans_above(shares, edges, most=1)) == 1
    assert spans_above(np.zeros(3), np.arange(4)) == []


SHARES = arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(3, 7)), elements=st.floats(0.01, 1))


@given(SHARES)
@settings(max_examples=60, deadline=None)
def test_spans_in_order_are_the_best_cuts_there_are(shares):
    """Against every way to cut."""
    parts, frames = shares.shape
    own = shares / shares.sum(1, keepdims=True)
    best = max(
        sum(own[part, begin:end].sum() for part, (begin, end) in enumerate(pairwise((0, *cuts, frames))))
        for cuts in combinations(range(1, frames), parts - 1))
    spans = spans_in_order(shares, np.arange(frames + 1.0))
    assert sum(span.share for span in spans) == pytest.approx(best)
    assert [span.start_s for span in spans] == [0, *(span.end_s for span in spans[:-1])]
    assert spans[-1].end_s == frames
    everywhere = shares / shares.sum(1, keepdims=True)
    everywhere[:, 0] += 5  # something all parts look at; their other shares stay in proportion
    assert [span.end_s for span in spans_in_order(everywhere, np.arange(frames + 1.0))] == [s.end_s for s in spans]


def test_where_from_words_to_seconds(model, processor):
    model.processor = processor
    memory = model.compress(film(30), ratio=4).close()
    ids = processor.question_ids("What?")
    found = where(model, memory, ids, "a red star", end_s=31)
    assert found.shares.sum() == pytest.approx(1)
    assert found.edges_s[-1] == 31
    assert 0 < found.text_share < 1
    best = int(np.argmax(found.shares))
    assert any(span.start_s <= best < span.end_s for span in found.spans)
    assert len(found.told()) == len(found.as_json()["spans"]) == len(found.spans)
    lines = where(model, memory, ids, "one\n\ntwo <video>\nthree", "lines")
    assert lines.lines == ("one", "two <video>", "three")
    assert [span.start_s for span in lines.spans] == [0, *(span.end_s for span in lines.spans[:-1])]


@pytest.mark.parametrize("answer", ["", " \n\n"])
def test_an_answer_without_a_line_has_no_span_by_lines(model, processor, monkeypatch, answer):
    monkeypatch.setattr(model, "processor", processor)
    memory = model.compress(film(30), ratio=4).close()
    ids = processor.question_ids("What?")
    found = where(model, memory, ids, answer, "lines")
    assert (found.spans, found.lines, found.told()) == ((), (), [])
    assert found.shares.sum() == pytest.approx(1)  # where it looked before it said nothing
    assert where(model, memory, ids, answer, "above").spans


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (12.5, "0:12.5"), (59.96, "1:00"), (3725, "1:02:05")])
def test_clock(seconds, told):
    assert clock(seconds) == told
