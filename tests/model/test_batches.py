"""What a batch gives is what each sample gives alone, whatever is in it and whatever came before."""

import pytest
import torch
from tiny_models import pixels

MARK = 299
TEXT = [7, 8, 9, 10, 11, 12, 13]


def samples() -> list[dict]:
    """Text only, an image of 7 tiles, 3 images with text between, videos of 2, 25 and 43 frames."""
    return [
        {"ids": TEXT, "sizes": [], "ratio": 2},
        {"ids": [1, 2, MARK, 3], "sizes": [7], "ratio": 4},
        {"ids": [MARK, 4, MARK, 5, 6, MARK, 7], "sizes": [4, 6, 9], "ratio": 8},
        {"ids": [1, MARK, 2], "sizes": [2], "ratio": 2},
        {"ids": [1, 2, 3, MARK, 4, 5], "sizes": [25], "ratio": 16},
        {"ids": [9, MARK, 8], "sizes": [43], "ratio": 12},
    ]


def inputs(chosen: list[dict], side: str = "left") -> dict:
    longest = max(len(one["ids"]) for one in chosen)
    pad = [longest - len(one["ids"]) for one in chosen]
    rows = [[0] * n + s["ids"] if side == "left" else s["ids"] + [0] * n for n, s in zip(pad, chosen, strict=True)]
    mask = [[0] * n + [1] * (longest - n) if side == "left" else [1] * (longest - n) + [0] * n for n in pad]
    media = [pixels(size, seed=size, dtype=torch.float64) for one in chosen for size in one["sizes"]]
    found = {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}
    if media:
        found |= {"pixel_values": torch.cat(media), "media_sizes": [len(one) for one in media]}
    return found | {"ratio": [one["ratio"] for one in chosen]}


@pytest.fixture(scope="module")
def double(model):
    import copy

    return copy.deepcopy(model).double()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("windows", [1, 3, None])
@torch.no_grad()
def test_a_mixed_batch_gives_the_logits_of_each_alone(double, side, windows):
    together = double(**inputs(samples(), side), windows_per_pass=windows)
    for index, one in enumerate(samples()):
        alone = double(**inputs([one])).logits[0]
        kept = inputs(samples(), side)["attention_mask"][index].bool()
        assert (together.logits[index][kept] - alone).abs().max() < 1e-10
        assert (together.logits[index][~kept] == 0).all()


@torch.no_grad()
def test_the_ratios_used_are_part_of_the_output(double):
    found = double(**inputs(samples())).ratios
    assert found == ((), (4,), (8, 8, 8), (2,), (16, 16, 16), (12, 12, 12, 12))


