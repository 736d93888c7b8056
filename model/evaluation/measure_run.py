"""What a trained run answers in one cell, stored beside it: a line for each question.

    RUN-FOLDER/answers/{task}-ratio-{ratio}.jsonl
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from model.evaluation.accuracy import Question
from model.evaluation.answers import Answered, answer_spans
from model.evaluation.grid import Task
from model.evaluation.held_out import StoredFrames, held_out_spans
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor


def answers_file(run: Path, task: str, ratio: int) -> Path:
    """Where the answers of a cell lie."""
    return run / "answers" / f"{task}-ratio-{ratio}.jsonl"


def measure_run(
    checkpoint: Path, run: Path, data_sets: Sequence[Path], cells: Sequence[tuple[str, Task, int]]
) -> None:
    """Ask what has not been asked yet.

    Args:
        checkpoint: folder of the model.
        run: folder of the run; answers are stored under it.
        data_sets: shards of the films that the tasks are about; the first one's frames are shown.
        cells: name and task, and the ratio.
    """
    left = [cell for cell in cells if not answers_file(run, cell[0], cell[2]).is_file()]
    if not left:
        return
    model = VideoXLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor, frames = VideoXLProcessor.from_pretrained(checkpoint), StoredFrames(data_sets[0])
    for name, task, ratio in left:
        spans = held_out_spans(data_sets, task.kinds, task.formats, task.span_seconds, task.questions)
        _write(answers_file(run, name, ratio), answer_spans(model, processor, frames, spans, ratio, task.frames))


def _write(path: Path, answers: Sequence[Answered]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for one in answers:
            file.write(json.dumps(one.row()) + "\n")
    os.replace(partial, path)


def read_answers(run: Path, task: str, ratio: int) -> list[Answered]:
    """The answers of a cell."""
    lines = answers_file(run, task, ratio).read_text(encoding="utf-8").splitlines()
    return [Answered(**json.loads(line)) for line in lines]


def scores(answers: Sequence[Answered]) -> dict[Question, float]:
    """1 for each question answered right, 0 for the others."""
    return {(one.video_id, one.sample_id): float(one.right) for one in answers}
