"""What can be chosen for a build. Stored with the output; secrets have no place in it."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.check_choices import CheckChoices
from schemas.source_choices import HOW_FETCHED, SourceChoices

OF_THE_MACHINE = {
    "workers", "ray", "scratch", "decode_threads", "stall_seconds", "caption_urls", "order_urls", "embedding_urls",
    "answers",
    "requests_in_flight", "request_seconds", "give_up_seconds", "max_tokens", "max_cost", "exclude"} | HOW_FETCHED
"""Choices that change no byte of a video's rows; what `exclude` names is kept with the output."""


class BuildConfig(SourceChoices, CheckChoices, BaseModel):
    """Everything that decides what `build-vico` makes of a video, and how it runs."""

    # Defaults are validated too: a key must not tell 3 from 3.0, nor a choice left out from the same one made.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    captioner: Annotated[Literal["measured", "file", "served"], Field(
        description="who describes the clips: 'measured' says what it measures in the pixels, "
                    "'file' takes captions that exist already (--captions), 'served' asks a vision-language model "
                    "(--caption-urls, --caption-model)")] = "measured"
    captions: Annotated[list[str], Field(
        description="caption files for 'file': JSONL or Parquet with video, start_s, end_s, text; 'served' takes "
                    "their subtitles as hints")] = []
    orderer: Annotated[Literal["clock", "served"], Field(
        description="who orders the clues: 'clock' sorts by time, 'served' has a language model choose, word and "
                    "order them")] = "clock"

    caption_urls: Annotated[list[str], Field(
        description="servers that caption, http://host:port/v1; a key they ask for: VICO_CAPTION_API_KEY")] = []
    caption_model: Annotated[str | None, Field(description="the model's name there")] = None
    order_urls: Annotated[list[str], Field(
        description="servers that order, where they are others; their key: VICO_ORDER_API_KEY")] = []
    order_model: Annotated[str | None, Field(description="the model that orders, where it is another")] = None
    embedding_urls: Annotated[list[str], Field(
        description="servers of the embedding model, http://host:port/v1; their key: VICO_EMBEDDING_API_KEY")] = []
    answers: Annotated[list[str], Field(
        description="stored answers to use before any server is asked: earlier output folders; never written to")] = []
    temperature: Annotated[float, Field(ge=0, le=2, description="temperature of served models")] = 0.0
    caption_tokens: Annotated[int, Field(ge=64, le=32_768, description="longest caption answer, tokens")] = 1024
    order_context_tokens: Annotated[int, Field(
        ge=2048, description="tokens that a request to the ordering model may take, its answer included")] = 16_384
    chapter_clips: Annotated[int, Field(ge=4, le=1000, description="most clips ordered in one request")] = 48
    shuffled_share: Annotated[float, Field(
        ge=0, le=1,
        description="share of the videos whose captions are also ordered shuffled and without times")] = 0.01
    max_tokens: Annotated[int | None, Field(
        ge=1, description="stop before the output has cost more tokens than this")] = None
    max_cost: Annotated[float | None, Field(
        gt=0, description="stop before the output has cost more than this, in the currency of the prices")] = None
    caption_price_in: Annotated[float, Field(ge=0, description="price of a million prompt tokens, captions")] = 0.0
    caption_price_out: Annotated[float, Field(ge=0, description="price of a million answer tokens, captions")] = 0.0
    order_price_in: Annotated[float, Field(ge=0, description="price of a million prompt tokens, order")] = 0.0
    order_price_out: Annotated[float, Field(ge=0, description="price of a million answer tokens, order")] = 0.0
    embedding_price: Annotated[float, Field(ge=0, description="price of a million tokens, embeddings")] = 0.0
    requests_in_flight: Annotated[int, Field(
        ge=1, le=4096, description="most requests at a time at each server; below that the number adapts")] = 256
    request_seconds: Annotated[float, Field(gt=0, description="longest wait for one answer")] = 300.0
    give_up_seconds: Annotated[float, Field(gt=0, description="longest time without any server answering")] = 600.0

    clip_seconds: Annotated[float, Field(gt=0, le=600, description="length of a clip")] = 14.0
    min_last_clip_seconds: Annotated[float, Field(ge=0, description="a shorter rest at the end is left out")] = 2.0
    max_hours: Annotated[float, Field(gt=0, le=48, description="longer videos are left out")] = 24.0
    caption_frames: Annotated[int, Field(ge=1, le=64, description="frames per clip for the captioner")] = 8
    caption_frame_side: Annotated[int, Field(ge=64, le=2160, description="their shorter side, pixels")] = 448
    frame_side: Annotated[int, Field(ge=32, le=2160, description="shorter side of the stored frames, pixels")] = 336
    jpeg_quality: Annotated[int, Field(ge=30, le=100, description="JPEG quality of all pictures")] = 88

    keep_clips: Annotated[bool, Field(
        description="also write every clip as a video, clip_files/VIDEO_ID/CLIP_ID.mp4: exactly its frames, encoded "
                    "anew as H.264, without sound")] = False

    spans_minutes: Annotated[list[float], Field(
        description="lengths of the stretches that questions are about; the whole video is always one")] = [3, 10, 30]
    max_questions_per_kind: Annotated[int, Field(
        ge=1, le=1000, description="at most so many questions of a kind about one span")] = 12
    max_questions_per_video: Annotated[int, Field(
        ge=1, description="at most so many questions about one video, shared out evenly over kinds and lengths of "
                          "spans; twins come on top")] = 1000
    max_questions_per_clue: Annotated[int, Field(
        ge=1, description="at most so many questions about spans of one length mention a clue")] = 24
    twin_share: Annotated[float, Field(
        ge=0, le=1, description="share of the questions about order that are asked once more about the same clips "
                                "shown in another order")] = 0.2
    open_share: Annotated[float, Field(
        ge=0, le=1, description="share of 'first_or_last', 'came_next' and 'came_before' that are asked for the words "
                                "of the answer and not for its letter")] = 0.25
    captions_complete: Annotated[bool, Field(
        description="the caption files name every event of the videos: 'how often' and 'never' may be asked")] = False
    test_share: Annotated[float, Field(ge=0, le=1, description="share of the videos in the test split")] = 0.02
    buckets: Annotated[int, Field(ge=1, le=100_000, description="shards per table and split")] = 64
    seed: Annotated[int, Field(description="seed of every random choice")] = 0

    workers: Annotated[int, Field(ge=1, le=256, description="videos decoded at a time")] = 1
    ray: Annotated[str | None, Field(
        description="spread the videos over the Ray cluster that this machine belongs to, in place of workers here: "
                    "host:port of its head; every node must see sources and --out")] = None
    scratch: Annotated[str | None, Field(
        description="folder on each machine's own disk for what is in work, where --ray is given or --out is an "
                    "address like s3://bucket/set (default: in the machine's temporary folder)")] = None
    decode_threads: Annotated[int, Field(ge=0, le=64, description="decoding threads per worker, 0: one a core")] = 0
    stall_seconds: Annotated[float, Field(
        gt=0, description="a decoder that makes no progress for so long is stopped")] = 60.0

    @field_validator("caption_urls", "order_urls", "embedding_urls")
    @classmethod
    def _urls_of_servers(cls, urls: list[str]) -> list[str]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("a server's address looks like http://host:port/v1")
            if parts.username or parts.password or parts.query:
                raise ValueError("a key has no place in a URL, which is logged and stored; set VICO_CAPTION_API_KEY, "
                                 "VICO_ORDER_API_KEY or VICO_EMBEDDING_API_KEY in the environment")
        return [url.rstrip("/") for url in urls]

    @field_validator("spans_minutes")
    @classmethod
    def _spans_positive(cls, spans: list[float]) -> list[float]:
        if any(not 0 < minutes <= 24 * 60 for minutes in spans):
            raise ValueError("every span must be longer than 0 and at most 1440 minutes")
        return sorted(set(spans))

    @model_validator(mode="after")
    def _captions_fit_captioner(self) -> "BuildConfig":
        if self.captioner == "file" and not self.captions:
            raise ValueError("captioner 'file' needs at least one caption file (--captions FILE)")
        if self.captioner == "measured" and self.captions:
            raise ValueError(f"captions are given, but captioner '{self.captioner}' does not read them; "
                             "add --captioner file")
        return self

    @model_validator(mode="after")
    def _only_files_are_complete(self) -> "BuildConfig":
        if self.captions_complete and self.captioner != "file":
            raise ValueError("captions_complete speaks of caption files; it needs captioner 'file'")
        return self

    @model_validator(mode="after")
    def _served_models_are_named(self) -> "BuildConfig":
        if self.captioner == "served" and not self.caption_model:
            raise ValueError("captioner 'served' needs the model's name (--caption-model)")
        if self.captioner == "served" and not (self.caption_urls or self.answers):
            raise ValueError("captioner 'served' needs a server (--caption-urls) or stored answers (--answers)")
        if self.orderer == "served" and not (self.order_model or self.caption_model):
            raise ValueError("orderer 'served' needs the model's name (--order-model)")
        if self.orderer == "served" and not (self.order_urls or self.caption_urls or self.answers):
            raise ValueError("orderer 'served' needs a server (--order-urls) or stored answers (--answers)")
        if self.embedding_model and not (self.embedding_urls or self.answers):
            raise ValueError("an embedding model needs a server (--embedding-urls) or stored answers (--answers)")
        if self.embedding_urls and not self.embedding_model:
            raise ValueError("a server of embeddings needs the model's name (--embedding-model)")
        if self.max_cost and not any((self.caption_price_in, self.caption_price_out, self.order_price_in,
                                      self.order_price_out, self.embedding_price)):
            raise ValueError("max_cost needs prices (--caption-price-in, --caption-price-out, …)")
        return self

    @model_validator(mode="after")
    def _checks_have_somebody_to_ask(self) -> "BuildConfig":
        if self.calibrate and self.captioner != "served":
            raise ValueError(f"calibrate plants needles that somebody must see, and captioner '{self.captioner}' does "
                             "not look for things in the pictures; add --captioner served")
        if self.blind == "served" and self.orderer != "served":
            raise ValueError("blind 'served' asks the model that orders; add --orderer served")
        return self

    @model_validator(mode="after")
    def _last_clip_is_a_clip(self) -> "BuildConfig":
        if self.min_last_clip_seconds > self.clip_seconds:
            raise ValueError("min_last_clip_seconds is larger than clip_seconds: no clip would be left")
        return self

    @model_validator(mode="after")
    def _a_budget_has_one_keeper(self) -> "BuildConfig":
        if self.ray and (self.max_tokens or self.max_cost):
            raise ValueError(
                "max_tokens and max_cost are counted by one machine and cannot be kept with ray; an output keeps those "
                "of the builds before: max_tokens: null and max_cost: null in the file of --config lift them")
        return self

    @property
    def blind_is_served(self) -> bool:
        """Whether a served model has to guess the answers without the video."""
        return self.blind == "served" or (self.blind == "auto" and self.orderer == "served")

    @property
    def asks_models(self) -> bool:
        """Whether anything is asked of a model server."""
        return "served" in (self.captioner, self.orderer) or self.embedding_model is not None

    def without_machine(self) -> dict[str, object]:
        """The choices that can change a byte of the output; how many workers there were cannot."""
        return self.model_dump(mode="json", exclude=OF_THE_MACHINE)
