"""The clip files of a data set under the names that readers know: OUT/clip_files/{video_id}/{clip_id}.mp4."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.clip_files import clip_files_inputs
from pipeline.shard_files import link
from pipeline.table_rows import VideoProducts
from pipeline.work_store import WorkStore, key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Stage


def link_clip_files(
    config: BuildConfig, videos: Sequence[VideoProducts], store: WorkStore, folder: Path
) -> dict[str, Any]:
    """Give the clip files of all videos their names, without a copy.

    Args:
        config: of a build with `keep_clips`.
        videos: whose decode is finished.
        store: where their clip files are.
        folder: a new folder that is to hold one for each video.

    Returns:
        What the manifest says of them. It names each set of files by what it was made from, not each file: there are
        257 an hour.
    """
    keys, files, size = [], 0, 0
    for video in videos:
        keys.append(key_of(clip_files_inputs(config, video.video_id, video.is_calibration)))
        for file in sorted(store.find(Stage.CLIP_FILES, keys[-1]).glob("*.mp4")):
            link(file, folder / video.video_id / file.name)
            files, size = files + 1, size + file.stat().st_size
    return {"folder": folder.name, "files": files, "bytes": size, "key": key_of(sorted(keys))}
