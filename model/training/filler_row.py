"""A row that teaches nothing, so that every rank uses the same weights.

Ranks exchange the gradients of the weights that they used. A batch of text alone uses neither tower nor VSTs; beside a
rank that does, it gets a row with a black picture and no labels, whose gradients are zeros.
"""

from collections.abc import Sequence

import torch

from model.configuration import VideoXLConfig
from model.ratio_choice import RatioChoice
from model.training.batch import Batch


def with_filler_row(
    batch: Batch, ratios: Sequence[RatioChoice], choices: Sequence[int], config: VideoXLConfig
) -> tuple[Batch, list[RatioChoice]]:
    """The batch and its ratio choices, a row longer where it might use fewer weights than another.

    Args:
        batch, ratios: of this rank.
        choices: the ratios that training draws from.
    """
    compressing = [ratio for ratio in choices if ratio > 1]
    uses_all = batch.pixel_values is not None and len(compressing) in (0, len(choices))
    if uses_all:
        return batch, list(ratios)
    ratio = min(compressing, default=1)
    frames = -(-ratio // config.tokens_per_crop)
    size = config.vision_config.image_size
    black = torch.zeros(frames, 3, size, size)
    row = torch.full_like(batch.input_ids[:1], 0)
    row[0, 0] = config.media_token_id
    mask = torch.zeros_like(row)
    mask[0, :2] = 1
    padded = batch.input_ids.shape[1] < 2  # a mark and one id need two columns
    if padded:
        raise ValueError("a batch has rows of one id: nothing can be learned from them")
    nothing = torch.zeros_like(row)
    longer = Batch(
        input_ids=torch.cat((batch.input_ids, row)),
        attention_mask=torch.cat((batch.attention_mask, mask)),
        labels=torch.cat((batch.labels, torch.full_like(row, -100))),
        question_ids=torch.cat((batch.question_ids, nothing)),
        pixel_values=black if batch.pixel_values is None else torch.cat((batch.pixel_values, black)),
        media_sizes=torch.cat((
            torch.empty(0, dtype=torch.long) if batch.media_sizes is None else batch.media_sizes,
            torch.tensor([frames]))),
        sample_ids=(*batch.sample_ids, ()),
    )
    return longer, [*ratios, ratio]
