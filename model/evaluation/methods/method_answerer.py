"""Any way to look, asked by the same harness as Video-XL's own."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from model.evaluation.methods.method import Method
from model.evaluation.methods.watch import Looked, encoded, watch
from model.evaluation.question import Question, Reply
from model.evaluation.viewing import Picture
from model.evaluation.vst_answerer import SeenAsVst, prompt_ids
from model.fingerprint import fingerprint
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.rotary import position_limit


class MethodAnswerer:
    """Answers by one model that looks in one way; see `model.evaluation.answerer.Answerer`.

    Args:
        model: with its processor set.
        method: the way.

    Raises:
        MethodError: the factor does not fit the model.
    """

    def __init__(self, model: VideoXLForConditionalGeneration, method: Method) -> None:
        method.check(model.config)
        self._model, self._method, self._processor = model, method, model._need_processor()
        self.method, self.ratio = str(method), str(method.factor)
        self.settings = {
            "model": fingerprint(model), "method": self.method, "ratio": self.ratio, "positions": method.positions,
            "position_limit": position_limit(model.config.text_config, method.positions)}

    def prepare(self, picture: Picture, is_image: bool) -> Tensor:
        """See `Answerer`."""
        if is_image:
            return self._processor.image_pixels(picture)
        return self._processor.frame_pixels(picture)[None]

    def look(self, frames: Iterator[tuple[float | None, Tensor]], system: str | None) -> "SeenAsVst | SeenForQuestion":
        """See `Answerer`."""
        bare = (pixels if time_s is None else (time_s, pixels) for time_s, pixels in frames)
        return self.look_at(encoded(self._model, bare), system)

    def look_at(self, frames: Iterator[Looked], system: str | None = None) -> "SeenAsVst | SeenForQuestion":
        """The same with frames that went through the vision tower already."""
        prefix_ids, _ = prompt_ids(self._processor, system, "", "")
        if self._method.asks_first:
            return SeenForQuestion(self._model, self._method, list(frames), prefix_ids)
        memory = watch(self._model, self._method, frames, prefix_ids)
        return SeenAsVst(self._model, self._processor, memory)


class SeenForQuestion:
    """A video that is looked at anew for each question; see `model.evaluation.answerer.Seen`."""

    def __init__(
        self, model: VideoXLForConditionalGeneration, method: Method, frames: list[Looked], prefix_ids: Sequence[int]
    ) -> None:
        self._model, self._method, self._frames, self._prefix_ids = model, method, frames, prefix_ids

    @property
    def times_s(self) -> list[float | None]:
        """Of each frame."""
        return [time_s for time_s, _ in self._frames]

    @property
    def positions(self) -> int:
        """Of the text in front and what any question would leave of the video."""
        config = self._model.config
        kept = self._method.tokens_kept(len(self._frames), config.tokens_per_crop, config.window_tokens)
        return len(self._prefix_ids) + kept

    def reply(self, question: Question) -> Reply:
        """Look with the question in mind, then answer it."""
        processor = self._model._need_processor()
        asked = processor.text_ids(question.words(self.times_s))
        memory = watch(self._model, self._method, self._frames, self._prefix_ids, asked)
        return SeenAsVst(self._model, processor, memory).reply(question)
