"""The closed list of reasons for which anything is left out of the data set.

Whatever a stage drops becomes a row of the table `rejected` with one of these reasons; the row's
`detail` says in a sentence what happened to this very item.
"""

from enum import StrEnum


class Stage(StrEnum):
    """The stages of `build-vico`, in the order in which they run."""

    SOURCES = "sources"
    PROBE = "probe"
    DECODE = "decode"
    CAPTIONS = "captions"
    CLUES = "clues"
    QUESTIONS = "questions"
    SHARDS = "shards"


class Reason(StrEnum):
    """Why an item is not in the data set."""

    # sources and probe
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    NOT_A_VIDEO = "not_a_video"
    NO_PICTURE = "no_picture"
    UNREADABLE = "unreadable"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SAME_BYTES = "same_bytes"
    # decode
    FILE_ENDS_EARLY = "file_ends_early"
    FRAMES_MISSING = "frames_missing"
    NO_FRAME_OF_ITS_OWN = "no_frame_of_its_own"
    LAST_CLIP_TOO_SHORT = "last_clip_too_short"
    DECODER_STALLED = "decoder_stalled"
    DECODER_CRASHED = "decoder_crashed"
    NO_WHOLE_CLIP = "no_whole_clip"
    # captions
    NO_CAPTION = "no_caption"
    CAPTION_OUTSIDE_CLIPS = "caption_outside_clips"
    ANSWER_UNUSABLE = "answer_unusable"
    MODEL_REFUSED = "model_refused"
    SERVER_REFUSED = "server_refused"
    SERVER_FAILED = "server_failed"
    CAPTION_REPEATED = "caption_repeated"
    # clues
    CLUE_SAYS_TOO_LITTLE = "clue_says_too_little"
    SCENE_RETURNS = "scene_returns"
    CLUE_ELSEWHERE = "clue_elsewhere"
    CLUE_GIVEN_TWICE = "clue_given_twice"
    CHAPTER_BEFORE_CHOSE = "chapter_before_chose"
    ORDER_AGAINST_CLOCK = "order_against_clock"
    CAPTION_TOO_LONG_TO_ORDER = "caption_too_long_to_order"
    # questions
    TOO_FEW_CLUES = "too_few_clues"
    TOO_FEW_FRAMES = "too_few_frames"
    DISAGREES_WITH_CLOCK = "disagrees_with_clock"


SENTENCES: dict[Reason, str] = {
    Reason.MISSING_FILE: "the file that a list names is not there, or may not be read",
    Reason.EMPTY_FILE: "the file is empty",
    Reason.NOT_A_VIDEO: "the file is in no format that FFmpeg knows, or its index is missing",
    Reason.NO_PICTURE: "the file holds no moving picture",
    Reason.UNREADABLE: "the file opens, but no frame of it can be decoded",
    Reason.TOO_SHORT: "the video is shorter than the shortest clip allowed",
    Reason.TOO_LONG: "the video is longer than the limit",
    Reason.SAME_BYTES: "another source holds the very same bytes",
    Reason.FILE_ENDS_EARLY: "the file ends before the time its header promises",
    Reason.FRAMES_MISSING: "fewer intact frames were decoded than the clip holds",
    Reason.NO_FRAME_OF_ITS_OWN: "no new frame appears in the clip; the picture before it stands still",
    Reason.LAST_CLIP_TOO_SHORT: "the rest at the end is too short for a clip",
    Reason.DECODER_STALLED: "the decoder made no progress within the time limit and was stopped",
    Reason.DECODER_CRASHED: "the decoder's process died",
    Reason.NO_WHOLE_CLIP: "no clip of the video could be decoded whole",
    Reason.NO_CAPTION: "nothing was said about the clip",
    Reason.CAPTION_OUTSIDE_CLIPS: "a given caption lies outside every clip of the video",
    Reason.ANSWER_UNUSABLE: "the model's answers could not be used, even after it was told why",
    Reason.MODEL_REFUSED: "the model declined to answer",
    Reason.SERVER_REFUSED: "the model server took no such request",
    Reason.SERVER_FAILED: "the model server failed at this request every time, and not at others",
    Reason.CAPTION_REPEATED: "the model said the very same of several clips with different pictures",
    Reason.CLUE_SAYS_TOO_LITTLE: "the sentence has too few words to be found again by",
    Reason.SCENE_RETURNS: "the same pictures stand elsewhere in the video too",
    Reason.CLUE_ELSEWHERE: "what the clue says is said of another clip too",
    Reason.CLUE_GIVEN_TWICE: "the model gave a clue for the same sentence before",
    Reason.CHAPTER_BEFORE_CHOSE: "the clip lies in two chapters, and for the earlier one other clues were chosen",
    Reason.ORDER_AGAINST_CLOCK: "the place that the model gave the clue contradicts the clock",
    Reason.CAPTION_TOO_LONG_TO_ORDER: "the caption alone takes more tokens than a request for order may",
    Reason.TOO_FEW_CLUES: "the span holds too few clues for a question about order",
    Reason.TOO_FEW_FRAMES: "an evidence clip has fewer than two stored frames",
    Reason.DISAGREES_WITH_CLOCK: "the answer does not follow from the times of the clips",
}
"""What each reason means, for people."""
