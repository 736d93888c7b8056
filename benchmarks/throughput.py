"""Video-hours per hour and core of what a build does to one file, beside peers that do the same in the same run.

    python benchmarks/throughput.py                       # two minutes of generated 720p, and all peers
    python benchmarks/throughput.py --minutes 1 --peers "video2dataset exact" "ffmpeg segment, x264 ultrafast"
    python benchmarks/throughput.py --video film.mp4      # only the stages: clips of a film cannot be checked
    python benchmarks/throughput.py --rates out.yaml      # also write what `build-vico --plan` reckons with

One process and one decoding thread each, as far as a peer lets it be told; rates are by CPU seconds, so that they hold
on a shared machine. Times are without the start of Python, except for `scenedetect` (about a second).

The frames of the generated video carry their number, so the clips that were cut are read back and compared: a frame is
wrong that belongs to another window, is missing, or stands at another place. Environments of peers are made on first
use (Data-Juicer: 0.8 GB) in ~/.cache/video-xl, by the pins in `requirements`.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from cost import Cost, run
from counted_video import FFMPEG, generate, wrong_frames
from peers import CUTTERS, Task, ffmpeg_pictures, scenedetect

from pipeline.decode import VideoFacts, read_facts

STAGE = Path(__file__).with_name("build_vico_stage.py")
STAGES = ("probe", "decode", "clip_files", "decode_and_clip_files", "captions", "clues", "questions", "shards")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film; without it one is generated")
    parser.add_argument("--minutes", type=int, default=2, help="length of the generated video")
    parser.add_argument("--peers", nargs="*", default=list(CUTTERS), choices=list(CUTTERS), help="who cuts clips too")
    parser.add_argument("--rates", type=Path, help="write the rates of --plan here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = options.video or generate(folder, options.minutes)
        facts = read_facts(str(video))
        print(f"{video.name}: {facts.width}×{facts.height}, {facts.duration_s / 60:.1f} min, {facts.fps:.2f} frames/s, "
              f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        costs = measure_stages(video, facts, folder / "stages")
        if options.video is None:
            compare_cutters(video, facts, folder, costs, options.peers)
        print(f"load at the end {os.getloadavg()[0]:.1f}")
        if options.rates:
            options.rates.write_text(yaml.safe_dump(rates(facts, folder / "stages", costs), sort_keys=False))


def measure_stages(video: Path, facts: VideoFacts, folder: Path) -> dict[str, Cost]:
    """What each stage takes, and others that read every frame for less."""
    print(f"\n{'':34}{'wall s':>9}{'CPU s':>9}{'× bare CPU':>12}{'h per h and core':>18}{'peak MB':>9}")
    costs: dict[str, Cost] = {}

    def say(what: str, cost: Cost) -> None:
        costs[what] = cost
        bare = costs["bare ffmpeg decode"].cpu_s
        print(f"{what:34}{cost.wall_s:9.2f}{cost.cpu_s:9.2f}{cost.cpu_s / bare:12.2f}"
              f"{facts.duration_s / cost.cpu_s:18.1f}{cost.peak_mb:9.0f}", flush=True)

    say("bare ffmpeg decode", run(
        FFMPEG, "-v", "error", "-threads", "1", "-i", video, "-map", "0:v:0", "-f", "null", "-"))
    for stage in STAGES:
        whole = run(sys.executable, STAGE, stage, video, folder, "1")
        own = json.loads((folder / f"{stage}.cost").read_text())
        say(stage, Cost(own["wall_s"], own["cpu_s"], whole.peak_mb))
    say("peer of decode: scenedetect", scenedetect(video, folder))
    say("peer of decode: ffmpeg fps=1 JPEG", ffmpeg_pictures(video, folder / "pictures"))
    return costs


def compare_cutters(
    video: Path, facts: VideoFacts, folder: Path, costs: dict[str, Cost], peers: list[str]
) -> None:
    """Clip files by us and by the peers, each checked frame by frame."""
    frames = len(facts.ticks)
    print(f"\n{'exact clip files':34}{'wall s':>9}{'CPU s':>9}{'× our wall':>12}{'× our CPU':>12}{'MB':>9}"
          f"{'wrong frames':>14}")
    ours = costs["clip_files"]

    def say(what: str, cost: Cost, clips: Path) -> None:
        files = sorted(clips.glob("*.mp4"))
        size = sum(file.stat().st_size for file in files) / 1e6
        wrong = f"{wrong_frames(files, frames)} of {frames}"
        print(f"{what:34}{cost.wall_s:9.2f}{cost.cpu_s:9.2f}{cost.wall_s / ours.wall_s:12.2f}"
              f"{cost.cpu_s / ours.cpu_s:12.2f}{size:9.1f}{wrong:>14}", flush=True)

    say("ours, a pass of its own", ours, folder / "stages" / "clip_files")
    both, alone = costs["decode_and_clip_files"], costs["decode"]
    added = Cost(both.wall_s - alone.wall_s, both.cpu_s - alone.cpu_s, both.peak_mb)
    say("ours, added to the decode pass", added, folder / "stages" / "decode_and_clip_files" / "clips")
    for name in peers:
        clips = folder / "clips-of-a-peer"
        say(name, CUTTERS[name](Task(video, frames, clips)), clips)
        shutil.rmtree(clips)


def rates(facts: VideoFacts, folder: Path, costs: dict[str, Cost]) -> dict[str, object]:
    """What a plan reckons with, and how it was measured."""
    seconds = facts.duration_s
    pixels = facts.width * facts.height * facts.fps * seconds / 1e6
    rest = sum(costs[stage].cpu_s for stage in ("probe", "captions", "clues", "questions", "shards"))
    return {
        "measured_by": "python benchmarks/throughput.py --rates FILE",
        "measured_on": f"{seconds / 60:.0f} min of {facts.width}x{facts.height} H.264 (generated unless --video was "
                       "given), one decoding thread",
        "decode_cpu_s_per_megapixel": round(costs["decode"].cpu_s / pixels, 6),
        "other_cpu_s_per_video_s": round(rest / seconds, 6),
        "work_bytes_per_video_s": round(_bytes(folder, ("decode", "captions", "clues", "questions")) / seconds),
        "shard_bytes_per_video_s": round(_bytes(folder / "shards", ("data",)) / seconds),
        "clip_files_cpu_s_per_megapixel": round(
            (costs["decode_and_clip_files"].cpu_s - costs["decode"].cpu_s) / pixels, 6),
        "clip_files_bytes_per_megapixel": round(_bytes(folder, ("clip_files",)) / pixels),
    }


def _bytes(folder: Path, names: tuple[str, ...]) -> int:
    return sum(path.stat().st_size for name in names for path in (folder / name).rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
