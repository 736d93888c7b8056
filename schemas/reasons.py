"""The closed list of reasons for which anything is left out of the data set.

Whatever a stage drops becomes a row of the table `rejected` with one of these reasons; the row's
`detail` says in a sentence what happened to this very item.
"""

from enum import StrEnum


class Stage(StrEnum):
    """The stages of `build-vico`, in the order in which they run."""

    SOURCES = "sources"
    FETCH = "fetch"
    PROBE = "probe"
    DECODE = "decode"
    CLIP_FILES = "clip_files"
    """In the same pass as the decode, where `--keep-clips` asks for them."""
    QUALITY = "quality"
    CAPTIONS = "captions"
    CLUES = "clues"
    QUESTIONS = "questions"
    SHARDS = "shards"
    IMPORT = "import"
    """Not a stage of `build-vico`: `import-instructions`."""


class Reason(StrEnum):
    """Why an item is not in the data set."""

    # fetch
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    PRIVATE_ADDRESS = "private_address"
    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_FAULT = "server_fault"
    SERVER_UNREACHABLE = "server_unreachable"
    REDIRECT_LOOP = "redirect_loop"
    FETCH_BROKE_OFF = "fetch_broke_off"
    FETCH_STALLED = "fetch_stalled"
    FETCH_TOO_LONG = "fetch_too_long"
    FETCH_FAILED = "fetch_failed"
    TOO_MANY_BYTES = "too_many_bytes"
    NO_VIDEO_THERE = "no_video_there"
    VIDEO_WITHDRAWN = "video_withdrawn"
    LIVE_STREAM = "live_stream"
    COPY_PROTECTED = "copy_protected"
    LIST_UNREADABLE = "list_unreadable"
    NO_LICENCE = "no_licence"
    OTHER_LICENCE = "other_licence"
    SUBTITLES_UNREADABLE = "subtitles_unreadable"
    # sources and probe
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    NOT_A_VIDEO = "not_a_video"
    NO_PICTURE = "no_picture"
    UNREADABLE = "unreadable"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SAME_BYTES = "same_bytes"
    KNOWN_TEST_SET = "known_test_set"
    # decode
    FILE_ENDS_EARLY = "file_ends_early"
    FRAMES_MISSING = "frames_missing"
    NO_FRAME_OF_ITS_OWN = "no_frame_of_its_own"
    LAST_CLIP_TOO_SHORT = "last_clip_too_short"
    DECODER_STALLED = "decoder_stalled"
    DECODER_CRASHED = "decoder_crashed"
    NO_WHOLE_CLIP = "no_whole_clip"
    TOO_MANY_PIXELS = "too_many_pixels"
    # quality
    TOO_SMALL = "too_small"
    MOSTLY_BLACK = "mostly_black"
    STANDS_STILL = "stands_still"
    SLIDESHOW = "slideshow"
    SAME_PICTURES = "same_pictures"
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
    CLUE_MEANT_ELSEWHERE = "clue_meant_elsewhere"
    CLUE_GIVEN_TWICE = "clue_given_twice"
    CHAPTER_BEFORE_CHOSE = "chapter_before_chose"
    ORDER_AGAINST_CLOCK = "order_against_clock"
    CAPTION_TOO_LONG_TO_ORDER = "caption_too_long_to_order"
    CLUE_NOT_SEEN = "clue_not_seen"
    CLUE_SEEN_ELSEWHERE = "clue_seen_elsewhere"
    # questions
    TOO_FEW_CLUES = "too_few_clues"
    TOO_FEW_FRAMES = "too_few_frames"
    DISAGREES_WITH_CLOCK = "disagrees_with_clock"
    TIME_CODE = "time_code"
    CLIP_NUMBER = "clip_number"
    ORDER_WORD = "order_word"
    SCRIPT_NOT_CHECKED = "script_not_checked"
    CAPTIONER_PHRASE = "captioner_phrase"
    WORDS_TO_A_MODEL = "words_to_a_model"
    MARKS = "marks"
    CLUE_REPEATED = "clue_repeated"
    NEAR_DUPLICATE = "near_duplicate"
    GUESSED_BLIND = "guessed_blind"
    NO_QUESTION_FITS = "no_question_fits"
    # import of instructions
    RECORD_UNREADABLE = "record_unreadable"
    TURNS_UNUSABLE = "turns_unusable"
    MARKS_AND_MEDIA_DIFFER = "marks_and_media_differ"
    PICTURE_UNREADABLE = "picture_unreadable"
    RECORD_GIVEN_TWICE = "record_given_twice"


