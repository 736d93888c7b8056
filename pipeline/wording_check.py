"""Words that give an answer away, or that no question should carry: time codes, clip numbers, order words, …

Looked for in what captioners and orderers wrote, before a question is made of it: order words in the languages of
`pipeline.order_words`, the others in English, and marks that are the same in every language.
"""

import re
import unicodedata

from pipeline import order_words
from schemas.reasons import Reason

_NUMBER = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten)"
_PATTERNS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (Reason.TIME_CODE, re.compile(
        r"(?<![\d:])\d{1,2}:[0-5]\d(?![\d:])|\d{1,2}:[0-5]\d:[0-5]\d|\btime ?(?:stamp|code)s?\b"
        r"|\b(?:at|after|from|until|to|around|by)\s+(?:about\s+)?\d+(?:\.\d+)?\s*-?"
        r"(?:s|sec|secs|seconds?|min|mins|minutes?)\b"
        rf"|\bseconds?\s+\d+|\bminutes?\s+{_NUMBER}\b|\b\d+(?:\.\d+)?\s*s\b"
        r"|\b\d+(?:st|nd|rd|th) (?:second|minute)\b", re.I)),
    (Reason.CLIP_NUMBER, re.compile(
        rf"\b(?:clip|frame|segment|shot|scene|chapter|image|part)s?\s*(?:#|no\.?|number)?\s*{_NUMBER}\b"
        rf"|\b{_NUMBER}(?:st|nd|rd|th) (?:clip|frame|segment|shot|scene)\b|#\d+", re.I)),
    (Reason.ORDER_WORD, order_words.PATTERN),
    (Reason.CAPTIONER_PHRASE, re.compile(
        r"\b(?:the|this|a|an|each|these|those|provided|given|entire)\s+(?:short\s+|video\s+)?"
        r"(?:clip|video|footage|frame|frames|image|images|segment|sequence|clips|caption|captions)\b"
        r"|\bas an ai\b|\bi (?:cannot|can't|can see|am unable)\b|\bwe (?:can )?see\b|\b(?:camera|viewer)'s view\b",
        re.I)),
    (Reason.WORDS_TO_A_MODEL, re.compile(
        r"\b(?:ignore|disregard|forget|override|follow|reveal|print|obey)\b[^.]{0,40}"
        r"\b(?:instructions?|prompts?|rules?|everything|above|previous)\b"
        r"|\b(?:ignore|disregard|forget|override)\b[^.]{0,40}"
        r"\b(?:directions?|orders?|commands?|guidelines?|prior|you (?:were|have been) told)\b"
        r"|^\s*(?:system|assistant|user)\s*:|\b(?:right|correct) (?:answer|option|choice)\b"
        r"|\b(?:system prompt|you are an? (?:ai|assistant|language model))\b"
        r"|\b(?:answer|reply|respond|output|choose|select)\s+(?:only\s+)?(?:with|option|\(?[a-d]\)|['\"])"
        r"|\b(?:pick|say|tick)\s+(?:only\s+)?(?:option|answer|\(?[a-d]\))", re.I)),
    (Reason.MARKS, re.compile(
        r"<\s*/?\s*(?:image|video|im_start|im_end|\|)|<\||\|>|→|^\s*\([A-Za-z0-9]\)\s"
        r"|[\x00-\x08\x0b-\x1f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff]")),  # signs that are not seen
)


def wording_fault(text: str, allowed: frozenset[Reason] = frozenset()) -> tuple[Reason, str] | None:
    """The first rule that some words break, and the words that break it; None if none is broken.

    Args:
        text: what is to stand in a question, an option or an answer.
        allowed: rules that may be broken (the description of a stretch may say 'then').
    """
    unknown = order_words.unknown_script(text)
    if unknown is not None and Reason.ORDER_WORD not in allowed:
        return Reason.SCRIPT_NOT_CHECKED, unknown
    text = unicodedata.normalize("NFKC", text)  # else wide letters, ligatures and loose accents would hide a word
    for reason, pattern in _PATTERNS:
        found = pattern.search(text) if reason not in allowed else None
        if found:
            return reason, " ".join(found.group().split())
    return None
