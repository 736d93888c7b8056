"""Small sets in the official form of each benchmark, with rows of our own and the odd fields that the real ones have.

Every video is the same two seconds: what matters is which files are read and how questions are put.
"""

import base64
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.evaluation.benchmarks import mme, mvbench

FPS, FRAMES = 10, 20


def write_film(path: Path) -> None:
    """Two seconds of 48 x 32 pixels; the first call of a run draws it, later ones copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", FPS)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(FRAMES):
            picture = np.full((32, 48, 3), 12 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())


class OfficialSets:
    """Writes sets under one folder, as --data names it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._film = data / "film.mp4"
        write_film(self._film)

    def film(self, *parts: str) -> None:
        """A video where a benchmark expects one."""
        path = self.data.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._film, path)

    def json(self, rows: Any, *parts: str) -> Path:
        """A JSON file."""
        path = self.data.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        return path

    def mlvu_dev(self) -> None:
        """Two questions about one plot, one of each other kind; counts are numbers, not words."""
        kinds = {"1_plotQA": "plotQA", "2_needle": "findNeedle", "3_ego": "ego", "4_count": "count",
                 "5_order": "order", "6_anomaly_reco": "anomaly_reco", "7_topic_reasoning": "topic_reasoning"}
        for name, kind in kinds.items():
            rows = [{"video": f"{kind}_1.mp4", "duration": 2.0, "question": f"What about {kind}?",
                     "candidates": ["red", "green", "blue", "grey"], "answer": "green", "question_type": kind}]
            if kind == "count":
                rows[0] |= {"candidates": [1, 2, 3, 4], "answer": 3}
            if kind == "plotQA":
                rows.append({**rows[0], "question": "And then?", "answer": "grey"})
            self.json(rows, "MLVU", "json", f"{name}.json")
            self.film("MLVU", "video", name, f"{kind}_1.mp4")

    def mlvu_generation(self) -> None:
        """One question of each kind, in both splits."""
        for name, kind in (("8_sub_scene", "subPlot"), ("9_summary", "summary")):
            self.json([{"video": f"{kind}_1.mp4", "duration": 2.0, "question": f"Tell the {kind}.",
                        "answer": "A man walks.", "question_type": kind}], "MLVU", "json", f"{name}.json")
            self.film("MLVU", "video", name, f"{kind}_1.mp4")
        for name in ("ssc", "vs"):
            self.json([{"video": "test_2.mp4", "duration": 2.0, "question": "Tell it.", "answer": "A bird.",
                        "question_type": name, "question_id": f"{name}_0"}],
                      "MLVU_Test", "test-ground-truth", f"test_{name}_gt.json")
        self.film("MLVU_Test", "MLVU_Test", "video", "test_2.mp4")

    def mlvu_test(self) -> None:
        """Ids of their own, and six options."""
        options = ["one", "two", "three", "four", "five", "six"]
        self.json(
            [{"video": "test_1.mp4", "duration": 2.0, "question": "Which?", "candidates": options, "answer": "six",
              "question_type": "sportsQA", "question_id": "SQA_0"},
             {"video": "test_1.mp4", "duration": 2.0, "question": "Which?", "candidates": options, "answer": "one",
              "question_type": "needleQA", "question_id": "NQA_0"}],
            "MLVU_Test", "test-ground-truth", "test_mcq_gt.json")
        self.film("MLVU_Test", "MLVU_Test", "video", "test_1.mp4")

    def video_mme(self) -> None:
        """Three questions about one video with subtitles in coloured font, one about a .mkv without."""
        rows = []
        for video, number, duration, answer in (("aa", 1, "short", "B"), ("aa", 2, "short", "A"),
                                                ("aa", 3, "short", "D"), ("bb", 1, "long", "C")):
            rows.append({
                "video_id": video, "duration": duration, "domain": "Knowledge", "sub_category": "Law", "url": "u",
                "videoID": video, "question_id": f"{video}-{number}", "task_type": "Counting Problem",
                "question": f"How many in {number}?", "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."],
                "answer": answer})
        path = self.data / "Video-MME" / "videomme" / "test-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
        self.film("Video-MME", "data", "aa.mp4")
        self.film("Video-MME", "data", "bb.mkv")
        subtitle = self.data / "Video-MME" / "subtitle" / "aa.srt"
        subtitle.parent.mkdir(exist_ok=True)
        font = '<font color="white" size=".72c">{}</font>'
        subtitle.write_bytes("\r\n".join([
            "\ufeff1", "00:00:00,000 --> 00:00:00,900", font.format("Hello &amp; welcome"), "",
            "2", "00:00:01,000 --> 00:00:01,500", font.format("to the"), font.format("show"), "",
            "3", "00:01:00,000 --> 00:01:01,000", font.format("long after"), ""]).encode())

    def long_video_bench(self) -> None:
        """Four and five options, with N/A where there are fewer."""
        base = {"video_id": "v1", "video_path": "v1.mp4", "question_wo_referring_query": "?", "position": [3, 9],
                "topic_category": "KH", "level": "L1", "subtitle_path": "v1.json", "duration": 2.0,
                "starting_timestamp_for_subtitles": 0, "view_count": 7}
        self.json([
            {**base, "id": "v1_0", "question": "First?", "candidates": ["a1", "b1", "c1", "d1", "e1"],
             "correct_choice": 4, "question_category": "S2E", "duration_group": 15},
            {**base, "id": "v1_1", "question": "Second?", "candidates": ["a2", "b2", "c2", "N/A", "N/A"],
             "correct_choice": 0, "question_category": "T3O", "duration_group": 600}],
            "LongVideoBench", "lvb_val.json")
        self.film("LongVideoBench", "videos", "v1.mp4")

    def vnbench(self, tries: int = 4) -> None:
        """Two samples of two types, their options turned from try to try."""
        rows = []
        for number, kind in enumerate(("ret_insert1", "cnt_edit2")):
            options = ["w", "x", "y", "z"]
            for attempt in range(tries):
                rows.append({
                    "video": f"./VNBench/n{number}.mp4", "question": "What?", "options": options, "gt": "x",
                    "gt_option": "ABCD"[options.index("x")], "needle_time": [1.0], "length": 2, "type": kind,
                    "try": attempt})
                options = options[1:] + options[:1]
            self.film("VNBench", "VNBench", f"n{number}.mp4")
        self.json(rows, "VNBench", "VNBench-main-4try.json")

    def mvbench(self) -> None:
        """One question of each kind, with a stretch and a folder of frames where there are such."""
        for kind, folder in mvbench.FOLDERS.items():
            name = "show/clip_01" if kind in mvbench.FRAME_FOLDERS else f"{kind}.mp4"
            row = {"video": name, "question": "What happens?", "candidates": ["it opens", "it closes", "neither"],
                   "answer": "it closes"}
            if kind in mvbench.STRETCHES:
                row |= {"start": 0.5, "end": 1.5, "accurate_start": 0.6, "accurate_end": 1.4}
            self.json([row], "MVBench", "json", f"{kind}.json")
            if kind not in mvbench.FRAME_FOLDERS:
                self.film("MVBench", "video", folder, name)
                continue
            frames = self.data / "MVBench" / "video" / folder / name
            frames.mkdir(parents=True)
            for number in range(1, 7):
                Image.new("RGB", (48, 32), (40 * number, 0, 0)).save(frames / f"{number:05d}.jpg")

    def nextqa(self) -> None:
        """The authors' CSV: numbers for videos and answers, commas inside a cell."""
        path = self.data / "NExTQA" / "MC" / "test.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow("video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4".split(","))
            writer.writerow([17, 20, 48, 32, "why did he go", 3, 0, "CW", "a, b", "b", "c", " to sleep ", "e"])
            writer.writerow([17, 20, 48, 32, "what next", 0, 4, "TN", "sits", "runs", "eats", "sings", "swims"])
        self.film("NExTQA", "NExTVideo", "17.mp4")

    def mme(self) -> None:
        """Two images of each kind; two kinds keep them apart from the questions, one has .png."""
        for kind in (*mme.PERCEPTION, *mme.COGNITION):
            folder = self.data / "MME" / kind
            apart = kind in ("artwork", "celebrity")
            texts = folder / "questions_answers_YN" if apart else folder
            images = folder / "images" if apart else folder
            texts.mkdir(parents=True)
            images.mkdir(exist_ok=True)
            for number in range(2):
                (texts / f"000{number}.txt").write_text(
                    f"Is there a {kind}? Please answer yes or no.\tYes\nIs there none? Please answer yes or no.\tNo\n")
                picture = Image.new("RGB", (40, 30), (0, 90, 100 * number))
                picture.save(images / f"000{number}.{'png' if kind == 'OCR' else 'jpg'}")

    def mmbench(self) -> None:
        """A question with all its rotations, one with a hint and two options; images by base64 and by row."""
        data = io.BytesIO()
        Image.new("RGB", (40, 30), (200, 0, 0)).save(data, "PNG")
        image = base64.b64encode(data.getvalue()).decode()
        names = "index question hint A B C D answer category image source l2-category comment split".split()
        rows = []
        options = ["a cat", "a dog", "a cow"]
        for turn in range(3):
            rows.append([turn * 1_000_000 + 5, "What is it?", "nan", *options, "", "ABC"[options.index("a dog")],
                         "object", image if turn == 0 else "5", "ours", "perception", "", "dev"])
            options = options[1:] + options[:1]
        rows.append([9, "Is it red?", "Look at the tile.", "yes", "no", "nan", "nan", "A", "colour", image, "ours",
                     "perception", "", "dev"])
        path = self.data / "MMBench" / "mmbench_dev_20230712.tsv"
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter="\t").writerows([names, *rows])

    def all(self) -> None:
        """All of them."""
        for write in (self.mlvu_dev, self.mlvu_test, self.mlvu_generation, self.video_mme, self.long_video_bench,
                      self.vnbench, self.mvbench, self.nextqa, self.mme, self.mmbench):
            write()
