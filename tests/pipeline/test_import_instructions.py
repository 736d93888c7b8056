"""Every form of record with its media, through the command: what comes out, and what is left out."""

import hashlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline import import_media, import_tables
from pipeline.import_instructions import run
from pipeline.sample_videos import sample_script, write_video
from tests.builds import data_bytes, rows
from tests.dying_check import dying_check
from tests.model.training.hand_made_shards import jpeg, turned_jpeg


def talk(*turns: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[number % 2], "value": words} for number, words in enumerate(turns)]


RECORDS = [
    {"id": "one", "image": "wide.jpg", "conversations": talk("<image>\nWhat?", "Red car.", "Sure?", "Yes.")},
    {"id": "pair", "image": "deep/high.png", "caption": "A picture of something."},
    {"id": "film", "video": "film.mp4", "conversations": talk(
        "<image>\nQuestion: Which?\nOptions:\n(A) this.\n(B) that.", "(B) that.")},
    {"id": "many", "image": ["wide.jpg", "deep/high.png", "wide.jpg"], "conversations": talk(
        "First <ImageHere>, then <ImageHere>, last <ImageHere>.", "Well.", "And?", "No.")},
    {"id": "words", "conversations": talk("Hello", "Good day.")},
    {"id": "turned", "image": "turned.jpg", "caption": "Upright."},
]
BROKEN = [
    ({"id": "torn", "image": "torn.jpg", "caption": "a"}, "picture_unreadable"),
    ({"id": "no picture", "image": "text.jpg", "caption": "a"}, "picture_unreadable"),
    ({"id": "gone", "image": "gone.jpg", "caption": "a"}, "missing_file"),
    ({"id": "outside", "image": "../secret.jpg", "caption": "a"}, "address_not_allowed"),
    ({"id": "no film", "video": "text.jpg", "conversations": talk("<image>a", "b")}, "not_a_video"),
    ({"id": "half", "image": ["wide.jpg", "gone.jpg"], "conversations": talk("a", "b")}, "missing_file"),
    ({"id": "marks", "image": "wide.jpg", "conversations": talk("<image><image>", "b")}, "marks_and_media_differ"),
    ({"id": "turns", "image": "wide.jpg", "conversations": talk("<image>")}, "turns_unusable"),
    ("nonsense", "record_unreadable"),
    ({"id": "again", "image": "wide.jpg", "conversations": RECORDS[0]["conversations"]}, "record_given_twice"),
    ({"id": "exif", "image": "exif.jpg", "caption": "a"}, "picture_unreadable"),
]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    (folder / "deep").mkdir()
    (folder / "wide.jpg").write_bytes(jpeg(1, 300, 100))
    Image.open(io.BytesIO(jpeg(2, 60, 120))).save(folder / "deep" / "high.png")
    picture, turned = Image.open(io.BytesIO(jpeg(3, 120, 60))), Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    picture.save(folder / "turned.jpg", exif=turned)
    (folder / "torn.jpg").write_bytes(jpeg(4)[:-200])
    (folder / "exif.jpg").write_bytes(turned_jpeg(0x0103, 1))
    (folder / "text.jpg").write_text("no picture")
    write_video(sample_script(seed=0, duration_s=15), folder / "film.mp4")
    return folder


def imported(folder: Path, media: Path, records: list, *flags: str, name: str = "out") -> tuple[int, Path]:
    listed = folder / "records.json"
    listed.write_text(json.dumps(records))
    out = folder / name
    code = run([str(listed), "--media", str(media), "--dataset", "made", "--out", str(out), "--buckets", "4", *flags])
    return code, out


