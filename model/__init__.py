"""Video-XL: a vision-language model that keeps a long video as the keys and values of a few summary tokens.

    from model import Memory, VideoXLConfig, VideoXLForConditionalGeneration, VideoXLProcessor

The first of these names that is taken registers them all with transformers' Auto classes; `import model` by
itself imports nothing heavy.
"""

from typing import Any

_HOMES = {
    "DrawnRatio": "model.ratio_choice",
    "Memory": "model.memory",
    "VideoXLConfig": "model.configuration",
    "VideoXLForConditionalGeneration": "model.modeling_video_xl",
    "VideoXLProcessor": "model.processing_video_xl",
}

__all__ = sorted([*_HOMES, "register_auto_classes"])


def register_auto_classes() -> None:
    """See `model.auto_classes.register_auto_classes`."""
    from model.auto_classes import register_auto_classes as register

    register()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'model' has no attribute {name!r}")
    from importlib import import_module

    register_auto_classes()
    return getattr(import_module(_HOMES[name]), name)
