"""Write use case films as a data set that can be trained on and asked about.

    python -m model.evaluation.use_cases.make OUT [--train 300] [--test 60] [--seconds 64] [--seed 0]
    train-on-shards --shards OUT/USE-CASES ...
    evaluate-video-xl --task use-cases --data OUT ...

    OUT/USE-CASES/             tables as build-vico writes them; frames one a second, as they were drawn
    OUT/films/{video_id}.mp4   the films of the test split, for ask-video

The same call gives the same tables. Exit codes: 0 done, 2 wrong call.
"""

import argparse
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.evaluation.miniature_films import FPS, SIDE
from model.evaluation.use_cases.use_case_films import CLIP_S, SHORTEST_FILM_S, UseCaseFilm, use_case_film
from model.evaluation.use_cases.use_case_questions import Asked, questions_about, questions_about_pieces
from pipeline.sample_videos import draw, write_video
from schemas.tables import SCHEMA_VERSION, TABLES, with_footer
from schemas.uniform_frames import smallest_budget

DATASET, PIECES, FOLDER = "use-cases", "use-cases-pieces", "USE-CASES"
_LETTERS = "ABCD"


def write_use_cases(out: Path, seeds: Mapping[str, Sequence[int]], seconds: int) -> int:
    """Write films and data set; one that is there is written anew.

    Args:
        out: the folder OUT.
        seeds: of the films of each split.
        seconds: length of each film.

    Returns:
        How many samples there are.
    """
    root = out / FOLDER
    shutil.rmtree(root, ignore_errors=True)
    counts = dict.fromkeys(TABLES, 0)
    for split, of_split in seeds.items():
        films = [(_video_id(film), film) for film in (use_case_film(seed, seconds) for seed in of_split)]
        films.sort(key=lambda pair: pair[0])
        rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        for video_id, film in films:
            asked = list(questions_about(film, Random(video_id)))
            whole = 0.0, film.script.duration_s
            samples = [_sample(video_id, whole, one, split) for one in asked]
            if split == "train":
                samples += [_sample(video_id, (start_s, end_s), one, split, PIECES)
                            for start_s, end_s, one in questions_about_pieces(film, Random(video_id))]
            rows["samples"] += samples
            rows["frames"] += _frames(video_id, film)
            rows["videos"].append(_video(video_id, film, len(samples), split))
            if split == "test":
                (out / "films").mkdir(parents=True, exist_ok=True)
                write_video(film.script, out / "films" / f"{video_id}.mp4")
        rows["samples"].sort(key=lambda row: row["sample_id"])
        for table, some in rows.items():
            path = root / "data" / table / f"{split}-00000.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(some, schema=with_footer(table)), path, compression="zstd")
            counts[table] += len(some)
    (root / "manifest.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION, "rows": counts}))
    return counts["samples"]


def _video_id(film: UseCaseFilm) -> str:
    """From the script: the bytes of a film are not the same on every machine."""
    return hashlib.sha256(repr(film.script).encode()).hexdigest()[:32]


def _frames(video_id: str, film: UseCaseFilm) -> Iterator[dict[str, Any]]:
    for number, picture in enumerate(draw(film.script)):
        second, between = divmod(number, FPS)
        if not between:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=90, subsampling=0)
            # No picture hash: nobody looks for copies among drawn films.
            yield {"video_id": video_id, "frame_index": second, "t_s": float(second), "clip_index": second // CLIP_S,
                   "image": {"bytes": file.getvalue(), "path": f"{second}.jpg"}, "width": SIDE, "height": SIDE,
                   "picture_hash": 0}


def _video(video_id: str, film: UseCaseFilm, samples: int, split: str) -> dict[str, Any]:
    seconds = film.script.duration_s
    return {
        "video_id": video_id, "media": "video", "source": f"{video_id}.mp4", "duration_s": seconds, "width": SIDE,
        "height": SIDE, "fps": float(FPS), "variable_frame_rate": False, "rotation": 0, "container": "mp4",
        "codec": "h264", "cuts_s": [scene.start_s for scene in film.script.scenes[1:]], "chapters": [], "n_clips": 0,
        "n_frames": int(seconds), "n_samples": samples, "split": split, "calibration": False}


def _sample(
    video_id: str, span_s: tuple[float, float], asked: Asked, split: str, dataset: str = DATASET
) -> dict[str, Any]:
    """A row of `samples`, its conversation worded like VICO's."""
    start_s, end_s = span_s
    prompt, said, index = asked.question, asked.answer, None
    if asked.options:
        index = asked.options.index(asked.answer)
        listed = "\n".join(f"({letter}) {option}" for letter, option in zip(_LETTERS, asked.options, strict=True))
        prompt = f"{prompt}\nOptions:\n{listed}\nGive the letter of the right option and its words."
        said = f"({_LETTERS[index]}) {said}"
    evidence = asked.evidence
    shown = [(int(one.start_s - start_s), int(one.end_s - start_s)) for one in evidence]
    return {
        "sample_id": hashlib.sha256(f"{video_id} {span_s} {asked.kind} {prompt}".encode()).hexdigest()[:32],
        "dataset": dataset, "video_id": video_id, "split": split, "kind": asked.kind,
        "format": "multiple_choice" if asked.options else "open", "question": asked.question,
        "options": list(asked.options), "answer": asked.answer, "answer_index": index,
        "conversations": [{"from": "human", "value": f"<image>\n{prompt}"}, {"from": "gpt", "value": said}],
        "media": [{"type": "video", "video_id": video_id, "start_s": start_s, "end_s": end_s, "frame_indexes": []}],
        "span_start_s": start_s, "span_end_s": end_s, "min_frames": smallest_budget(int(end_s - start_s), shown),
        "evidence": [{"clue_id": None, "clip_index": int(one.start_s) // CLIP_S, "start_s": one.start_s,
                      "end_s": one.end_s} for one in evidence],
        "distance_s": evidence[-1].start_s - evidence[0].start_s, "language": "en", "twin_of": None,
        "checks": {"clock": True, "similarity": 0.0, "blind_right": 0, "blind_asked": 0}, "captioner": "file",
        "orderer": "clock", "calibration": False}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluation.use_cases.make", description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder")
    parser.add_argument("--train", type=int, default=300, help="films to train on (default: 300)")
    parser.add_argument("--test", type=int, default=60, help="films that are held out (default: 60)")
    parser.add_argument("--seconds", type=int, default=64, help="of each film (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="films are drawn from this seed on (default: 0)")
    options = parser.parse_args(argv)
    if options.seconds < SHORTEST_FILM_S or options.seconds % CLIP_S:
        parser.error(f"--seconds must be at least {SHORTEST_FILM_S} and a multiple of {CLIP_S}")
    if options.train < 0 or options.test < 0 or not options.train + options.test:
        parser.error("--train and --test must not be less than 0, and not both 0")
    first_test = options.seed + options.train
    seeds = {"train": range(options.seed, first_test), "test": range(first_test, first_test + options.test)}
    samples = write_use_cases(options.out, {split: some for split, some in seeds.items() if some}, options.seconds)
    print(f"{options.train + options.test} films, {samples} samples in {options.out / FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
