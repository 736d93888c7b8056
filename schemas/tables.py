"""The tables of a VICO data set as Arrow schemas, every column with its comment.

`OUT/data/{table}/{split}-{bucket:05d}.parquet`, sorted by id. Names are promises: change them in
one commit, everywhere, and raise `SCHEMA_VERSION`.
"""

import json
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = "1"

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An image as the `datasets` library stores it. It opens a column as pictures only if the column may be null."""
_SPAN_TEXT = [("start_s", pa.float64()), ("end_s", pa.float64()), ("text", pa.string())]


def _column(name: str, kind: pa.DataType, comment: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"comment": comment})


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind)


VIDEOS = pa.schema([
    _column("video_id", pa.string(), "sha256 of the file's bytes, first 32 hex digits"),
    _column("media", pa.string(), "video, image, images or text"),
    _column("source", pa.string(), "a URL, or a path relative to the list or folder it came from"),
    _column("title", pa.string(), "title, where the list or the container has one", nullable=True),
    _column("domain", pa.string(), "film, documentary, game, sport, …, where the list says", nullable=True),
    _column("language", pa.string(), "language, where the list says", nullable=True),
    _column("license", pa.string(), "licence, where the list says", nullable=True),
    _column("uploader", pa.string(), "who published it, where known", nullable=True),
    _column("published", pa.date32(), "when it was published, where known", nullable=True),
    _column("duration_s", pa.float64(), "seconds from the container's start to the end of the last frame"),
    _column("width", pa.int32(), "width in square pixels as a player shows it, upright"),
    _column("height", pa.int32(), "height in square pixels as a player shows it, upright"),
    _column("fps", pa.float64(), "frames per second; the mean where the rate varies"),
    _column("variable_frame_rate", pa.bool_(), "more than 1 % of the steps between frames differ from the usual"),
    _column("rotation", pa.int16(), "degrees counter-clockwise that a player turns the stored picture by"),
    _column("container", pa.string(), "container format, FFmpeg's name"),
    _column("codec", pa.string(), "codec of the picture, FFmpeg's name"),
    _column("cuts_s", _list(pa.float64()), "times at which a new shot begins"),
    _column("chapters", _list(pa.struct([
        ("start_s", pa.float64()), ("end_s", pa.float64()), ("title", pa.string()),
    ])), "chapters that the container names"),
    _column("n_clips", pa.int32(), "clips of the video in `clips`"),
    _column("n_frames", pa.int32(), "frames of the video in `frames`"),
    _column("n_samples", pa.int32(), "samples about the video in `samples`"),
    _column("split", pa.string(), "train or test, from the video's id alone; calibration for planted needles"),
    _column("calibration", pa.bool_(), "planted needles: never train on it"),
])

CLIPS = pa.schema([
    _column("clip_id", pa.string(), "{video_id}-{clip_index:06d}"),
    _column("video_id", pa.string(), "the video"),
    _column("clip_index", pa.int32(), "position of the clip in the video; a gap is a rejected clip"),
    _column("start_s", pa.float64(), "start, seconds"),
    _column("end_s", pa.float64(), "end, seconds, not part of the clip"),
    _column("cuts_s", _list(pa.float64()), "times inside the clip at which a new shot begins"),
    _column("frames_expected", pa.int32(), "frames that the container holds for the clip"),
    _column("frames_decoded", pa.int32(), "frames that were decoded intact"),
    _column("caption", pa.string(), "what happens in the clip"),
    _column("sentences", _list(pa.string()), "the caption sentence by sentence"),
    _column("setting", pa.string(), "where it is, where the captioner says", nullable=True),
    _column("subjects", _list(pa.string()), "people and things"),
    _column("actions", _list(pa.string()), "what they do, in sequence"),
    _column("on_screen_text", _list(pa.string()), "words that can be read in the picture"),
    _column("key_events", _list(pa.struct(_SPAN_TEXT)), "events with times of their own"),
    _column("subtitles", _list(pa.struct([*_SPAN_TEXT, ("auto", pa.bool_())])), "subtitles that fall in the clip"),
    _column("measures", pa.struct([
        ("motion", pa.float32()), ("brightness", pa.float32()), ("colours", pa.list_(pa.string())),
    ]), "motion in picture widths per second, mean luma 0 to 1, dominant colours"),
    _column("caption_frames_s", _list(pa.float64()), "times of the frames the captioner was given"),
    _column("captioner", pa.string(), "who captioned it: measured, file or served"),
    _column("model", pa.string(), "the captioner's model", nullable=True),
    _column("prompt", pa.string(), "name and version of the prompt", nullable=True),
    _column("answer_key", pa.string(), "key of the stored answer", nullable=True),
    _column("thumbnail", _IMAGE, "a small JPEG from the middle of the clip", nullable=True),
])

CLUES = pa.schema([
    _column("clue_id", pa.string(), "hash of the video, the clips and the text"),
    _column("video_id", pa.string(), "the video"),
    _column("clip_indexes", _list(pa.int32()), "the clips in which it can be seen"),
    _column("start_s", pa.float64(), "start, seconds"),
    _column("end_s", pa.float64(), "end, seconds"),
    _column("text", pa.string(), "a sentence by which it can be recognised"),
    _column("kind", pa.string(), "event (has times of its own) or clip (a sentence about a clip)"),
    _column("sentences", _list(pa.int32()), "the sentences of the caption it comes from"),
    _column("orderer", pa.string(), "who ordered it: clock or served"),
    _column("model", pa.string(), "the orderer's model", nullable=True),
    _column("prompt", pa.string(), "name and version of the prompt", nullable=True),
    _column("answer_key", pa.string(), "key of the stored answer", nullable=True),
    _column("order_given", pa.int32(), "position the orderer gave it", nullable=True),
    _column("kept", pa.bool_(), "may be asked about"),
    _column("reason", pa.string(), "why it was dropped", nullable=True),
    _column("similarity", pa.float32(), "likeness of its words to the likest other clip, 0 to 1"),
    _column("seen", pa.struct([("yes", pa.int16()), ("asked", pa.int16())]),
            "clips a model was shown, its own and those most like it, and in how many of them it saw the clue: "
            "one, for a clue that is kept", nullable=True),
])

SAMPLES = pa.schema([
    _column("sample_id", pa.string(), "hash of kind, clues and question"),
    _column("dataset", pa.string(), "vico, or the name of an imported set"),
    _column("video_id", pa.string(), "the video", nullable=True),
    _column("split", pa.string(), "train, test or calibration: that of the video"),
    _column("kind", pa.string(), "what is asked, order_events for example; docs/questions.md names all"),
    _column("format", pa.string(), "multiple_choice or open"),
    _column("question", pa.string(), "the question, without its options"),
    _column("options", _list(pa.string()), "the options, without their letters"),
    _column("answer", pa.string(), "the right option's text, or the open answer"),
    _column("answer_index", pa.int8(), "position of the right option", nullable=True),
    _column("conversations", _list(pa.struct([("from", pa.string()), ("value", pa.string())])),
            "the sample as LLaVA-style turns; what a trainer reads"),
    _column("media", _list(pa.struct([
        ("type", pa.string()), ("video_id", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64()),
        ("frame_indexes", pa.list_(pa.int32())),
    ])), "what the model is shown for each <image> mark; no frame_indexes: every stored frame of the stretch"),
    _column("span_start_s", pa.float64(), "start of the stretch that the question is about", nullable=True),
    _column("span_end_s", pa.float64(), "end of the stretch that the question is about", nullable=True),
    _column("min_frames", pa.int32(),
            "from this number of uniform frames on, every evidence clip keeps two", nullable=True),
    _column("evidence", _list(pa.struct([
        ("clue_id", pa.string()), ("clip_index", pa.int32()), ("start_s", pa.float64()), ("end_s", pa.float64()),
    ])), "the clips that the answer rests on"),
    _column("distance_s", pa.float64(), "seconds between the first and the last evidence", nullable=True),
    _column("language", pa.string(), "language of the question"),
    _column("twin_of", pa.string(), "the sample whose clues it shows in another order", nullable=True),
    _column("checks", pa.struct([
        ("clock", pa.bool_()), ("similarity", pa.float32()), ("blind_right", pa.int16()), ("blind_asked", pa.int16()),
    ]), "what was checked; blind_asked 0: not tested without the video"),
    _column("captioner", pa.string(), "who captioned the clips it rests on"),
    _column("orderer", pa.string(), "who ordered the clues it rests on"),
    _column("calibration", pa.bool_(), "planted needles: never train on it"),
])

FRAMES = pa.schema([
    _column("video_id", pa.string(), "the video"),
    _column("frame_index", pa.int32(), "number of the stored frame in the video; a gap is a rejected clip"),
    _column("t_s", pa.float64(), "the frame's own presentation time, seconds", nullable=True),
    _column("clip_index", pa.int32(), "the clip it lies in", nullable=True),
    _column("image", _IMAGE, "JPEG", nullable=True),
    _column("width", pa.int32(), "pixels"),
    _column("height", pa.int32(), "pixels"),
    _column("picture_hash", pa.int64(), "64-bit perceptual hash: like pictures differ in few bits"),
])

DUPLICATES = pa.schema([
    _column("video_id", pa.string(), "leave this video out"),
    _column("duplicate_of", pa.string(), "it shows what this one shows"),
])

REJECTED = pa.schema([
    _column("stage", pa.string(), "the stage that left it out"),
    _column("reason", pa.string(), "why, from a closed list"),
    _column("detail", pa.string(), "a sentence about this very item"),
    _column("source", pa.string(), "the source it came from", nullable=True),
    _column("video_id", pa.string(), "the video", nullable=True),
    _column("clip_index", pa.int32(), "the clip", nullable=True),
    _column("item_id", pa.string(), "the clue, sample or caption", nullable=True),
    _column("raw", pa.string(), "what was received, where it helps", nullable=True),
])

TABLES: dict[str, pa.Schema] = {
    "videos": VIDEOS, "clips": CLIPS, "clues": CLUES, "samples": SAMPLES, "frames": FRAMES,
    "duplicates": DUPLICATES, "rejected": REJECTED,
}

COMMENTS: dict[str, str] = {
    "videos": "one row per video",
    "clips": "one row per clip: its times, its caption, its measures",
    "clues": "one row per clue, kept or dropped: what can be found again, and where",
    "samples": "one row per question",
    "frames": "one row per stored frame, one a second",
    "duplicates": "videos that show what another one shows",
    "rejected": "one row per thing left out, with the reason",
}

IMAGE_COLUMNS = {"frames": "image", "clips": "thumbnail"}
"""Columns that the `datasets` library should open as pictures."""


def with_footer(table: str) -> pa.Schema:
    """The schema of `table` with what its Parquet footer carries: version and Hugging Face features."""
    schema = TABLES[table]
    features = {
        column.name: {"_type": "Image"} if column.name == IMAGE_COLUMNS.get(table) else _feature(column.type)
        for column in schema
    }
    footer = {"huggingface": json.dumps({"info": {"features": features}}), "vico_schema_version": SCHEMA_VERSION}
    return schema.with_metadata(footer)


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """An Arrow type as the `datasets` library writes it."""
    if pa.types.is_list(kind):
        return {"_type": "List", "feature": _feature(kind.value_type)}
    if pa.types.is_struct(kind):
        return {part.name: _feature(part.type) for part in kind}
    names = {"double": "float64", "float": "float32", "date32[day]": "date32"}
    return {"_type": "Value", "dtype": names.get(str(kind), str(kind))}
