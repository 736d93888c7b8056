"""How much two workers do beside one, with one decoding thread each, beside what the machine gives to bare ffmpeg.

    python benchmarks/two_workers.py                          # eight videos of a minute, 720p
    python benchmarks/two_workers.py --videos 16 --workers 4

Runs are timed by their journals, without the start of Python and Prefect. The limit is the same videos decoded by bare
ffmpeg, one after another and as many at a time as there are workers. On a machine with other work the two suffer
alike; the share of the limit says more than the factor, and the CPU of what is not a worker more than both: that is
what the workers lose where they have all the cores.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cost import run
from counted_video import FFMPEG, generate
from watched_run import Watched, watched_build


def main() -> None:
    """Print the factors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        films = draw(Path(name), options.videos)
        print(f"{options.videos} videos of 1 min, 720p; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        one, many = (bare(films, workers) for workers in (1, options.workers))
        limit = one / many
        print(f"bare ffmpeg: {one:.1f} s one after another, {many:.1f} s {options.workers} at a time: {limit:.2f} ×")
        few, more = (build(Path(name), films, workers) for workers in (1, options.workers))
        one, many = few.run_s, more.run_s
        print(f"build-vico:  {one:.1f} s with one worker, {many:.1f} s with {options.workers}: {one / many:.2f} ×, "
              f"{one / many / limit:.0%} of the limit; load {os.getloadavg()[0]:.1f}")


def draw(folder: Path, count: int) -> list[Path]:
    """Copies of one video that differ in a byte of its last, empty box: other ids, the same work."""
    minute = generate(folder, 1).read_bytes()
    films = [folder / "films" / f"{number:03d}.mp4" for number in range(count)]
    films[0].parent.mkdir()
    for number, film in enumerate(films):
        film.write_bytes(minute + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big"))
    return films


def build(folder: Path, films: list[Path], workers: int) -> Watched:
    """Build them, and print the CPU of each role."""
    watched = watched_build(
        folder / f"out-{workers}", films[0].parent, "--workers", str(workers), "--decode-threads", "1")
    beside = 1 - watched.cpu_s["worker"] / sum(watched.cpu_s.values())
    print(f"--workers {workers}: CPU " + ", ".join(f"{role} {cpu_s:.1f} s" for role, cpu_s in watched.cpu_s.items())
          + f"; {beside:.1%} is not the workers'; no stage under way in {watched.idle_s:.1f} s", flush=True)
    return watched


def bare(films: list[Path], at_a_time: int) -> float:
    """Seconds to decode them."""
    started = time.perf_counter()
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda film: run(
            FFMPEG, "-v", "error", "-threads", "1", "-i", film, "-map", "0:v:0", "-f", "null", "-"), films))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
