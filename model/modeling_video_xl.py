"""Video-XL: a vision tower, a projector and a Qwen2 that compresses what it sees into VSTs.

Where the published code does not work, this does the following, and agrees with it everywhere else:

* Any number of media anywhere in a prompt, the first place included. Text between media is kept uncompressed,
  like text before and behind them. (Published: one medium; further marks become untrained text tokens.)
* Batches of text, images and videos of any length, each at its own ratio. Every sample gives what it gives
  alone.
* Nothing outlives a call. (Published: the memory, the feature cursor and the ratio generator do.)
* A last window shorter than its ratio closes with one VST. (Published: its tokens are lost, and with several
  ratios an assertion fails.) Tokens behind the last VST of a longer window leave no trace, as published.
* An image's base crop, which the published code encodes and drops, is not encoded.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.utils import ModelOutput

from model import call_inputs, pass_size
from model.configuration import VideoXLConfig
from model.frame_input import frame_pixels, timed
from model.kept_rows import KeptRows
from model.language_model import VideoXLLanguageModel
from model.memory import Memory
from model.pass_plan import PassPlan, plan_pass
from model.pass_size import check_count
from model.ratio_choice import RatioChoice, check_ratio, default_ratio
from model.rotary import Positions, check_positions
from model.stream_cache import StreamCache, StreamCaches
from model.streams import Stream, read_streams
from model.token_loss import check_labels, token_loss
from model.vision import Projector, VisionTower, visual_tokens
from model.visual_reader import VisualReader
from model.window_layout import Step, group_steps, plan_steps


@dataclass
class VideoXLOutput(ModelOutput):
    """What `forward` returns.

    Attributes:
        loss: mean over labelled tokens, if labels were given.
        logits: [batch, ids, vocabulary], aligned with `input_ids`; at a media mark they predict the token
            behind it. Padding has zeros.
        past_key_values: what later calls continue from.
        ratios: for each sample the ratio of each of its windows.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: StreamCaches | None = None
    ratios: tuple[tuple[int, ...], ...] | None = None


