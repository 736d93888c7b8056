"""The stages of one video run one after another, as the flow runs them, without Prefect: seconds, not a minute."""

import sys
from pathlib import Path
from typing import Any

from pipeline.captions import make_captioner
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerPool
from pipeline.needles import planted_id
from pipeline.served_models import ServedModels
from pipeline.shards import write_shards
from pipeline.sources import find_sources
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import Workshop, caption, clue, decode, decode_planted, identify_source, question
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.records import Source
from tests.killing import CONFIG


def run_stages(
    video: Path, out: Path, config: BuildConfig, planted: bool = False, **said: Any
) -> VideoProducts:
    """Make a data set of one video with served models.

    `planted`: of its copy with needles. `said` is what is known of its source.
    """
    source = Source(path=str(video), source=video.name, **said)
    store = WorkStore(out)
    journal = Journal(store.root)
    with WorkerPool(1) as workers, ServedModels(config, store.root) as models:
        shop = Workshop(config, store, journal, workers, make_captioner(config, models), models)
        video_id = identify_source(shop, source)
        if planted:
            video_id = planted_id(video_id, config.seed)
        decoded = (decode_planted if planted else decode)(shop, source, video_id)
        captioned = caption(shop, source, decoded)
        clued = clue(shop, source, decoded, captioned)
        asked = question(shop, source, decoded, captioned, clued)
    journal.close()
    products = VideoProducts(video_id, source, decoded, captioned, clued, asked)
    write_shards(config, config.without_machine(), [products], [], out, store)
    return products


def main(videos: Path, out: Path, url: str) -> None:
    """A build of a folder as a process that is quick to start, for tests that kill it: all stages, then the shards."""
    config = BuildConfig(caption_urls=[url], **CONFIG)
    store = WorkStore(out)
    store.sweep()
    journal = Journal(store.root)
    products = []
    with WorkerPool(1) as workers, ServedModels(config, store.root) as models:
        shop = Workshop(config, store, journal, workers, make_captioner(config, models), models)
        for source in find_sources([str(videos)]):
            video_id = identify_source(shop, source)
            decoded = decode(shop, source, video_id)
            captioned = caption(shop, source, decoded)
            clued = clue(shop, source, decoded, captioned)
            asked = question(shop, source, decoded, captioned, clued)
            products.append(VideoProducts(video_id, source, decoded, captioned, clued, asked))
    write_shards(config, config.without_machine(), products, [], out, store)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
