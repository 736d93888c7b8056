"""Known test sets: videos that must not become data, by id or by what they show.

A list is text, one video a line; what follows # is a comment. A line is one of

    dQw4w9WgXcQ                              a YouTube id, or a link that holds one
    0f3c…                                    a video id: sha256 of the file's bytes, 32 or all 64 hex digits
    pictures some-name 00ff… 13a7… …         a fingerprint: 64-bit picture hashes, 16 hex digits each

    python -m pipeline.exclusion benchmark/*.mp4 >> benchmarks.txt

writes the last two for files, a fingerprint also of what a copy may look like (`picture_variants.py`). The
lists of a build are kept with its output as `exclude.txt`.
"""

import argparse
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pyarrow.parquet as pq

from pipeline.decode import read_facts, read_frames
from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.identify import identify
from pipeline.picture_hash import bit_distances, is_flat, picture_hash
from pipeline.picture_variants import cut, inside_bars, variants
from pipeline.same_pictures import ALIKE_BITS, FEWEST_PICTURES, distinct_hashes
from pipeline.small_pictures import full_luma, small_luma
from schemas.build_config import BuildConfig
from schemas.records import Source

FROZEN = "exclude.txt"
"""Name of the list that lies with the output."""

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_IN_A_NAME = re.compile(r"\[([A-Za-z0-9_-]{11})\]$")
"""How yt-dlp puts the id into a file's name."""
_SHA256 = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")
_HASH = re.compile(r"[0-9a-f]{16}")
_SHOWN_FROM = 0.5
"""Share of the pictures of either one that the other must show."""
_TRIED, _TRIED_FROM = 48, 0.2
"""So many pictures of either one are looked for first; only if such a share of them is found, all are."""
_VARIANT_EVERY_S = 4
"""Of a variant, one picture in so many seconds is listed."""
_BLOCK = 1024


class ExclusionListError(Exception):
    """A list that cannot be used; nothing has been done."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The videos that are left out. Fingerprints hold the distinct hashes, int64, ascending."""

    youtube_ids: frozenset[str] = frozenset()
    video_ids: frozenset[str] = frozenset()
    fingerprints: tuple[tuple[str, np.ndarray], ...] = ()

    def match_source(self, source: Source) -> str | None:
        """What on the list a source is by its address or file name, before anything of it is opened."""
        found = youtube_id_of(source) if self.youtube_ids else None
        return f"YouTube id {found}" if found in self.youtube_ids else None

    def match_id(self, video_id: str) -> str | None:
        """The same by the bytes of the file."""
        return f"video id {video_id}" if video_id in self.video_ids else None

    def match_pictures(self, decoded: Path) -> str | None:
        """The same by what is seen: half of either one's pictures stand in the other.

        Args:
            decoded: the product of the decode stage.
        """
        hashes = distinct_hashes(decoded) if self.fingerprints else np.zeros(0, np.int64)
        if len(hashes) < FEWEST_PICTURES:
            return None
        for name, known in self.fingerprints:
            share = _share(hashes, known)
            if share >= _SHOWN_FROM:
                return f"the pictures of {name}, {share:.0%} of them"
        return None

    def shown(self, decoded: Path) -> float:
        """Of the pictures of a video, or of one on the list, the largest share that the other shows."""
        hashes = distinct_hashes(decoded)
        return max((_share(hashes, known) for _, known in self.fingerprints), default=0.0) if len(hashes) else 0.0

    def text(self) -> str:
        """The list as one file, the same whatever files it came from."""
        lines = [*sorted(self.youtube_ids), *sorted(self.video_ids)]
        lines += [_fingerprint_line(name, hashes) for name, hashes in self.fingerprints]
        return "".join(f"{line}\n" for line in lines)

    def counts(self) -> dict[str, int]:
        """How much is on it, for the manifest."""
        return {"youtube_ids": len(self.youtube_ids), "video_ids": len(self.video_ids),
                "fingerprints": len(self.fingerprints)}


def load_exclusion(config: BuildConfig, out: Path) -> Exclusion:
    """The lists that are named, and the one that lies with the output: what was left out stays left out.

    Raises:
        ExclusionListError: a list is missing, or a line of it is none of the three kinds.
    """
    frozen = out / FROZEN
    return read_exclusion([*map(Path, config.exclude), *([frozen] if frozen.is_file() else [])])


def read_exclusion(paths: Iterable[Path]) -> Exclusion:
    """All videos of some lists.

    Raises:
        ExclusionListError: see `load_exclusion`.
    """
    youtube_ids: set[str] = set()
    video_ids: set[str] = set()
    fingerprints: dict[bytes, tuple[str, np.ndarray]] = {}
    for path, number, line in _lines(paths):
        words = line.split()
        if words[0] == "pictures" and len(words) >= 2:
            hashes = _hashes(words[2:], f"{path}: line {number}")
            fingerprints[words[1].encode() + hashes.tobytes()] = (words[1], hashes)
        elif len(words) == 1 and _SHA256.fullmatch(words[0].lower()):
            video_ids.add(words[0].lower()[:32])
        elif len(words) == 1 and (found := _youtube_id(words[0])):
            youtube_ids.add(found)
        else:
            raise ExclusionListError(
                f"{path}: line {number}: expected a YouTube id or link, a sha256 of 32 or 64 hex digits, or "
                f"'pictures NAME HASH …', not {line[:60]!r}")
    return Exclusion(
        frozenset(youtube_ids), frozenset(video_ids), tuple(fingerprints[key] for key in sorted(fingerprints)))