class VideoXLPreTrainedModel(PreTrainedModel):
    """What `from_pretrained` needs to know."""

    config_class = VideoXLConfig
    base_model_prefix = "model"
    input_modalities = ("video", "image", "text")
    supports_gradient_checkpointing = True
    _no_split_modules = ["VideoXLDecoderLayer", "CLIPEncoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flex_attn = True


class VideoXLModel(VideoXLPreTrainedModel):
    """Tower, projector and language model without the head."""

    def __init__(self, config: VideoXLConfig) -> None:
        super().__init__(config)
        self.vision_tower = VisionTower(config.vision_config)
        self.projector = Projector(config.vision_config.hidden_size, config.text_config.hidden_size)
        self.language_model = VideoXLLanguageModel(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.language_model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.language_model.embed_tokens = value

    def encode(self, pixels: Tensor) -> Tensor:
        """Visual tokens [F * V, C] of frames or tiles [F, 3, S, S] of any device and floating type."""
        weight = self.projector.linear_1.weight
        pixels = pixels.to(device=weight.device, dtype=weight.dtype)
        return visual_tokens(self.vision_tower, self.projector, pixels, self.config)

    def run_pass(
        self,
        steps_of_samples: Sequence[Sequence[Step]],
        text_ids: Tensor,
        reader: VisualReader | None,
        rows: Sequence[KeptRows],
        positions: Positions,
        keep: bool,
    ) -> tuple[Tensor, PassPlan]:
        """Embed and run one pass; returns its hidden states [T, C] before the final norm, and its plan.

        Args:
            steps_of_samples: the steps of each sample.
            text_ids: ids of the text tokens of the pass, in order.
            reader: gives the pass its visual tokens.
            rows: what each sample kept so far.
            positions: how positions become angles.
            keep: whether rows are appended.
        """
        device = self.language_model.embed_tokens.weight.device
        plan = plan_pass(steps_of_samples, device)
        hidden_size = self.config.text_config.hidden_size
        visual = reader.take(plan.visual_tokens) if plan.visual_tokens else torch.empty(0, hidden_size, device=device)
        inputs = self.language_model.embed_pass(text_ids.to(device), visual.to(device), plan.source_T)
        return self.language_model(inputs, plan, rows, positions, keep), plan


class VideoXLForConditionalGeneration(VideoXLPreTrainedModel, GenerationMixin):
    """Video-XL with its language modelling head."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: VideoXLConfig) -> None:
        super().__init__(config)
        self.model = VideoXLModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *arguments: Any,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As for every transformers model, but a checkpoint that does not fit is refused, not filled up at random.

        Raises:
            ValueError: it is another kind of model, damaged, or has weights missing or too many; lists which.
        """
        source = pretrained_model_name_or_path
        if "config" not in kwargs:
            kind = cls.config_class.get_config_dict(source)[0].get("model_type")
            if kind != cls.config_class.model_type:
                raise ValueError(
                    f"{source} holds a model of type {kind!r}, not {cls.config_class.model_type!r}; a published "
                    "Video-XL checkpoint is converted by python -m model.convert"
                )
        try:
            model, info = super().from_pretrained(source, *arguments, output_loading_info=True, **kwargs)
        except SafetensorError as error:
            raise ValueError(f"the weights in {source} are damaged: {error}") from error
        problems = [f"{key}: missing" for key in sorted(info["missing_keys"])]
        problems += [f"{key}: no such weight" for key in sorted(info["unexpected_keys"])]
        if problems:
            raise ValueError("\n  - ".join([f"{source} is not a whole Video-XL checkpoint:", *problems]))
        return (model, info) if output_loading_info else model

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        media_sizes: Tensor | Sequence[int] | None = None,
        visual_tokens: Tensor | None = None,
        ratio: RatioChoice | list[RatioChoice] | None = None,
        labels: Tensor | None = None,
        question_ids: Tensor | None = None,
        past_key_values: StreamCaches | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        logits_at: Tensor | None = None,
        windows_per_pass: int | str | None = "default",
        positions: Positions = "published",
        return_dict: bool = True,
    ) -> VideoXLOutput:
        """Logits, and the loss where labels are given.

        Args:
            input_ids: [batch, ids], one `config.media_token_id` for each medium.
            attention_mask: [batch, ids], 0 for padding on either side.
            pixel_values: frames and tiles of all media, [F, 3, S, S], in the order of the marks.
            media_sizes: how many of them each medium has; may be left out when there is one medium.
            visual_tokens: finished visual tokens [V, C] of all media, in place of pixel_values; see
                `VideoXLModel.encode`.
            ratio: one choice for all samples, or a list with one choice for each. A choice is a ratio, a list
                with one for each window, or a `DrawnRatio`. Left out: `config.default_ratio`.
            labels: [batch, ids], -100 where there is none. Token t + 1 is the target at t.
            question_ids: [batch, ids], 0 for what is shared, 1, 2, ... for packed questions, each blind to
                the rest.
            past_key_values: continue from here; see also `Memory.cache`.
            use_cache: whether to return `past_key_values`; left out: unless gradients are recorded.
            logits_to_keep: logits for the last so many columns only; 0 means all.
            logits_at: [batch, ids] bool: logits of these ids alone, as [ids, vocabulary], row by row. A trainer needs
                those of answers only, and all of them would be the largest tensor of a step.
            windows_per_pass: None for one pass over the whole batch; 1 for the window loop. Left to
                "default": one pass with gradients; without, eight published windows' worth of tokens on a GPU
                and one elsewhere.
            positions: "published", "linear", "ntk" or "yarn"; a call that continues keeps what its cache began with.
            return_dict: a tuple if False.

        Raises:
            ValueError, TypeError: inputs that do not fit together, before anything is computed.
        """
        if windows_per_pass != "default":
            check_count("windows_per_pass", windows_per_pass, "one pass")
        samples = call_inputs.unpadded(input_ids, attention_mask, past_key_values)
        call_inputs.check_media(pixel_values, visual_tokens, self.config)
        sizes = call_inputs.sizes_of_media(call_inputs.crops(pixel_values, visual_tokens, self.config), media_sizes)
        streams = self._streams(input_ids, samples, sizes, ratio, question_ids)
        check_labels(labels, input_ids, bool(logits_to_keep) or logits_at is not None)
        keep = use_cache if use_cache is not None else not torch.is_grad_enabled()
        caches = self._caches(past_key_values, len(streams), positions, keep)
        columns = input_ids.shape[1]
        first_column = columns - logits_to_keep if logits_to_keep else 0
        if logits_at is None:
            wanted = [(kept >= first_column).nonzero().squeeze(1) for kept in samples]
        else:
            wanted = [at[kept].nonzero().squeeze(1) for at, kept in zip(logits_at, samples, strict=True)]
        hidden = self._run(streams, wanted, caches, self._reader(pixel_values, visual_tokens), windows_per_pass, keep)
        if logits_at is None:
            logits = self._logits(hidden, samples, wanted, input_ids.shape, first_column)
        else:
            logits = self.lm_head(hidden)
        loss = None if labels is None else token_loss(logits, labels, attention_mask, question_ids)
        for cache, stream in zip(caches.streams, streams, strict=True):
            cache.ratios += stream.ratios
        caches.columns += columns
        output = VideoXLOutput(
            loss=loss,
            logits=logits,
            past_key_values=caches if keep else None,
            ratios=tuple(stream.ratios for stream in streams),
        )
        return output if return_dict else output.to_tuple()

    def _streams(
        self,
        input_ids: Tensor,
        samples: list[Tensor],
        sizes: list[int],
        ratio: RatioChoice | list[RatioChoice] | None,
        question_ids: Tensor | None,
    ) -> list[Stream]:
        """Check the inputs against each other and read them."""
        call_inputs.check_ids(input_ids, self.config)
        ids = [row[kept] for row, kept in zip(input_ids, samples, strict=True)]
        questions = None
        if question_ids is not None:
            questions = [row[kept] for row, kept in zip(question_ids, samples, strict=True)]
        return read_streams(ids, sizes, self._ratio_per_sample(ratio, len(ids)), self.config, questions)

    def _ratio_per_sample(self, ratio: RatioChoice | list[RatioChoice] | None, samples: int) -> list[RatioChoice]:
        if ratio is None:
            return [default_ratio(self.config) for _ in range(samples)]
        if not isinstance(ratio, list):
            return [ratio] * samples
        if len(ratio) != samples:
            raise ValueError(
                f"a list of {len(ratio)} ratio choices was given for a batch of {samples}: give one for all, or a "
                "list with one for each sample (a choice for each window is itself a list)"
            )
        return ratio

    def _caches(self, given: StreamCaches | None, samples: int, positions: Positions, keep: bool) -> StreamCaches:
        """Where the streams continue; a given cache that is not to go on is left as it is."""
        check_positions(positions)
        if given is None:
            layers = self.config.text_config.num_hidden_layers
            return StreamCaches([StreamCache(KeptRows(layers), positions) for _ in range(samples)])
        if len(given.streams) != samples:
            raise ValueError(f"past_key_values hold {len(given.streams)} streams, but the batch has {samples} samples")
        return given if keep else given.copy()

    def _reader(self, pixel_values: Tensor | None, visual_tokens: Tensor | None) -> VisualReader | None:
        if pixel_values is None:
            return None if visual_tokens is None else VisualReader(iter(()), self.model.encode, visual_tokens)
        return VisualReader(iter(pixel_values.split(pass_size.frames_per_chunk(self.config))), self.model.encode)

    def _run(
        self,
        streams: list[Stream],
        wanted: list[Tensor],
        caches: StreamCaches,
        reader: VisualReader | None,
        windows_per_pass: int | str | None,
        keep: bool,
    ) -> Tensor:
        """Hidden states, after the final norm, at the wanted ids of all samples: [wanted ids, C]."""
        size = self.default_windows_per_pass() if windows_per_pass == "default" else windows_per_pass
        window = self.config.window_tokens
        steps = [
            plan_steps(stream.parts, window, len(cache.rows))
            for stream, cache in zip(streams, caches.streams, strict=True)
        ]
        if size is None or all(stream.crops == 0 for stream in streams):
            # Everything at once; without media this is the ordinary batch of a language model.
            passes = [list(enumerate(steps))]
        else:
            passes = [[(i, group)] for i, of_sample in enumerate(steps) for group in group_steps(of_sample, size)]
        last_of = {i: n for n, one in enumerate(passes) for i, _ in one}
        hidden, text_done, done = [], [0] * len(streams), [0] * len(streams)
        for number, one in enumerate(passes):
            text = []
            for i, of_sample in one:
                tokens = sum(step.tokens for step in of_sample if not step.is_window)
                text.append(streams[i].ids[text_done[i] : text_done[i] + tokens])
                text_done[i] += tokens
            rows = [caches.streams[i].rows for i, _ in one]
            must_keep = keep or any(last_of[i] != number for i, _ in one)
            hidden_TC, plan = self.model.run_pass(
                [of_sample for _, of_sample in one],
                torch.cat(text),
                reader,
                rows,
                caches.streams[0].positions,
                must_keep,
            )
            hidden.append(self._pick(hidden_TC, plan, one, streams, wanted, done))
        return torch.cat(hidden)

    def _pick(
        self,
        hidden_TC: Tensor,
        plan: PassPlan,
        one: list[tuple[int, list[Step]]],
        streams: list[Stream],
        wanted: list[Tensor],
        done: list[int],
    ) -> Tensor:
        """The wanted states of one pass, and a note in `done` of how far each sample is."""
        slots, before = [], 0
        for i, of_sample in one:
            tokens = sum(step.tokens for step in of_sample)
            places = torch.tensor(streams[i].places)[wanted[i].cpu()] - done[i]
            inside = places[(places >= 0) & (places < tokens)]
            slots.append(inside + before)
            before += tokens
            done[i] += tokens
        picked = plan.ordinary_U[torch.cat(slots).to(plan.ordinary_U.device)].to(hidden_TC.device)
        return self.model.language_model.norm(hidden_TC[picked])

    def _logits(
        self,
        hidden: Tensor,
        samples: list[Tensor],
        wanted: list[Tensor],
        shape: torch.Size,
        first_column: int,
    ) -> Tensor:
        """Logits of the wanted ids, laid out in the columns that they came from."""
        logits = self.lm_head(hidden)
        columns = shape[1] - first_column
        if len(logits) == shape[0] * columns:
            return logits.view(shape[0], columns, -1)
        places = torch.cat(
            [
                kept[want] - first_column + i * columns
                for i, (kept, want) in enumerate(zip(samples, wanted, strict=True))
            ]
        )
        padded = logits.new_zeros(shape[0] * columns, logits.shape[-1])
        return padded.index_copy(0, places.to(logits.device), logits).view(shape[0], columns, -1)

    def default_windows_per_pass(self) -> int | None:
        """See `forward`."""
        return None if torch.is_grad_enabled() else pass_size.windows_per_pass(None, self.config, self.device)

    # Generation

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """`forward` makes its own cache."""
        return False

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: StreamCaches | None = None,
        attention_mask: Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The ids that the cache has not seen; media go in with the first of them."""
        fresh = past_key_values is None or is_first_iteration
        if next_sequence_length is not None:
            input_ids = input_ids[:, -next_sequence_length:]
        media = {"pixel_values": None, "visual_tokens": None, "media_sizes": None, "ratio": None} if not fresh else {}
        return {
            **kwargs,
            **media,
            "input_ids": input_ids,
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
        }

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Repeat each sample with its media, for several sequences or beams."""
        if expand_size == 1:
            return input_ids, kwargs
        media = {name: kwargs.pop(name, None) for name in ("pixel_values", "visual_tokens")}
        sizes = kwargs.pop("media_sizes", None)
        ratio, caches = kwargs.pop("ratio", None), kwargs.pop("past_key_values", None)
        marks = (input_ids == self.config.media_token_id).sum(1).tolist()
        for name, values in media.items():
            if values is not None:
                rows = 1 if name == "pixel_values" else self.config.tokens_per_crop
                sizes = call_inputs.sizes_of_media(len(values) // rows, sizes)
                media[name] = call_inputs.repeated(values, [size * rows for size in sizes], marks, expand_size)
        if sizes is not None:
            sizes = call_inputs.repeated(torch.as_tensor(sizes), [1] * len(sizes), marks, expand_size)
        if ratio is not None:
            ratio = [one for one in self._ratio_per_sample(ratio, len(input_ids)) for _ in range(expand_size)]
        if caches is not None:
            caches.reorder_cache(torch.arange(len(caches.streams)).repeat_interleave(expand_size))
        ids, kwargs = super()._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **kwargs)
        return ids, {**kwargs, **media, "media_sizes": sizes, "ratio": ratio, "past_key_values": caches}

    # Memories

    def compress(
        self,
        frames: Iterable[Any],
        ratio: RatioChoice | None = None,
        prefix_ids: Tensor | Sequence[int] | None = None,
        positions: Positions = "published",
        windows_per_pass: int | None = None,
        frames_per_chunk: int | None = None,
    ) -> Memory:
        """Watch a video once and keep what it left behind; see `Memory`.

        What is held meanwhile does not depend on the number of frames, but for the memory itself.

        Args:
            frames: an iterator of frames: uint8 arrays [height, width, 3] or PIL images of any size, or
                finished pixel values [3, S, S]; or of pairs (time in seconds, frame).
            ratio: compression ratio; left out: `config.default_ratio`.
            prefix_ids: ids of the text in front of the video; left out: the processor's usual prompt.
            positions: "published", "linear", "ntk" or "yarn", fixed for the life of the memory.
            windows_per_pass: windows compressed in one pass; left out: eight published windows' worth of
                tokens on a GPU, one window elsewhere.
            frames_per_chunk: frames encoded at once; left out: 32 on a GPU, 1 elsewhere. With 1 for both, a
                cut stream gives the same bits as an uncut one; other sizes group the same sums differently.

        Raises:
            ValueError, TypeError: a bad ratio or prefix, before any compute; a bad frame, before it is
                encoded; no frame at all.
        """
        check_count("windows_per_pass", windows_per_pass, "as many as suit the device")
        check_count("frames_per_chunk", frames_per_chunk, "as many as suit the device")
        prefix = self._prefix_ids(prefix_ids)
        ratio = default_ratio(self.config) if ratio is None else ratio
        check_ratio(ratio, self.config)
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise ValueError("zero frames were given: give at least one frame")
        frame_pixels(timed(first)[1], self, 0)
        memory = Memory.begin(self, prefix, ratio, positions)
        return memory.extend(chain([first], frames), windows_per_pass, frames_per_chunk)

    def answer(self, memory: Memory, question: str, **generation: Any) -> str:
        """Answer a question about what a memory holds; any number of times.

        Args:
            memory: made by this model.
            question: in words; the processor puts it into the chat format.
            generation: passed on to `generate`; `max_new_tokens` is 128 if left out.

        Raises:
            ValueError: the memory is another model's, or no processor is at hand.
        """
        processor = self._need_processor()
        ids = torch.tensor([processor.question_ids(question)], device=self.device)
        generation.setdefault("max_new_tokens", 128)
        new = self.generate(input_ids=ids, past_key_values=memory.cache(self), **generation)
        return processor.tokenizer.decode(new[0, ids.shape[1] :], skip_special_tokens=True).strip()

    @torch.no_grad()
    def begin_vst(self, token_id: int) -> None:
        """Start the VST parameters as the published training does: from the ordinary projections and one token.

        Args:
            token_id: the token whose embedding VSTs begin with; published: the end of a turn.
        """
        inner = self.model.language_model
        inner.vst_embedding.weight.copy_(inner.embed_tokens.weight[token_id : token_id + 1])
        for layer in inner.layers:
            for name in ("q_proj", "k_proj", "v_proj"):
                ordinary, summary = (getattr(layer.self_attn, which) for which in (name, f"vst_{name}"))
                summary.load_state_dict(ordinary.state_dict())

    @property
    def processor(self) -> Any:
        """The `VideoXLProcessor` that turns frames and words into tensors, or None: set it to use words."""
        return self.__dict__.get("_processor")

    @processor.setter
    def processor(self, processor: Any) -> None:
        self.__dict__["_processor"] = processor

    def _need_processor(self) -> Any:
        if self.processor is None:
            raise ValueError(
                "words and uint8 frames need a processor: set model.processor = VideoXLProcessor.from_pretrained(...), "
                "or give prefix_ids and finished pixel values"
            )
        return self.processor

    def _prefix_ids(self, prefix_ids: Tensor | Sequence[int] | None) -> Tensor:
        if prefix_ids is None:
            prefix_ids = self._need_processor().prefix_ids()
        ids = torch.as_tensor(prefix_ids, dtype=torch.long).flatten()
        call_inputs.check_ids(ids, self.config)
        if (ids == self.config.media_token_id).any():
            raise ValueError("prefix_ids hold a media mark: give only the ids in front of the video")
        return ids