@pytest.fixture(scope="module")
def done(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, out = imported(
        tmp_path_factory.mktemp("done"), media, [*RECORDS, *(record for record, _ in BROKEN)], "--workers", "2")
    assert code == 0
    return out


def test_every_form_becomes_a_sample(done: Path) -> None:
    assert len(rows(done, "samples")) == len(RECORDS)
    samples = {row["conversations"][0]["value"]: row for row in rows(done, "samples")}
    videos = {row["video_id"]: row for row in rows(done, "videos")}
    film = samples["<image>\nQuestion: Which?\nOptions:\n(A) this.\n(B) that."]
    assert (film["format"], film["options"], film["answer"], film["answer_index"]) == (
        "multiple_choice", ["this.", "that."], "that.", 1)
    assert film["media"] == [{"type": "video", "video_id": film["video_id"], "start_s": 0.0, "end_s": 15.0,
                              "frame_indexes": []}]
    assert (videos[film["video_id"]]["media"], videos[film["video_id"]]["n_frames"]) == ("video", 15)
    many = samples["First <image>, then <image>, last <image>."]
    assert [medium["frame_indexes"] for medium in many["media"]] == [[0], [1], [2]]
    assert videos[many["video_id"]]["media"] == "images"
    words = samples["Hello"]
    assert (words["video_id"], words["media"]) == (None, [])
    one = samples["<image>\nWhat?"]
    assert (one["kind"], one["question"], one["answer"], len(one["conversations"])) == (
        "instruction", "What?", "Red car.", 4)
    assert {row["kind"] for row in samples.values() if row["question"] == ""} == {"caption"}
    assert {row["split"] for row in samples.values()} == {"train"}


def test_pictures_keep_their_bytes_and_their_size(done: Path, media: Path) -> None:
    frames = rows(done, "frames")
    stored = {row["image"]["bytes"]: (row["width"], row["height"]) for row in frames if row["t_s"] is None}
    names = {"wide.jpg": (300, 100), "deep/high.png": (60, 120), "turned.jpg": (60, 120)}
    assert stored == {(media / name).read_bytes(): size for name, size in names.items()}
    one = next(row for row in rows(done, "videos") if row["source"] == "wide.jpg" and row["media"] == "image")
    assert one["video_id"] == hashlib.sha256((media / "wide.jpg").read_bytes()).hexdigest()[:32]
    film = [row for row in frames if row["t_s"] is not None]
    assert [row["t_s"] for row in film] == [float(second) for second in range(15)]
    assert {min(row["width"], row["height"]) for row in film} == {336}


def test_what_is_broken_is_left_out_with_its_reason(done: Path) -> None:
    rejected = rows(done, "rejected")
    assert sorted(row["reason"] for row in rejected) == sorted(reason for _, reason in BROKEN)
    by_place = {row["source"]: row for row in rejected}
    for number, (record, reason) in enumerate(BROKEN, start=len(RECORDS) + 1):
        if reason != "record_given_twice":  # which is found when all are together
            row = by_place[f"records.json:{number}"]
            assert row["reason"] == reason
            assert row["item_id"] == (record["id"] if isinstance(record, dict) else None)
            assert row["stage"] == "import"
    manifest = json.loads((done / "manifest.json").read_text())
    assert manifest["rejected_by_reason"]["missing_file"] == 2


def test_the_output_depends_on_content_alone(done: Path, media: Path, tmp_path: Path) -> None:
    """Not on the order of the workers, nor the folder, nor a list cut in two."""
    everything_said = [*RECORDS, *(record for record, _ in BROKEN)]
    code, out = imported(tmp_path, media, everything_said)
    assert code == 0
    assert data_bytes(out) == data_bytes(done)


def test_an_import_that_was_stopped_goes_on(done: Path, media: Path, tmp_path: Path, monkeypatch) -> None:
    everything_said = [*RECORDS, *(record for record, _ in BROKEN)]
    write_bucket, written = import_tables._write_bucket, []

    def stopping(config, parts, store, bucket, folder) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(bucket)
        write_bucket(config, parts, store, bucket, folder)

    monkeypatch.setattr(import_tables, "_write_bucket", stopping)
    code, out = imported(tmp_path, media, everything_said)
    assert code == 4
    assert not (out / "manifest.json").exists()
    assert not (out / "data").exists()

    def going_on(config, parts, store, bucket, folder) -> None:
        written.append(bucket)
        write_bucket(config, parts, store, bucket, folder)

    def never(*_: object) -> None:
        raise AssertionError("no medium needs to be read again")

    monkeypatch.setattr(import_tables, "_write_bucket", going_on)
    monkeypatch.setattr(import_media.MediaReader, "read_images", never)
    assert imported(tmp_path, media, everything_said) == (0, out)
    assert written == [0, 1, 2, 3]
    assert data_bytes(out) == data_bytes(done)


def test_an_image_that_kills_its_process_is_the_only_one_left_out(media: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(import_media, "check_images", dying_check)
    code, out = imported(tmp_path, media, [RECORDS[0], BROKEN[0][0], RECORDS[5]])
    assert code == 0
    assert len(rows(out, "samples")) == 2
    assert [(row["reason"], row["item_id"]) for row in rows(out, "rejected")] == [("decoder_crashed", "torn")]


def test_an_image_that_changes_meanwhile_stops_the_import(media: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1))
    write_bucket = import_tables._write_bucket

    def changing(*arguments) -> None:
        (folder / "a.jpg").write_bytes(jpeg(2))
        write_bucket(*arguments)

    monkeypatch.setattr(import_tables, "_write_bucket", changing)
    code, out = imported(tmp_path, folder, [{"image": "a.jpg", "caption": "a"}])
    assert code == 2
    assert "a.jpg was changed while it was imported" in capsys.readouterr().err
    assert not (out / "manifest.json").exists()


@pytest.mark.parametrize(("flags", "said"), [
    (["--media", "nowhere"], "nowhere: no such folder"),
    (["--dataset", "a/b"], "dataset: String should match"),
    (["--buckets", "0"], "buckets: Input should be greater"),
])
def test_wrong_calls(media: Path, tmp_path: Path, capsys, flags: list[str], said: str) -> None:
    assert imported(tmp_path, media, RECORDS[4:5], *flags)[0] == 2
    assert said in capsys.readouterr().err


def test_nothing_made_is_told_and_nothing_is_written(media: Path, tmp_path: Path, capsys) -> None:
    code, out = imported(tmp_path, media, [BROKEN[0][0], BROKEN[2][0]])
    assert code == 3
    errors = capsys.readouterr().err
    assert "left out, picture_unreadable: 1" in errors
    assert "not one sample came of the records" in errors
    assert not (out / "data").exists()