def youtube_id_of(source: Source) -> str | None:
    """The YouTube id in a source's address, or in a file name that is one or ends with one in brackets."""
    if source.url is not None or "://" in source.source:
        return _youtube_id(source.url or source.source)
    stem = PurePath(source.source).stem
    bracketed = _IN_A_NAME.search(stem)
    return bracketed[1] if bracketed else stem if _YOUTUBE_ID.fullmatch(stem) else None


def _youtube_id(word: str) -> str | None:
    if _YOUTUBE_ID.fullmatch(word):
        return word
    parts = urlsplit(word)
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    if host == "youtu.be":
        candidate = parts.path.strip("/")
    elif host in ("youtube.com", "youtube-nocookie.com", "music.youtube.com"):
        named = re.match(r"/(?:embed|shorts|live|v)/([^/]+)", parts.path)
        candidate = named[1] if named else parse_qs(parts.query).get("v", [""])[0]
    else:
        return None
    return candidate if _YOUTUBE_ID.fullmatch(candidate) else None


def _lines(paths: Iterable[Path]) -> Iterator[tuple[Path, int, str]]:
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ExclusionListError(f"--exclude {path}: {error}") from error
        for number, line in enumerate(text.split("\n"), start=1):
            said = line.partition("#")[0].strip()
            if said:
                yield path, number, said


def _hashes(words: Sequence[str], place: str) -> np.ndarray:
    wrong = next((word for word in words if not _HASH.fullmatch(word)), None)
    if wrong is not None or len(words) < FEWEST_PICTURES:
        raise ExclusionListError(
            f"{place}: {wrong[:40]!r} is no picture hash of 16 hex digits" if wrong is not None
            else f"{place}: {len(words)} picture hashes tell nothing apart; {FEWEST_PICTURES} are the fewest")
    return np.unique(np.array([int(word, 16) for word in words], dtype=np.uint64).view(np.int64))


def _share(some: np.ndarray, others: np.ndarray) -> float:
    """Of the pictures of either, the larger share that the other shows."""
    if max(_found(_spread(some), others), _found(_spread(others), some)) < _TRIED_FROM:
        return 0.0
    found, known = 0, np.zeros(len(others), dtype=bool)
    for at in range(0, len(some), _BLOCK):
        alike = bit_distances(some[at:at + _BLOCK], others) <= ALIKE_BITS
        found += int(alike.any(axis=1).sum())
        known |= alike.any(axis=0)
    return max(found / len(some), float(known.mean()))


def _spread(hashes: np.ndarray) -> np.ndarray:
    """At most so many of them."""
    return hashes[:: -(-len(hashes) // _TRIED)]


def _found(some: np.ndarray, others: np.ndarray) -> float:
    return float((bit_distances(some, others) <= ALIKE_BITS).any(axis=1).mean())


def _fingerprint_line(name: str, hashes: np.ndarray) -> str:
    return " ".join(["pictures", name, *(f"{number:016x}" for number in np.sort(hashes.view(np.uint64)).tolist())])


def fingerprint_lines(video: Path) -> list[str]:
    """The lines of a file: its id, what it shows, and what copies of it may show.

    Raises:
        UnreadableVideoError: the file cannot be decoded.
    """
    def quiet(share: float) -> None:
        """Nobody watches."""

    video_id = identify(quiet, str(video))
    settings = DecodeSettings(
        clip_seconds=14, min_last_clip_seconds=0, max_hours=24, caption_frames=1, caption_frame_side=64,
        frame_side=144, jpeg_quality=60)
    with tempfile.TemporaryDirectory() as folder:
        decode_video(quiet, Source(path=str(video), source=video.name), video_id, settings, 0, Path(folder))
        hashes = distinct_hashes(Path(folder))
        of_copies = _variant_hashes(video, Path(folder))
    name = "-".join(video.stem.split()) or video_id
    return [video_id, _fingerprint_line(name, hashes), *(
        _fingerprint_line(f"{name}/{how}", some) for how, some in of_copies.items())]


def _variant_hashes(video: Path, decoded: Path) -> dict[str, np.ndarray]:
    """The distinct hashes of what copies of a video may show, by kind of copy; few ones are not worth a line."""
    images = pq.read_table(decoded / "frames.parquet", columns=["image"])["image"].to_pylist()
    edges = inside_bars([
        cv2.imdecode(np.frombuffer(image["bytes"], np.uint8), cv2.IMREAD_GRAYSCALE) for image in images])
    every_s = _VARIANT_EVERY_S if len(images) >= _VARIANT_EVERY_S * 2 * FEWEST_PICTURES else 1
    found: dict[str, set[int]] = defaultdict(set)
    for luma in _lumas(video, every_s):
        inside = cut(luma, edges)
        if is_flat(small_luma(luma)):
            continue
        if inside.shape != luma.shape:
            found["without-bars"].add(picture_hash(small_luma(inside)))
        for how, changed in variants(luma):
            found[how].add(picture_hash(small_luma(changed)))
    return {how: np.array(sorted(some), dtype=np.int64) for how, some in found.items()
            if len(some) >= FEWEST_PICTURES}


def _lumas(video: Path, every_s: int) -> Iterator[np.ndarray]:
    """A picture of a video every so many seconds, uint8 [h, w]."""
    facts = read_facts(str(video))
    wanted_s = 0
    for position, frame in read_frames(str(video), facts):
        t_s = facts.to_seconds(int(facts.ticks[position]))
        if t_s >= wanted_s:
            wanted_s = every_s * (int(t_s / every_s) + 1)
            yield full_luma(frame)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the lines of an exclusion list for video files."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.exclusion", description=main.__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    for video in parser.parse_args(arguments).videos:
        print(*fingerprint_lines(video), sep="\n")


if __name__ == "__main__":
    main()
