"""Data-Juicer's `video_split_by_duration_mapper` on one file; runs in an environment of its own.

    python peer_data_juicer.py VIDEO FOLDER COST ffmpeg|av      # 14-second clips into FOLDER, seconds taken into COST

`ffmpeg`, the default, copies the stream; `av` decodes and encodes. The ffmpeg back end asks ffprobe for the length;
where there is none, Data-Juicer's own PyAV reader answers in its place.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

from data_juicer.ops.mapper.video_split_by_duration_mapper import VideoSplitByDurationMapper
from data_juicer.utils import video_utils

video, folder, cost, backend = sys.argv[1:5]
if shutil.which("ffprobe") is None:
    video_utils.FFmpegReader.get_metadata = lambda reader: video_utils.AVReader(reader.video_path).get_metadata()
Path(folder).mkdir(parents=True, exist_ok=True)
mapper = VideoSplitByDurationMapper(
    split_duration=14, min_last_split_duration=2, keep_original_sample=False, save_dir=folder, video_backend=backend,
    legacy_split_by_text_token=False)
wall, before = time.perf_counter(), os.times()
made = mapper.process_batched({"text": [""], "videos": [[video]]})["videos"][0]
after = os.times()
for number, path in enumerate(made):
    os.replace(path, Path(folder) / f"clip_{number:06d}.mp4")
Path(cost).write_text(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": sum(after[:4]) - sum(before[:4])}))