SENTENCES: dict[Reason, str] = {
    Reason.ADDRESS_NOT_ALLOWED: "the address is of a kind that is not fetched, or not from where it was named",
    Reason.PRIVATE_ADDRESS: "the way to the video leads to an address that is not public",
    Reason.NOT_FOUND: "the server holds nothing under this address",
    Reason.ACCESS_DENIED: "the server does not let us in; a cookies file may help",
    Reason.TOO_MANY_REQUESTS: "the server asks for fewer visits",
    Reason.SERVER_FAULT: "the server failed, time after time",
    Reason.SERVER_UNREACHABLE: "no connection to the server could be made",
    Reason.REDIRECT_LOOP: "the server sends from one address to the next without end",
    Reason.FETCH_BROKE_OFF: "the server stopped half way, time after time",
    Reason.FETCH_STALLED: "nothing arrived for so long that the fetch was stopped",
    Reason.FETCH_TOO_LONG: "the fetch took longer than the limit",
    Reason.FETCH_FAILED: "it could not be fetched",
    Reason.TOO_MANY_BYTES: "it is larger than the limit",
    Reason.NO_VIDEO_THERE: "the page holds no video that we can find",
    Reason.VIDEO_WITHDRAWN: "the video is private, removed or for members only",
    Reason.LIVE_STREAM: "it is a live stream, which has no end yet",
    Reason.COPY_PROTECTED: "the video is copy protected (DRM)",
    Reason.LIST_UNREADABLE: "the list that was fetched cannot be read",
    Reason.NO_LICENCE: "no licence is known, and one was demanded",
    Reason.OTHER_LICENCE: "the licence is none of those demanded",
    Reason.SUBTITLES_UNREADABLE: "the subtitles cannot be read; the video is used without them",
    Reason.TOO_MANY_PIXELS: "the picture is larger than the limit",
    Reason.TOO_SMALL: "the picture is smaller than the limit",
    Reason.MOSTLY_BLACK: "most of the video is black",
    Reason.STANDS_STILL: "most of the video is one picture that stands still",
    Reason.SLIDESHOW: "the video is a row of pictures that stand still",
    Reason.SAME_PICTURES: "another video shows the same pictures",
    Reason.MISSING_FILE: "the file that a list names is not there, or may not be read",
    Reason.EMPTY_FILE: "the file is empty",
    Reason.NOT_A_VIDEO: "the file is in no format that FFmpeg knows, or its index is missing",
    Reason.NO_PICTURE: "the file holds no moving picture",
    Reason.UNREADABLE: "the file opens, but no frame of it can be decoded",
    Reason.TOO_SHORT: "the video is shorter than the shortest clip allowed",
    Reason.TOO_LONG: "the video is longer than the limit",
    Reason.SAME_BYTES: "another source holds the very same bytes",
    Reason.KNOWN_TEST_SET: "the video is on a list of known test videos",
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
    Reason.CLUE_MEANT_ELSEWHERE: "what the clue says is said of another clip in other words",
    Reason.CLUE_GIVEN_TWICE: "the model gave a clue for the same sentence before",
    Reason.CHAPTER_BEFORE_CHOSE: "the clip lies in two chapters, and for the earlier one other clues were chosen",
    Reason.ORDER_AGAINST_CLOCK: "the place that the model gave the clue contradicts the clock",
    Reason.CAPTION_TOO_LONG_TO_ORDER: "the caption alone takes more tokens than a request for order may",
    Reason.CLUE_NOT_SEEN: "a model that was shown the clue's clip does not see it there",
    Reason.CLUE_SEEN_ELSEWHERE: "a model that was shown another clip sees the clue there too",
    Reason.TOO_FEW_CLUES: "the span holds too few clues for a question about order",
    Reason.TOO_FEW_FRAMES: "an evidence clip has fewer than two stored frames",
    Reason.DISAGREES_WITH_CLOCK: "the answer does not follow from the times of the clips",
    Reason.TIME_CODE: "the words hold a time code, which gives the answer away",
    Reason.CLIP_NUMBER: "the words hold the number of a clip or scene, which gives the answer away",
    Reason.ORDER_WORD: "the words tell when it happens, like 'finally' or 'later'",
    Reason.SCRIPT_NOT_CHECKED: "the words are in a script in which no words that tell the order are known",
    Reason.CAPTIONER_PHRASE: "the words speak of the clip or the caption and not of what is shown",
    Reason.WORDS_TO_A_MODEL: "the words look like orders to a model",
    Reason.MARKS: "the words hold marks that a trainer would take for its own",
    Reason.CLUE_REPEATED: "another clue of the video reads nearly the same",
    Reason.NEAR_DUPLICATE: "nearly the same was asked of the video before",
    Reason.NO_QUESTION_FITS: "the clues of the span fit no kind of question (too unlike each other, or too few)",
    Reason.GUESSED_BLIND: "it is answered without the video more often than chance allows",
    Reason.RECORD_UNREADABLE: "the record is no JSON, or lacks what a record must have",
    Reason.TURNS_UNUSABLE: "human and model do not take turns, or one of them says nothing",
    Reason.MARKS_AND_MEDIA_DIFFER: "the words do not hold one mark for each picture or video",
    Reason.PICTURE_UNREADABLE: "the picture does not decode",
    Reason.RECORD_GIVEN_TWICE: "the very same record stands elsewhere in the list",
}
"""What each reason means, for people."""
