"""Video-hours per hour and core of what a build does to one file, beside the peers that do the same in the same run.

    python benchmarks/throughput.py                     # two minutes of generated 720p
    python benchmarks/throughput.py --video film.mp4
    python benchmarks/throughput.py --rates out.yaml    # also write what `build-vico --plan` reckons with

Every line is one process with one decoding thread; rates are by CPU seconds, so that they hold on a shared machine.
Ours are without the start of Python, which a build pays once; the peers' are with it (about a second). `scenedetect`
is the command of PySceneDetect, which reads every frame for its shots, as our decode pass does besides all else.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import yaml
from build_vico import FFMPEG, Cost, generate, run

from pipeline.decode import read_facts

STAGE = Path(__file__).with_name("build_vico_stage.py")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film; without it one is generated")
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the generated video")
    parser.add_argument("--rates", type=Path, help="write the rates of --plan here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = options.video or generate(folder, options.minutes)
        costs = measure(video, folder / "stages")
        if options.rates:
            options.rates.write_text(yaml.safe_dump(rates(video, folder / "stages", costs), sort_keys=False))


def measure(video: Path, folder: Path) -> dict[str, Cost]:
    """Run everything once."""
    facts = read_facts(str(video))
    print(f"{video.name}: {facts.width}×{facts.height}, {facts.duration_s / 60:.1f} min, {facts.fps:.2f} frames/s, "
          f"load {os.getloadavg()[0]:.1f}")
    print(f"{'':28}{'wall s':>9}{'CPU s':>9}{'h per h and core':>18}{'peak MB':>9}")
    costs = {"bare ffmpeg decode": run(
        FFMPEG, "-v", "error", "-threads", "1", "-i", str(video), "-map", "0:v:0", "-f", "null", "-")}
    for stage in ("probe", "decode", "captions", "clues", "questions", "shards"):
        whole = run(sys.executable, STAGE, stage, str(video), str(folder), "1")
        own = json.loads((folder / f"{stage}.cost").read_text())
        costs[stage] = Cost(own["wall_s"], own["cpu_s"], whole.peak_mb)
    scenedetect = Path(sys.executable).with_name("scenedetect")
    if scenedetect.exists():
        costs["peer: scenedetect"] = run(
            scenedetect, "-i", str(video), "-o", str(folder), "detect-content", "list-scenes")
    for what, cost in costs.items():
        print(f"{what:28}{cost.wall_s:9.2f}{cost.cpu_s:9.2f}{facts.duration_s / cost.cpu_s:18.1f}{cost.peak_mb:9.0f}")
    return costs


def rates(video: Path, folder: Path, costs: dict[str, Cost]) -> dict[str, object]:
    """What a plan reckons with, and how it was measured."""
    facts = read_facts(str(video))
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
    }


def _bytes(folder: Path, names: tuple[str, ...]) -> int:
    return sum(path.stat().st_size for name in names for path in (folder / name).rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
