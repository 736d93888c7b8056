"""video2dataset's `ClippingSubsampler` on one file; runs in an environment of its own.

    python peer_video2dataset.py VIDEO FOLDER COST low|exact SECONDS    # 14-second clips into FOLDER

SECONDS is the length of the video: spans are given to it, as its data sets do. What it took is written to COST.

The packages' `__init__` files import torch and all other parts; stand-ins for the two let the clipping run alone.
"""

import importlib.util
import json
import os
import sys
import time
import types
from pathlib import Path

CLIP_S, LEAST_S = 14, 2

video, folder, cost, precision = sys.argv[1:5]
root = Path(importlib.util.find_spec("video2dataset").submodule_search_locations[0])
for name, path in (("video2dataset", root), ("video2dataset.subsamplers", root / "subsamplers")):
    package = types.ModuleType(name)
    package.__path__ = [str(path)]
    sys.modules[name] = package

from video2dataset.subsamplers.clipping_subsampler import ClippingSubsampler  # noqa: E402

length = float(sys.argv[5])
starts = [start for start in range(0, int(length) + 1, CLIP_S) if length - start >= LEAST_S]
spans = [[float(start), min(float(start + CLIP_S), length)] for start in starts]
wall, before = time.perf_counter(), os.times()
subsampler = ClippingSubsampler(oom_clip_count=5, encode_formats={"video": "mp4"}, precision=precision)
clips, _, error = subsampler({"video": [Path(video).read_bytes()]}, {"key": "0", "clips": spans})
after = os.times()
if error:
    sys.exit(error)
Path(folder).mkdir(parents=True, exist_ok=True)
for number, clip in enumerate(clips["video"]):
    (Path(folder) / f"clip_{number:06d}.mp4").write_bytes(clip)
Path(cost).write_text(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": sum(after[:4]) - sum(before[:4])}))
