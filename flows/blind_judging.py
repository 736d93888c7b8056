"""The built-in guesser, which needs the questions of many videos before it can judge those of one."""

from dataclasses import replace
from pathlib import Path

from flows.outcomes import Unfinished
from flows.video_tasks import questions_task
from pipeline import blind_guesser
from pipeline.record_files import read_records
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import Workshop
from schemas.records import Sample


def judge_blind(
    shop: Workshop, products: list[VideoProducts], out: Path
) -> tuple[list[VideoProducts], list[Unfinished]]:
    """Train the guesser on the first build that has enough questions, and have it judge them; later ones use it.

    Returns:
        The products, and what became of those that it could not judge now.
    """
    if shop.guesser is not None or shop.config.blind_is_served:
        return products, []
    real = [product for product in products if not product.is_calibration]
    first = sorted(real, key=lambda product: product.video_id)[: blind_guesser.MOST_VIDEOS]
    guesser = blind_guesser.train(
        sample for product in first for sample in read_records(product.questions / "samples.json", Sample))
    if guesser is None:
        return products, []
    guesser.save(out / blind_guesser.FILE_NAME)
    judging = replace(shop, guesser=guesser)
    judged = [(product, questions_task(judging, product.source, product.decoded, product.captions, product.clues))
              for product in products]
    return ([replace(product, questions=asked) for product, asked in judged if isinstance(asked, Path)],
            [asked for _, asked in judged if isinstance(asked, Unfinished)])
