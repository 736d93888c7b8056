"""What the entry point `lmms_eval.models` leads to: `lmms-eval --model video_xl ...` works where both are installed.

By itself, because lmms-eval reads entry points while it is itself being imported.
"""

from lmms_eval.models.registry_v2 import ModelManifest


def manifest() -> ModelManifest:
    """The name of the model and where its class is."""
    return ModelManifest("video_xl", simple_class_path="model.evaluation.lmms_eval_model.VideoXLForLmmsEval")
