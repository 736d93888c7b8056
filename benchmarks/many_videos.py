"""What a thousand videos cost beyond their own work: orchestration, memory, and what Prefect's database holds.

    python benchmarks/many_videos.py                      # 10 and 1,000 videos of ten seconds
    python benchmarks/many_videos.py --videos 10 100

The videos are small (128×72, five frames a second), so that what is not work on them shows. There is one worker, which
decodes the next video while the one before it goes through its other stages. Orchestration is tasks, their reports to
the Prefect server, and looking things up: the time when no stage is under way, and the CPU of the command and of the
server, of which that of the command is also that of captions, clues and questions. Neither depends on the length of a
video; the share for longer ones is reckoned with the rates of `build-vico --plan`.
"""

import argparse
import os
import tempfile
from pathlib import Path

import av
import numpy as np
from watched_run import Watched, watched_build

from pipeline.plan import read_rates

SECONDS, FPS, SIZE = 10, 5, (128, 72)
LONGER = {"3 min of 360p": (180, 640 * 360 * 24), "10 min of 720p": (600, 1280 * 720 * 24),
          "1 h of 720p": (3600, 1280 * 720 * 24)}


def main() -> None:
    """Print a table for each number of videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="+", default=[10, 1000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        films = Path(name) / "films"
        films.mkdir()
        for number in range(max(options.videos)):
            draw(films / f"{number:06d}.mp4", number)
        runs = []
        for count in options.videos:
            chosen = Path(name) / f"{count}.txt"
            chosen.write_text("".join(f"films/{number:06d}.mp4\n" for number in range(count)))
            load = os.getloadavg()[0]
            out = Path(name) / f"out-{count}"
            runs.append((count, watched_build(out, chosen, "--workers", "1", "--clip-seconds", "4")))
            say(*runs[-1], load)
        say_slope(*runs[0], *runs[-1])


def draw(path: Path, seed: int) -> None:
    """A video unlike the others: a pattern a second, which moves."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for _ in range(SECONDS):
            small = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
            picture = np.kron(small, np.ones((8, 8, 1), dtype=np.uint8))
            for number in range(FPS):
                moved = np.ascontiguousarray(np.roll(picture, 8 * number, axis=1))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))


def say_slope(few: int, first: Watched, many: int, last: Watched) -> None:
    """What each video takes that is added to a few: start-up, and what is done once, cancel out."""
    if many == few:
        return
    print(f"\neach video from {few} to {many}:")
    print(f"  no stage under way {(last.idle_s - first.idle_s) / (many - few):.3f} s")
    for role in sorted(last.peak_mb):
        peak_kb = (last.peak_mb[role] - first.peak_mb.get(role, 0.0)) / (many - few) * 1000
        cpu_s = (last.cpu_s[role] - first.cpu_s.get(role, 0.0)) / (many - few)
        print(f"  {role:15} {peak_kb:7.0f} kB of memory, {cpu_s:7.3f} s of CPU")
    print(f"  Prefect's database {(last.database_mb - first.database_mb) / (many - few) * 1000:.0f} kB", flush=True)


def say(count: int, watched: Watched, load: float) -> None:
    """One run."""
    each_s = (watched.cpu_s["command"] + watched.cpu_s["Prefect server"]) / count
    print(f"\n{count} videos: {watched.run_s:.1f} s, no stage under way in {watched.idle_s:.1f} s; "
          f"load {load:.1f} on {os.cpu_count()} cores")
    print("  seconds of each stage: " + ", ".join(f"{stage} {took:.1f}" for stage, took in watched.stage_s.items()))
    print(f"  command and server: {each_s:.3f} s of CPU a video")
    rates = read_rates()
    for what, (seconds, pixels) in LONGER.items():
        work_s = seconds * (pixels / 1e6 * rates.decode_cpu_s_per_megapixel + rates.other_cpu_s_per_video_s)
        print(f"    beside {what:15} ({work_s:7.1f} s of a core): {each_s / (each_s + work_s):.2%}")
    for role, peak_mb in sorted(watched.peak_mb.items()):
        print(f"  {role:15} {peak_mb:7.0f} MB at most, {watched.cpu_s[role]:7.1f} s of CPU")
    print(f"  Prefect's database: {watched.database_mb:.1f} MB, {watched.database_mb * 1000 / count:.0f} kB a video",
          flush=True)


if __name__ == "__main__":
    main()
