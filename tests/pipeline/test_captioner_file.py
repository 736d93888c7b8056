"""Captions that exist already: which clip each belongs to, and which row of a file is wrong."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.captioner import DecodedVideo
from pipeline.captioner_file import CaptionFileError, FileCaptioner
from schemas.reasons import Reason
from schemas.records import Caption, Clip, Measures, Rejection, Video

VIDEO = Video(
    video_id="v" * 32, media="video", source="films/a.mp4", title=None, domain=None, language=None, license=None,
    uploader=None, published=None, duration_s=42, width=640, height=360, fps=25, variable_frame_rate=False,
    rotation=0, container="mov", codec="h264", cuts_s=[], chapters=[])
MEASURES = Measures(
    motion=0, brightness=0.5, colours=[], colour_shares={}, moving_share=0, direction=None, brightness_change=0)


def _clips(*indexes: int) -> list[Clip]:
    return [Clip(clip_id=f"v-{i}", video_id=VIDEO.video_id, clip_index=i, start_s=14 * i, end_s=14 * (i + 1), cuts_s=[],
                 frames_expected=350, frames_decoded=350, measures=MEASURES, caption_frames_s=[]) for i in indexes]


def _row(start_s: float, end_s: float, text: str = "A dog runs.", kind: str = "caption", video: str = "a.mp4") -> dict:
    return {"video": video, "start_s": start_s, "end_s": end_s, "text": text, "kind": kind}


def _caption(folder: Path, rows: list[dict], *clips: int) -> tuple[dict[int, Caption], list[Rejection]]:
    path = folder / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    captions, rejected = FileCaptioner([str(path)]).caption(DecodedVideo(VIDEO, _clips(*clips), folder))
    return {caption.clip_index: caption for caption in captions}, rejected


@pytest.mark.parametrize(("start_s", "end_s", "clips"), [
    (0, 14, {0}), (15, 16, {1}), (0, 42, {0, 1, 2}),
    (13, 15, {0, 1}),  # half of it in each
    (13.9, 15.9, {1}),  # almost all of it in one
    (11, 17, {0, 1}),  # more than two seconds in each
    (27.5, 34, {2}),
])
def test_a_row_belongs_to_the_clips_it_lies_in(
    tmp_path: Path, start_s: float, end_s: float, clips: set[int]
) -> None:
    captions, rejected = _caption(tmp_path, [_row(start_s, end_s)], 0, 1, 2)
    assert set(captions) == clips
    assert {row.clip_index for row in rejected if row.reason is Reason.NO_CAPTION} == {0, 1, 2} - clips


def test_kinds_go_where_they_belong(tmp_path: Path) -> None:
    captions, _ = _caption(tmp_path, [
        _row(2, 5, "A ball falls.", "event"), _row(0, 14, "A yard. It is empty."),
        _row(1, 3, "Hello!", "subtitle"), _row(7, 8, "  ", "event")], 0)
    assert captions[0].caption == "A yard. It is empty. A ball falls."
    assert captions[0].sentences == ["A yard.", "It is empty.", "A ball falls."]
    assert [(event.start_s, event.end_s, event.text) for event in captions[0].key_events] == [(2, 5, "A ball falls.")]
    assert [(line.start_s, line.text, line.auto) for line in captions[0].subtitles] == [(1, "Hello!", False)]
    assert captions[0].captioner == "file"


def test_actions_and_places_are_the_clip_s_own(tmp_path: Path) -> None:
    rows = [_row(0, 42, "A yard."), _row(1, 3, "kicks a ball", "action"), _row(4, 9, "climbs a fence", "action"),
            _row(0, 28, "a  yard", "setting"), _row(20, 28, "a street", "setting"), _row(15, 16, "runs off", "action")]
    captions, _ = _caption(tmp_path, rows, 0, 1, 2)
    assert [captions[at].actions for at in range(3)] == [["kicks a ball", "climbs a fence"], ["runs off"], []]
    assert [captions[at].setting for at in range(3)] == ["a yard", None, None]  # two places are not one
    assert captions[0].caption == "A yard."


def test_subtitles_alone_are_no_caption(tmp_path: Path) -> None:
    captions, rejected = _caption(tmp_path, [_row(1, 3, "Hello!", "subtitle")], 0)
    assert captions == {}
    assert [(row.reason, row.clip_index) for row in rejected] == [(Reason.NO_CAPTION, 0)]


def test_rows_outside_every_clip_are_told(tmp_path: Path) -> None:
    captions, rejected = _caption(tmp_path, [_row(0, 5), _row(20, 25, "In a rejected clip.")], 0)
    assert set(captions) == {0}
    assert [(row.reason, row.clip_index) for row in rejected] == [(Reason.CAPTION_OUTSIDE_CLIPS, None)]
    assert "In a rejected clip." in rejected[0].detail


@pytest.mark.parametrize("name", ["v" * 32, "films/a.mp4", "a.mp4"])
def test_a_video_is_named_by_id_source_or_file_name(tmp_path: Path, name: str) -> None:
    captions, _ = _caption(tmp_path, [_row(0, 5, video=name), _row(0, 5, "Another.", video="b.mp4")], 0)
    assert captions[0].caption == "A dog runs."


def test_answers_depend_on_the_rows_about_the_video_only(tmp_path: Path) -> None:
    def depends(*rows: dict[str, Any]) -> Any:
        path = tmp_path / "said.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return FileCaptioner([str(path)]).depends_on(DecodedVideo(VIDEO, [], tmp_path))

    mine, other = _row(0, 5), _row(0, 5, video="b.mp4")
    assert depends(mine) == depends(other, mine)
    assert depends(mine) != depends({**mine, "text": "A cat runs."})


def test_parquet_says_the_same_as_jsonl(tmp_path: Path) -> None:
    rows = [_row(0, 5), _row(2, 3, "A ball.", "event")]
    pq.write_table(pa.Table.from_pylist([{**row, "more": 1} for row in rows]), tmp_path / "said.parquet")
    captions, _ = _caption(tmp_path, rows, 0)
    from_parquet, _ = FileCaptioner([str(tmp_path / "said.parquet")]).caption(
        DecodedVideo(VIDEO, _clips(0), tmp_path))
    assert from_parquet == [captions[0]]


@pytest.mark.parametrize(("content", "words"), [
    (b'{"video": "a.mp4", "start_s": 0, "end_s": 1, "text": "\\udc80"}\n', "row 1 is not JSON"),
    (b"\n\n{'video': 1}\n", "row 3 is not JSON"),
    (b'{"video": "", "start_s": 0, "end_s": 1, "text": "x"}\n', "row 1: video"),
    (b'{"video": "a.mp4", "start_s": -1, "end_s": 1, "text": "x"}\n', "row 1: start_s"),
    (b"\xff\xfe\n", "utf-8"),
])
def test_a_row_that_is_wrong_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "said.jsonl"
    path.write_bytes(content)
    with pytest.raises(CaptionFileError, match=words) as caught:
        FileCaptioner([str(path)])
    assert "said.jsonl" in str(caught.value)


def test_a_broken_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "said.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(CaptionFileError, match=r"said\.parquet"):
        FileCaptioner([str(path)])
    with pytest.raises(CaptionFileError, match=r"gone\.jsonl"):
        FileCaptioner([str(tmp_path / "gone.jsonl")])
