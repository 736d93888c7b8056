"""What `evaluate-video-xl` can be told."""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.methods.method import NAMES, Method
from model.evaluation.task import Task
from model.evaluation.tasks import all_tasks
from model.rotary import Positions

USUAL_RATIO = 8


class EvaluateChoices(BaseModel):
    """Choices of an evaluation."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, description="folder of a Video-XL; left out: VIDEO_XL_MODEL")]
    task: Annotated[list[str], Field(min_length=1, description="benchmarks")]
    data: Annotated[str, Field(description="folder that holds a folder for each benchmark")] = "."
    out: Annotated[str, Field(min_length=1, description="folder of the answers; what was stopped there goes on")]

    ratio: Annotated[list[int], Field(
        min_length=1, description="compression ratio; 1: none; several: drawn for each window")] = [USUAL_RATIO]
    method: Annotated[str | None, Field(
        description=f"another way to look than --ratio's, name:factor:positions, such as pool-space:16; names: "
                    f"{', '.join(NAMES)}")] = None
    frames: Annotated[int | None, Field(
        ge=1, description="frames of a video, evenly spread; left out: as the benchmark has it")] = None
    fps: Annotated[float | None, Field(
        gt=0, description="frames a second, at most --frames; left out: as the benchmark has it")] = None
    positions: Annotated[Positions, Field(description="how positions become angles")] = "published"
    limit: Annotated[int | None, Field(
        ge=1, description="ask about so many videos or images only, the first ones; such figures are not the "
                          "benchmark's")] = None
    leave_out: Annotated[list[str], Field(
        description="a kind of questions that is not asked, such as fine_grained_pose; figures without it are not the "
                    "benchmark's")] = []

    device: Annotated[str | None, Field(description="left out: the GPU of this rank if there is one")] = None
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], Field(
        description="type of the weights; auto: as they are stored")] = "auto"
    rank: Annotated[int, Field(ge=0, description="number of this process among --world; torchrun's RANK")] = 0
    world: Annotated[int, Field(ge=1, description="processes that share the videos; torchrun's WORLD_SIZE")] = 1
    log_json: Annotated[bool, Field(
        description="tell of progress as JSON on stderr, an object a line, in place of bars")] = False

    @model_validator(mode="after")
    def _check(self) -> "EvaluateChoices":
        known = all_tasks()
        strange = [name for name in self.task if name not in known]
        if strange:
            raise ValueError(f"no task {strange[0]!r}: there are {', '.join(known)}")
        if self.method is not None:
            Method.parse(self.method)
            if {"ratio", "positions"} & self.model_fields_set:
                raise ValueError("--method says ratio and positions itself: leave --ratio and --positions out")
        if self.rank >= self.world:
            raise ValueError(f"--rank {self.rank} must be less than --world {self.world}")
        return self

    def tasks(self) -> list[Task]:
        """Those named, each once."""
        known = all_tasks()
        return [known[name] for name in dict.fromkeys(self.task)]

    def policy(self, task: Task) -> FramePolicy:
        """The task's own, with what was said otherwise."""
        own = task.policy
        if self.fps is not None:
            return FramePolicy(self.frames or own.most, self.fps, own.placing)
        return own if self.frames is None else FramePolicy(self.frames, None, own.placing)

    def device_name(self, local_rank: int) -> str:
        """Where the model goes.

        Args:
            local_rank: of this process on its machine.
        """
        return self.device or (f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu")
