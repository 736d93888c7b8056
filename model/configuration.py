"""The sizes and settings of a Video-XL model."""

from typing import Any

from transformers import CLIPVisionConfig, PreTrainedConfig, Qwen2Config

PUBLISHED_RATIOS = (2, 4, 8, 12, 16, 32)


class VideoXLConfig(PreTrainedConfig):
    """Configuration of `VideoXLForConditionalGeneration`.

    Args:
        text_config: a `Qwen2Config`, or the dictionary of one.
        vision_config: a `CLIPVisionConfig`, or the dictionary of one.
        window_tokens: visual tokens in a full window; published: 1440, ten frames.
        ratios: the compression ratios that the model accepts. Each divides `window_tokens`.
        default_ratio: the ratio used when a call names none. A list means: drawn for each window from a
            generator seeded with 42, as the published code does.
        vision_select_layer: index into the tower's hidden states (0 is the embedding, -1 the last layer).
        pool_stride: side of the squares of patches that are averaged into one visual token.
        grid_pinpoints: (width, height) in pixels of the canvases that an image may be cut from.
        media_token_id: the id that marks a medium in `input_ids`, one mark a medium. Published: the last row
            of the vocabulary, which no tokenizer produces.

    Raises:
        ValueError: a ratio does not divide the window, or the patches cannot be pooled evenly.
    """

    model_type = "video_xl"
    sub_configs = {"text_config": Qwen2Config, "vision_config": CLIPVisionConfig}  # noqa: RUF012

    def __init__(
        self,
        text_config: Qwen2Config | dict[str, Any] | None = None,
        vision_config: CLIPVisionConfig | dict[str, Any] | None = None,
        window_tokens: int = 1440,
        ratios: tuple[int, ...] | list[int] = PUBLISHED_RATIOS,
        default_ratio: int | list[int] = 8,
        vision_select_layer: int = -2,
        pool_stride: int = 2,
        grid_pinpoints: list[list[int]] | None = None,
        media_token_id: int | None = None,
        tie_word_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        self.text_config = _sub_config(Qwen2Config, text_config, {})
        self.vision_config = _sub_config(CLIPVisionConfig, vision_config, CLIP_L_14_336)
        self.window_tokens = window_tokens
        self.ratios = list(ratios)
        self.default_ratio = default_ratio
        self.vision_select_layer = vision_select_layer
        self.pool_stride = pool_stride
        self.grid_pinpoints = (
            default_pinpoints(self.vision_config.image_size) if grid_pinpoints is None else grid_pinpoints
        )
        self.media_token_id = self.text_config.vocab_size - 1 if media_token_id is None else media_token_id
        super().__init__(tie_word_embeddings=tie_word_embeddings, **kwargs)
        # Set again: the base class declares the field with a default of its own.
        self.tie_word_embeddings = tie_word_embeddings
        self.check()

    @property
    def tokens_per_crop(self) -> int:
        """Visual tokens of one frame or one tile."""
        side = self.vision_config.image_size // self.vision_config.patch_size // self.pool_stride
        return side * side

    @property
    def tower_layers_used(self) -> int:
        """How many encoder layers run before the selected hidden state."""
        depth = self.vision_config.num_hidden_layers
        layer = self.vision_select_layer
        return layer if layer >= 0 else depth + 1 + layer

    def check(self) -> None:
        """Refuse settings that contradict one another.

        Raises:
            ValueError: says which, and what would fit.
        """
        uneven = [ratio for ratio in self.ratios if ratio < 1 or self.window_tokens % ratio]
        if uneven:
            raise ValueError(
                f"ratios {uneven} do not divide window_tokens={self.window_tokens}: choose ratios that do, "
                "so that no full window leaves visual tokens behind its last summary"
            )
        grid = self.vision_config.image_size // self.vision_config.patch_size
        if grid % self.pool_stride:
            raise ValueError(
                f"a grid of {grid}x{grid} patches cannot be pooled by {self.pool_stride}: change "
                "vision_config.image_size, vision_config.patch_size or pool_stride"
            )
        if not 0 <= self.tower_layers_used <= self.vision_config.num_hidden_layers:
            raise ValueError(
                f"vision_select_layer={self.vision_select_layer} is outside a tower of "
                f"{self.vision_config.num_hidden_layers} layers"
            )


CLIP_L_14_336: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}


def default_pinpoints(tile: int) -> list[list[int]]:
    """Every canvas of 2 to 49 square tiles, as (width, height) in pixels: the published list at tile 336."""
    return [
        [tile * columns, tile * rows] for columns in range(1, 50) for rows in range(1, 50) if 2 <= columns * rows <= 49
    ]


def _sub_config(kind: type, given: Any, defaults: dict[str, Any]) -> Any:
    if given is None:
        return kind(**defaults)
    if isinstance(given, dict):
        return kind(**{key: value for key, value in given.items() if key != "model_type"})
    return given
