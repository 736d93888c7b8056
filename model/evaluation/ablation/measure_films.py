"""What a model answers about generated films, stored beside its run: a line for each question.

A process of its own, started with a request in JSON: the folder of the model, and for each cell where its answers go,
its task, its way to look, and the shards about its films.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from model.evaluation.ablation.grid_tasks import FilmTask
from model.evaluation.accuracy import Question
from model.evaluation.answers import Answered, answer_spans
from model.evaluation.held_out import StoredFrames, held_out_spans
from model.evaluation.methods.method import Method
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor


def main() -> None:
    """Answer the request that the command line names."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    checkpoint = Path(request["checkpoint"])
    model = VideoXLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor = VideoXLProcessor.from_pretrained(checkpoint)
    for folder in dict.fromkeys(cell["data_sets"][0] for cell in request["cells"]):
        frames = StoredFrames(Path(folder))
        for cell in request["cells"]:
            if cell["data_sets"][0] == folder:
                _write(Path(cell["file"]), _answers(model, processor, frames, cell))


def _answers(
    model: VideoXLForConditionalGeneration, processor: VideoXLProcessor, frames: StoredFrames, cell: dict[str, Any]
) -> Iterable[Answered]:
    task = FilmTask.model_validate(cell["task"])
    data_sets = [Path(folder) for folder in cell["data_sets"]]
    spans = held_out_spans(data_sets, task.kinds, task.formats, task.span_seconds, task.questions)
    return answer_spans(model, processor, frames, spans, Method.parse(cell["way"]), task.frames)


def _write(path: Path, answers: Iterable[Answered]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for one in answers:
            file.write(json.dumps(one.row()) + "\n")
    os.replace(partial, path)


def read_answers(file: Path) -> list[Answered]:
    """The answers of a cell."""
    return [Answered(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def scores(answers: Iterable[Answered]) -> dict[Question, float]:
    """1 for each question answered right, 0 for the others."""
    return {(one.video_id, one.sample_id): float(one.right) for one in answers}
