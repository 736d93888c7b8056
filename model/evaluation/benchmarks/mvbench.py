"""MVBench (Li et al. 2024, arXiv 2311.17005): twenty kinds of questions about short videos, 200 each.

Asked in the words of the authors' notebook, 16 frames from the middles of equal parts. Some kinds are about a stretch
of the video, and one about a folder of frames at three a second. The figure is the mean over kinds.
"""

from dataclasses import dataclass
from pathlib import Path

from model.evaluation.benchmarks.mlvu import options_prompt
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import letter_of, lone_letter
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import Question
from model.evaluation.task import BadDataError, Task
from model.evaluation.viewing import FrameFolder, VideoStretch, Viewing

SYSTEM = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
    "objects, and the action and pose of persons. Based on your observations, select the best option that accurately "
    "addresses the question.\n")
SOURCE = (
    "MVBench is the data set OpenGVLab/MVBench on the Hugging Face hub (json/*.json, the archives of video/ unpacked "
    "beside each other; the videos of fine_grained_pose come from NTU RGB+D, as its page says). evaluate-video-xl "
    "--leave-out fine_grained_pose asks about the other kinds.")
FRAMES_A_SECOND = 3.0

FOLDERS = {
    "action_antonym": "ssv2_video", "action_count": "perception/videos", "action_localization": "sta/sta_video",
    "action_prediction": "star/Charades_v1_480", "action_sequence": "star/Charades_v1_480",
    "character_order": "perception/videos", "counterfactual_inference": "clevrer/video_validation",
    "egocentric_navigation": "vlnqa", "episodic_reasoning": "tvqa/frames_fps3_hq",
    "fine_grained_action": "Moments_in_Time_Raw/videos", "fine_grained_pose": "nturgbd",
    "moving_attribute": "clevrer/video_validation", "moving_count": "clevrer/video_validation",
    "moving_direction": "clevrer/video_validation", "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480", "object_shuffle": "perception/videos",
    "scene_transition": "scene_qa/video", "state_change": "perception/videos", "unexpected_action": "FunQA_test/test",
}
"""Of each kind, where under video/ its videos are."""

FRAME_FOLDERS = {"episodic_reasoning"}
STRETCHES = {"action_sequence", "action_prediction", "action_localization", "object_interaction", "episodic_reasoning"}


@dataclass(frozen=True, eq=False)
class MvBench(LetterTask):
    """All twenty kinds."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        return [question for kind in FOLDERS for question in self._of_kind(data, kind)]

    def _of_kind(self, data: Path, kind: str) -> list[Question]:
        file = find_file(self, data, f"json/{kind}.json")
        fields = ("video", "question", "candidates", "answer", *(("start", "end") if kind in STRETCHES else ()))
        found = []
        for number, row in enumerate(read_rows(file, fields)):
            options = tuple(map(str, row["candidates"]))
            if str(row["answer"]) not in options:
                raise BadDataError(f"{file}, row {number}: the answer {row['answer']!r} is none of the options")
            found.append(Question(
                question_id=f"{kind}_{number}", viewing=_viewing(data / self.folder / "video", kind, row),
                prompt=f"{options_prompt(row['question'], options)}\nOnly give the best option.", format="letter",
                options=options, answer=letter_of(options, str(row["answer"])), prefill="Best option:(",
                system=SYSTEM, attributes={"kind": kind}))
        return found


def _viewing(videos: Path, kind: str, row: dict) -> Viewing:
    path = videos / FOLDERS[kind] / row["video"]
    stretch = (float(row["start"]), float(row["end"])) if kind in STRETCHES else (0.0, None)
    return FrameFolder(path, FRAMES_A_SECOND, *stretch) if kind in FRAME_FOLDERS else VideoStretch(path, *stretch)


TASKS: list[Task] = [
    MvBench("mvbench", "MVBench", SOURCE, FramePolicy(16, placing="middles"), {"overall": 0.553},
            "a reader's note on the paper; not seen in a source of the authors", read=lone_letter, by=("kind",),
            mean_over="kind"),
]
