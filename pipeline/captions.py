"""The caption stage: asks the captioner for the clips of one video, and checks that it answered for each."""

from pathlib import Path

from pipeline.captioner import Captioner, DecodedVideo
from pipeline.captioner_file import FileCaptioner
from pipeline.captioner_measured import MeasuredCaptioner
from pipeline.captioner_served import ServedCaptioner
from pipeline.record_files import read_records, write_records
from pipeline.served_models import ServedModels
from schemas.build_config import BuildConfig
from schemas.records import Caption, Clip, Rejection, Video

VERSION = "1"


def make_captioner(config: BuildConfig, models: ServedModels | None = None) -> Captioner:
    """The captioner that a configuration names.

    Args:
        config: the choices.
        models: whom 'served' asks; None where it is only to be seen whether the choices will do.

    Raises:
        CaptionFileError: a caption file cannot be used.
    """
    if config.captioner == "served":
        return ServedCaptioner(config, models, FileCaptioner(config.captions))
    if config.captioner == "file":
        return FileCaptioner(config.captions)
    return MeasuredCaptioner()


def open_decoded(folder: Path) -> DecodedVideo:
    """A product of the decode stage."""
    return DecodedVideo(
        video=read_records(folder / "video.json", Video)[0], clips=read_records(folder / "clips.json", Clip),
        folder=folder)


def caption_video(captioner: Captioner, decoded: DecodedVideo, folder: Path) -> None:
    """Write captions.json and rejected.json for one video."""
    captions, rejected = captioner.caption(decoded)
    answered = {caption.clip_index for caption in captions} | {row.clip_index for row in rejected}
    silent = [clip.clip_index for clip in decoded.clips if clip.clip_index not in answered]
    if silent:
        raise RuntimeError(f"captioner '{captioner.name}' said nothing of clips {silent} of {decoded.video.video_id}")
    write_records(folder / "captions.json", Caption, captions)
    write_records(folder / "rejected.json", Rejection, rejected)
