"""The names of --task."""

from model.evaluation.benchmarks import (
    long_video_bench,
    mlvu,
    mlvu_generation,
    mmbench,
    mme,
    mvbench,
    nextqa,
    nextqa_open,
    use_cases,
    vico_held_out,
    vico_reorder,
    video_mme,
    vnbench,
)
from model.evaluation.task import Task

_MODULES = (mlvu, mlvu_generation, video_mme, long_video_bench, vnbench, mvbench, nextqa, nextqa_open, mme, mmbench,
            vico_held_out, vico_reorder, use_cases)


def all_tasks() -> dict[str, Task]:
    """Every task by its name."""
    return {task.name: task for module in _MODULES for task in module.TASKS}
