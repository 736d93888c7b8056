"""What `train-on-shards` can be told."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.training.trained_parts import PARTS, Part
from schemas.choices import LOG_JSON

CONFIGS = Path(__file__).parent / "configs"

STAGE_PARTS: dict[str, list[Part]] = {"align": ["projector"], "tune": list(PARTS)}
STAGE_RATIOS: dict[str, list[int]] = {"align": [1], "tune": [2, 4, 8, 12, 16]}
STAGE_TEMPLATE: dict[str, Literal["plain", "chat"]] = {"align": "plain", "tune": "chat"}

NOT_OF_THE_RUN = {
    "out", "dry_run", "workers", "device", "keep", "checkpoint_steps", "max_minutes", "shards", "mixture",
    "log_json", "rows",
}
"""Choices that may differ when a run goes on: they change nothing that is learned. (What is in the shards and in the
mixture, and rows x ranks, is compared by the loader.)
"""


class TrainChoices(BaseModel):
    """Choices of a training run; defaults are those of the published second stage where it has one."""

    model_config = ConfigDict(extra="forbid")

    shards: Annotated[list[str], Field(description="folders that build-vico or import-instructions wrote")] = []
    mixture: Annotated[str | None, Field(
        description="a mixture file, or the name of one that comes with the package; left out: everything in --shards"
    )] = None
    out: Annotated[str, Field(min_length=1, description="folder of the run; one that was stopped goes on")]

    stage: Annotated[Literal["align", "tune"], Field(
        description="align: captions in plain form teach the projector, nothing is compressed; tune: conversations "
                    "teach everything")] = "tune"
    init: Annotated[str, Field(
        description="folder of a Video-XL to start from; 'scratch': random weights of the config's sizes; 'parts': "
                    "--language-model and --vision-tower joined by a new projector")]
    language_model: Annotated[str | None, Field(description="folder of a Qwen2, for --init parts")] = None
    vision_tower: Annotated[str | None, Field(description="folder of a CLIP, for --init parts")] = None
    sizes: Annotated[dict[str, Any], Field(
        description="for --init scratch: text and vision (their configurations) and fields of VideoXLConfig")] = {}
    vocabulary: Annotated[int, Field(
        ge=300, description="for --init scratch: tokens of the tokenizer made from the shards")] = 1024

    train: Annotated[list[Part] | None, Field(
        description="parts that learn, of vision projector vst language_model; left out: those of the stage")] = None
    lora_rank: Annotated[int, Field(
        ge=0, description="adapt the language model by matrices of this rank in place of its weights; 0: no")] = 0
    lora_alpha: Annotated[float, Field(gt=0, description="their product counts alpha / rank")] = 16.0

    lr: Annotated[float, Field(gt=0, description="highest learning rate")] = 1e-5
    lr_end: Annotated[float, Field(
        ge=0, le=1, description="what is left of it at the end of the cosine; 1: it stays")] = 0.0
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of the steps in which it rises")] = 0.03
    weight_decay: Annotated[float, Field(ge=0, description="of matrices, as AdamW has it")] = 0.0
    beta2: Annotated[float, Field(
        ge=0, lt=1, description="how slowly AdamW forgets squared gradients; 0.95 suits short runs")] = 0.999
    clip_norm: Annotated[float, Field(gt=0, description="longest gradient")] = 1.0
    epochs: Annotated[float, Field(gt=0, description="how often each sample is seen")] = 1.0
    steps: Annotated[int | None, Field(ge=1, description="so many steps in place of --epochs")] = None

    rows: Annotated[int, Field(ge=1, description="rows of one pass on one rank")] = 1
    rows_per_step: Annotated[int, Field(
        ge=1, description="rows of a step over all ranks; passes are accumulated until they are that many")] = 8
    ratios: Annotated[list[int] | None, Field(
        description="compression ratios, one drawn for each window; left out: those of the stage; 1: nothing is "
                    "compressed")] = None
    loss_average: Annotated[Literal["token", "sample"], Field(
        description="mean over all answer tokens of a step, or, as published, over its samples' means")] = "token"
    published_labels: Annotated[bool, Field(
        description="learn the chat's marks and line breaks too, as published")] = False
    most_frames: Annotated[int, Field(
        ge=1, description="without --mixture: one frame a second up to so many, else so many, evenly")] = 128
    most_questions: Annotated[int, Field(
        ge=1, description="questions packed behind one visual prefix; 1: none are packed")] = 8
    most_tokens: Annotated[int, Field(ge=1, description="text tokens of one row")] = 16_384
    max_bad_fraction: Annotated[float, Field(
        ge=0, le=1, description="stop if more samples than this share cannot be used")] = 0.01

    precision: Annotated[Literal["float32", "mixed", "bfloat16"], Field(
        description="mixed: weights and optimiser in float32, arithmetic in bfloat16; bfloat16: everything")] = "mixed"
    keep_activations: Annotated[bool, Field(
        description="no gradient checkpointing: quicker by a quarter, if there is room")] = False
    attention: Annotated[Literal["sdpa", "eager", "flex_attention"], Field(description="attention kernel")] = "sdpa"
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="where to compute")] = "auto"
    seed: Annotated[int, Field(ge=0, description="of weights, order and ratios")] = 0

    workers: Annotated[int, Field(ge=0, description="processes that read and decode, on each rank")] = 2
    checkpoint_steps: Annotated[int, Field(ge=1, description="steps between checkpoints")] = 1000
    keep: Annotated[int, Field(ge=1, description="how many checkpoints stay")] = 2
    max_minutes: Annotated[float | None, Field(
        gt=0, description="save and stop after so long; the same command goes on later")] = None
    dry_run: Annotated[bool, Field(
        description="say what is missing, how many steps there are and what memory they take; train nothing")] = False
    log_json: Annotated[bool, Field(description=LOG_JSON)] = False

    @model_validator(mode="after")
    def _fit_together(self) -> "TrainChoices":
        if self.init == "parts" and not (self.language_model and self.vision_tower):
            raise ValueError("init: parts needs language_model and vision_tower")
        if self.init == "scratch" and not all(isinstance(self.sizes.get(part), dict) for part in ("text", "vision")):
            raise ValueError("init: scratch needs sizes with text and vision, as in the configuration 'tiny'")
        if self.lora_rank and "language_model" in (self.train or []):
            raise ValueError("lora_rank stands in for training the language_model itself: take it out of train")
        if self.train == [] and not self.lora_rank:
            raise ValueError("train: nothing learns: name parts, or leave it out for those of the stage")
        if not self.shards and self.mixture is None:
            raise ValueError("nothing to train on: give --shards or --mixture")
        return self

    @property
    def out_folder(self) -> Path:
        """Folder of the run."""
        return Path(self.out)

    @property
    def parts(self) -> list[Part]:
        """Parts whose own weights learn."""
        if self.train is not None:
            return self.train
        return [part for part in STAGE_PARTS[self.stage] if not (self.lora_rank and part == "language_model")]

    @property
    def ratio_choices(self) -> list[int]:
        """Ratios that are drawn from."""
        return self.ratios or STAGE_RATIOS[self.stage]

    @property
    def template(self) -> Literal["plain", "chat"]:
        """How samples are put into words."""
        return STAGE_TEMPLATE[self.stage]

    def of_the_run(self) -> dict[str, Any]:
        """What must be the same when a run goes on."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in NOT_OF_THE_RUN}