@torch.no_grad()
def test_calls_in_any_order_give_the_same(double):
    first = [double(**inputs([one])).logits for one in samples()]
    again = [double(**inputs([one])).logits for one in reversed(samples())]
    for a, b in zip(first, reversed(again), strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_adjacent_media_are_one_span(double):
    """As if the frames had come as one medium: the same windows."""
    apart = inputs([{"ids": [1, MARK, MARK, 2], "sizes": [5, 9], "ratio": 4}])
    whole = {"input_ids": torch.tensor([[1, MARK, 2]]), "pixel_values": apart["pixel_values"], "ratio": 4}
    assert (double(**apart).logits[0, -1] - double(**whole).logits[0, -1]).abs().max() < 1e-12


@torch.no_grad()
def test_text_only_is_plain_qwen2(double):
    """Against transformers' own Qwen2, on the same weights."""
    from transformers import Qwen2ForCausalLM

    names = {name.replace("language_model.", ""): t for name, t in double.state_dict().items()}
    plain = Qwen2ForCausalLM(double.config.text_config).double().eval()
    plain.load_state_dict({name: names[name] for name in plain.state_dict()})
    ids = torch.tensor([TEXT])
    # Qwen2's norms and softmax round to float32 on the way.
    assert (double(ids).logits - plain(ids).logits).abs().max() < 1e-5


@torch.no_grad()
def test_a_window_shorter_than_its_ratio_is_not_lost(double):
    """13 frames at ratio 16: a full window, then 4 tokens that close with one VST."""
    video = pixels(13, dtype=torch.float64)
    other = video.clone()
    other[-1] += 1
    ids = torch.tensor([[1, MARK, 2]])
    a, b = (double(ids, pixel_values=x, ratio=16).logits[0, -1] for x in (video, other))
    assert (a - b).abs().max() > 1e-6


def test_packed_questions_are_blind_to_each_other(double):
    """Loss, logits and gradients of three questions behind one video, packed and one by one."""
    video = pixels(14, dtype=torch.float64)
    shared, questions = [1, 2, MARK, 3], [[5, 6, 7], [8, 9], [10, 11, 12, 13]]
    labels = [[-100, 6, 7], [8, 9], [-100, -100, 12, 13]]
    packed = torch.tensor([shared + [token for question in questions for token in question]])
    marks = torch.tensor([[0] * 4 + [1] * 3 + [2] * 2 + [3] * 4])
    targets = torch.tensor([[-100] * 4 + [label for of_one in labels for label in of_one]])
    for windows in (None, 1):
        double.zero_grad(set_to_none=True)
        out = double(packed, pixel_values=video, ratio=4, question_ids=marks, labels=targets, windows_per_pass=windows)
        out.loss.backward()
        gradients = {name: p.grad.clone() for name, p in double.named_parameters() if p.grad is not None}
        double.zero_grad(set_to_none=True)
        total, count, start = 0.0, 6, 4
        for question, wanted in zip(questions, labels, strict=True):
            alone = double(
                torch.tensor([shared + question]),
                pixel_values=video,
                ratio=4,
                labels=torch.tensor([[-100] * 4 + wanted]),
            )
            weight = sum(label >= 0 for label in wanted) / count
            (alone.loss * weight).backward()
            total += alone.loss.item() * weight
            width = len(question)
            assert (out.logits[0, start : start + width] - alone.logits[0, 4:]).abs().max() < 1e-10
            start += width
        assert abs(out.loss.item() - total) < 1e-10
        for name, parameter in double.named_parameters():
            if name in gradients:
                assert (parameter.grad - gradients[name]).abs().max() < 1e-9
    double.zero_grad(set_to_none=True)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_loss_of_a_padded_batch_counts_every_labelled_token_once(double, side):
    """Every token labelled: the mean over all that something stands in front of."""
    given = inputs(samples(), side)
    labels = torch.where(given["attention_mask"].bool() & (given["input_ids"] != MARK), given["input_ids"], -100)
    together = double(**given, labels=labels).loss.item()
    total = count = 0
    for one in samples():
        alone = inputs([one])
        wanted = torch.where(alone["input_ids"] != MARK, alone["input_ids"], -100)
        predicted = int((wanted[:, 1:] >= 0).sum())
        total += double(**alone, labels=wanted).loss.item() * predicted
        count += predicted
    assert abs(together - total / count) < 1e-10


def test_vst_parameters_can_begin_as_copies(fresh_model):
    fresh_model.begin_vst(token_id=7)
    inner = fresh_model.model.language_model
    assert torch.equal(inner.vst_embedding.weight[0], inner.embed_tokens.weight[7])
    attention = inner.layers[1].self_attn
    assert torch.equal(attention.vst_k_proj.weight, attention.k_proj.weight)
    assert torch.equal(attention.vst_v_proj.bias, attention.v_proj.bias)


@pytest.mark.parametrize("windows", [1, None])
@torch.no_grad()
def test_logits_of_some_ids_are_those_of_all(double, windows):
    batch = inputs(samples(), "right")
    generator = torch.Generator().manual_seed(3)
    wanted = batch["attention_mask"].bool() & (torch.rand(batch["attention_mask"].shape, generator=generator) < 0.4)
    some = double(**batch, windows_per_pass=windows, logits_at=wanted).logits
    assert len(some) == wanted.sum() > 5
    assert (some - double(**batch, windows_per_pass=windows).logits[wanted]).abs().max() < 1e-10
