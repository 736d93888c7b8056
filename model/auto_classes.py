"""Making Video-XL known to transformers' Auto classes."""


def register_auto_classes() -> None:
    """Let `AutoConfig`, `AutoModelForImageTextToText`, `AutoModel` and `AutoProcessor` load Video-XL
    checkpoints.

    Called when a public class is first taken from the package `model`, and when a processor is read from a folder;
    calling it again changes nothing. `import model` alone neither imports transformers nor touches it.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

    from model.configuration import VideoXLConfig
    from model.modeling_video_xl import VideoXLForConditionalGeneration
    from model.processing_video_xl import VideoXLProcessor

    AutoConfig.register(VideoXLConfig.model_type, VideoXLConfig, exist_ok=True)
    AutoModel.register(VideoXLConfig, VideoXLForConditionalGeneration, exist_ok=True)
    AutoModelForImageTextToText.register(VideoXLConfig, VideoXLForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(VideoXLConfig, VideoXLProcessor, exist_ok=True)
