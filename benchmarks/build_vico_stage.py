"""One stage of a build by itself, in a process of its own; `benchmarks/build_vico.py` runs it.

    python benchmarks/build_vico_stage.py STAGE VIDEO FOLDER THREADS

Products and FOLDER/STAGE.cost, the seconds it took without imports, stay in FOLDER for the next stage.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from cost import timed

from pipeline.captioner_measured import MeasuredCaptioner
from pipeline.captions import caption_video, open_decoded
from pipeline.clues import find_clues
from pipeline.cut_clips import cut_clips
from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.identify import identify
from pipeline.questions import ask
from pipeline.record_files import read_records
from pipeline.shards import write_shards
from pipeline.table_rows import VideoProducts
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.records import Caption, Clue, Source

VIDEO_ID = "0" * 32


def main(stage: str, video: str, folder: Path, threads: int) -> None:
    """Run one stage and write what it took."""
    config = BuildConfig()
    product = folder / stage
    product.mkdir(parents=True, exist_ok=True)
    source = Source(path=video, source=Path(video).name)
    settings = DecodeSettings(**{name: getattr(config, name) for name in DecodeSettings.__dataclass_fields__})

    def work() -> None:
        match stage:
            case "probe":
                identify(lambda share: None, video)
            case "decode":
                decode_video(lambda share: None, source, VIDEO_ID, settings, threads, product)
            case "clip_files":
                cut_clips(lambda share: None, source, VIDEO_ID, settings, threads, product)
            case "decode_and_clip_files":
                (product / "clips").mkdir()
                decode_video(
                    lambda share: None, source, VIDEO_ID, settings, threads, product, None, product / "clips")
            case "captions":
                caption_video(MeasuredCaptioner(), open_decoded(folder / "decode"), product)
            case "clues":
                find_clues(open_decoded(folder / "decode"), captions(folder), "clock", product)
            case "questions":
                clues = read_records(folder / "clues" / "clues.json", Clue)
                ask(config, open_decoded(folder / "decode"), captions(folder), clues, product)
            case "shards":
                products = VideoProducts(VIDEO_ID, source, *(folder / name for name in (
                    "decode", "captions", "clues", "questions")))
                said = config.without_machine()
                write_shards(config, said, [products], [], product, WorkStore(product))

    (folder / f"{stage}.cost").write_text(json.dumps(asdict(timed(work))))


def captions(folder: Path) -> list[Caption]:
    """The captions that the stage before wrote."""
    return read_records(folder / "captions" / "captions.json", Caption)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
