"""What a build costs beside a bare decode of the same file.

    python benchmarks/build_vico.py                       # ten minutes of generated 720p
    python benchmarks/build_vico.py --video film.mp4      # a film
    python benchmarks/build_vico.py --minutes 6 60        # does memory grow with length?

For each video it prints wall and CPU seconds of `ffmpeg -i X -f null -`, of each stage run by itself, and of
the whole command; their ratio to the bare decode and to real time; and the peak memory of the largest process.
Stages and bare decode use the same number of threads. The command's start-up (Python, Prefect's server) is
told apart: it does not depend on the video.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from cost import Cost, run
from counted_video import FFMPEG, generate

from pipeline.decode import read_facts

COMMAND = Path(sys.executable).with_name("build-vico")


def main() -> None:
    """Print the table for each video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a film; without it one is generated")
    parser.add_argument("--minutes", type=int, nargs="+", default=[10], help="lengths of the generated videos")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="decoding threads")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos = [options.video] if options.video else [generate(Path(folder), minutes) for minutes in options.minutes]
        for video in videos:
            measure(video, Path(folder), options.threads)


def measure(video: Path, folder: Path, threads: int) -> None:
    """Print the costs of one video."""
    facts = read_facts(str(video))
    print(f"\n{video.name}: {facts.width}×{facts.height}, {facts.duration_s / 60:.1f} min, {facts.fps:.2f} frames/s, "
          f"{threads} threads, load {os.getloadavg()[0]:.1f}")
    bare = run(FFMPEG, "-v", "error", "-threads", str(threads), "-i", str(video), "-map", "0:v:0", "-f", "null", "-")
    print(f"{'':22}{'wall s':>9}{'CPU s':>9}{'× bare wall':>13}{'× bare CPU':>12}{'× real time':>13}{'peak MB':>9}")
    say("bare decode", bare, bare, facts.duration_s)
    for stage in ("probe", "decode", "captions", "clues", "questions", "shards"):
        cost = run(sys.executable, __file__.replace("build_vico.py", "build_vico_stage.py"), stage, str(video),
                   str(folder / f"{video.stem}-stages"), str(threads))
        own = json.loads((folder / f"{video.stem}-stages" / f"{stage}.cost").read_text())
        say(stage, Cost(own["wall_s"], own["cpu_s"], cost.peak_mb), bare, facts.duration_s)
    out = folder / f"{video.stem}-out"
    started = time.time()
    whole = run(COMMAND, str(video), "--out", str(out), "--decode-threads", str(threads))
    journal = [json.loads(line) for line in (out / ".work" / "journal.jsonl").read_text().splitlines()]
    start_up = journal[0]["at"] - started
    say("whole command", whole, bare, facts.duration_s)
    work = Cost(journal[-1]["at"] - journal[0]["at"], float("nan"), whole.peak_mb)
    say("  without start-up", work, bare, facts.duration_s)
    print(f"start-up {start_up:.1f} s, end {started + whole.wall_s - journal[-1]['at']:.1f} s")


def say(name: str, cost: Cost, bare: Cost, duration_s: float) -> None:
    """A line of the table."""
    print(f"{name:22}{cost.wall_s:9.2f}{cost.cpu_s:9.2f}{cost.wall_s / bare.wall_s:13.2f}"
          f"{cost.cpu_s / bare.cpu_s:12.2f}{duration_s / cost.wall_s:13.1f}{cost.peak_mb:9.0f}", flush=True)


if __name__ == "__main__":
    main()
