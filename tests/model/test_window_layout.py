"""Steps, positions and masks, against the words of `window_layout.py` taken literally."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_config

from model.attention_flex import BLOCK, block_mask
from model.kept_rows import MAX_BLOCK, KeptRows
from model.pass_plan import plan_pass
from model.ratio_choice import DrawnRatio, ratio_per_window
from model.window_layout import Text, Visual, group_steps, plan_steps, vst_slots

PARTS = st.lists(
    st.one_of(
        st.builds(Text, st.integers(1, 5)),
        st.builds(
            lambda full, rest, ratio: Visual(48 * full + rest, (ratio,) * (full + (rest > 0))),
            st.integers(0, 3),
            st.integers(4, 47),
            st.sampled_from((2, 4, 8, 16)),
        ),
    ),
    min_size=1,
    max_size=5,
)


def test_the_worked_example():
    """Three tokens, 20 visual ones in windows of 8 at ratio 4, five tokens."""
    steps = plan_steps([Text(3), Visual(20, (4, 4, 4)), Text(5)], 8)
    assert [(s.slots, s.first_rank) for s in steps] == [(3, 0), (10, 3), (10, 5), (5, 7), (5, 8)]
    assert steps[1].vst_slots == (4, 9)
    plan = plan_pass([steps])
    assert plan.positions_T.tolist() == [*range(3), *range(3, 13), *range(5, 15), *range(7, 12), *range(8, 13)]
    assert plan.kept_positions_K.tolist() == list(range(13))
    assert plan.kept_K.tolist() == [0, 1, 2, 7, 12, 17, 22, 27, *range(28, 33)]


@given(st.integers(1, 200), st.sampled_from((2, 4, 8, 12, 16, 32)))
def test_a_vst_stands_behind_every_ratio_tokens(tokens, ratio):
    slots = vst_slots(tokens, ratio)
    if tokens < ratio:
        assert slots == (tokens,)
    else:
        published = [i for i in range(tokens + tokens // ratio) if i % (ratio + 1) == ratio]
        assert list(slots) == published


@given(PARTS, st.sampled_from((1, 2, 3, None)))
def test_grouping_neither_loses_nor_reorders(parts, size):
    steps = plan_steps(parts, 48)
    groups = group_steps(steps, size)
    assert [step for group in groups for step in group] == steps
    assert all(sum(s.is_window for s in group) <= (size or 10**6) for group in groups)


@settings(max_examples=30, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(st.integers(0, 300), min_size=3, max_size=3))
def test_the_block_mask_is_the_mask(samples, past_sizes):
    """The mask from block indices, written out, against every pair by its meaning."""
    past_sizes = past_sizes[: len(samples)]
    plan = plan_pass([plan_steps(p, 48, past) for p, past in zip(samples, past_sizes, strict=True)])
    mask = block_mask(plan, past_sizes, "cpu")
    rows = sum(past_sizes) + plan.kept_K.shape[0]
    own = rows + (-rows % BLOCK)
    keys = own + plan.tokens
    expected = np.zeros((plan.tokens, keys), dtype=bool)
    starts = np.cumsum([0, *past_sizes])
    for step in plan.steps:
        expected[step.start : step.stop, starts[step.sample] : starts[step.sample + 1]] = True
        expected[step.start : step.stop, starts[-1] + step.new_start : starts[-1] + step.new_stop] = True
        for slot in range(step.start, step.stop):
            expected[slot, own + step.start : own + slot + 1] = True
    q, k = torch.arange(plan.tokens)[:, None], torch.arange(keys)[None]
    by_pair = mask.mask_mod(0, 0, q, k).numpy()
    assert (by_pair == expected).all()
    for row in range(mask.kv_num_blocks.shape[-1]):
        queries = slice(row * BLOCK, (row + 1) * BLOCK)
        partial = mask.kv_indices[0, 0, row, : mask.kv_num_blocks[0, 0, row]].tolist()
        full = mask.full_kv_indices[0, 0, row, : mask.full_kv_num_blocks[0, 0, row]].tolist()
        for block in range(-(-keys // BLOCK)):
            seen = expected[queries, block * BLOCK : (block + 1) * BLOCK]
            assert not (block in full and not seen.all())
            assert not (seen.any() and block not in full and block not in partial)


def test_interleaved_summaries_do_not_spoil_the_blocks():
    """At published sizes most blocks are left out: the point of gathering the summaries."""
    steps = plan_steps([Text(14), Visual(1440 * 12, (16,) * 12)], 1440)
    mask = block_mask(plan_pass([steps]), [0], "cpu")
    blocks = int(mask.kv_num_blocks.sum() + mask.full_kv_num_blocks.sum())
    pairs = sum(s.slots * (s.slots + 1) // 2 + s.slots * s.first_rank for s in steps)
    assert blocks * BLOCK * BLOCK < 1.4 * pairs


def test_a_wrong_number_of_ratios_is_refused():
    with pytest.raises(ValueError, match="2 windows of 8, but 1 ratios"):
        plan_steps([Visual(9, (4,))], 8)


def test_published_draws_come_out_of_the_published_seed():
    config = tiny_config(window_tokens=1440)
    choice = DrawnRatio((2, 4, 8), np.random.default_rng(42))
    assert ratio_per_window(choice, 33 * 144, config) == (2, 8, 4, 4)


@given(st.lists(st.integers(0, 700), max_size=20))
@settings(deadline=None, max_examples=20)
def test_rows_come_back_as_they_went_in(sizes):
    rows, given_k = KeptRows(1), [torch.zeros(2, 0, 4)]
    for number, size in enumerate(sizes):
        given_k.append(torch.full((2, size, 4), float(number)))
        rows.append(0, given_k[-1], -given_k[-1])
    assert len(rows) == sum(sizes)
    if sum(sizes):
        k, v = next(iter(rows.contiguous()))
        assert torch.equal(k, torch.cat(given_k, 1))
        assert torch.equal(v, -k)
    assert all(k.shape[1] <= MAX_BLOCK for k, _ in rows.rows(0))
