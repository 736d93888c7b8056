"""Do fetching and cutting overlap? The same videos fetched only, cut only, and both in one build.

    python benchmarks/fetch.py                        # six videos of 20 s, served at 600 kB/s each
    python benchmarks/fetch.py --videos 12 --seconds 60 --kilobytes 1000

A web server on this machine sends each video at a fixed pace. Three runs of `build-vico` are timed by their
journals, without the start of Python and Prefect: on a cache that is filled already (cutting), on an empty cache
(both), and the fetches of that second run by themselves. Where the work overlaps, the whole takes little longer
than the slower of the two; one after the other it would take their sum.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the test server lives beside the tests

from tests.fetch_server import FetchServer, fetch_server

COMMAND = Path(sys.executable).with_name("build-vico")


def main() -> None:
    """Print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=20, help="length of each video")
    parser.add_argument("--kilobytes", type=int, default=600, help="pace of the server, kB per second and fetch")
    parser.add_argument("--fetches", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [_draw(folder, number, options.seconds) for number in range(options.videos)]
        size = sum((folder / one).stat().st_size for one in names)
        with fetch_server(folder, slow_bytes_per_s=options.kilobytes * 1000) as server:
            both = _build(server, names, folder / "both", folder / "cache", options.fetches)
            cut = _build(server, names, folder / "cut", folder / "cache", options.fetches)
    fetch_s, cut_s = _span(both, "fetch"), _span(cut, "decode")
    both_s = both[-1]["at"] - both[0]["at"]
    print(f"{len(names)} videos of {options.seconds} s, {size / 1e6:.1f} MB, {options.fetches} fetched at a time")
    print(f"fetch alone   {fetch_s:7.1f} s")
    print(f"cut alone     {cut_s:7.1f} s")
    print(f"both          {both_s:7.1f} s   {both_s / max(fetch_s, cut_s):.2f} × the slower, "
          f"{both_s / (fetch_s + cut_s):.2f} × one after the other")


def _draw(folder: Path, number: int, seconds: int) -> str:
    """A 720p video unlike the others."""
    name = f"video-{number}.mp4"
    picture = f"testsrc2=size=1280x720:rate=24,hue=h={number * 40},noise=alls=8:allf=t:all_seed={number}"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", picture, "-t", str(seconds), "-c:v",
         "libx264", "-preset", "ultrafast", "-crf", "30", "-pix_fmt", "yuv420p", str(folder / name)],
        check=True, stdin=subprocess.DEVNULL)
    return name


def _build(server: FetchServer, names: list[str], out: Path, cache: Path, fetches: int) -> list[dict]:
    """Run the command; returns its journal."""
    subprocess.run(
        [COMMAND, *(server.url(f"slow/{name}") for name in names), "--out", out, "--cache", cache,
         "--allow-private-hosts", server.allowed, "--fetch-delay-seconds", "0", "--fetches", str(fetches)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return [json.loads(line) for line in (out / ".work" / "journal.jsonl").read_text().splitlines()]


def _span(journal: list[dict], stage: str) -> float:
    """Seconds from the first beginning of a stage to its last end."""
    begun = [line["at"] for line in journal if line["stage"] == stage and line["event"] == "started"]
    ended = [line["at"] for line in journal if line["stage"] == stage and line["event"] in ("done", "reused")]
    return max(ended) - min(begun)


if __name__ == "__main__":
    main()
