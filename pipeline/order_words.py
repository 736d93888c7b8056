"""Words that tell when something happens, in the languages for which they are listed, and the scripts they cover.

Not every such word of a language: those that captioners string events together with. Words that mean something else
in another listed language are left out.
"""

import re
import unicodedata

_ENGLISH = (
    r"then|afterwards?|finally|eventually|subsequently|meanwhile|lastly|firstly|secondly|thirdly|initially|previously"
    r"|later|earlier|next\b(?![ -](?:to|door)\b)|thereafter|before|after|at (?:first|last)|in the (?:end|beginning)"
    r"|at the (?:end|beginning|start)|to begin with|again|once more|followed by|opening (?:scene|shot|credits)"
    r"|for the (?:first|second|third|last|final|next) time|(?:half|mid)way through"
    r"|(?:towards?|near|by) the (?:end|beginning) of the (?:video|film|movie)"
    r"|(?:end|closing) credits|(?:opening|closing|final|last|first) (?:scene|shot|frames?|moments?|minutes?|part)"
    r"|concludes?"
    r"|(?:begins|starts|ends) with|the (?:video|film|movie) (?:begins|starts|opens|ends|closes)")
_OTHERS = {
    "de": "dann|danach|daraufhin|anschließend|schließlich|zuletzt|zuerst|zunächst|später|nachdem|bevor|vorher|hinterher"
          "|zum schluss|am (?:ende|anfang)|als nächstes|währenddessen|erneut",
    "fr": "ensuite|puis|enfin|finalement|après|plus tard|d['’]abord|tout d['’]abord|au début|à la fin|avant de"
          "|auparavant|pour finir|entre-temps",
    "es": "luego|después|entonces|finalmente|por último|más tarde|primero|al (?:principio|final)|antes de"
          "|mientras tanto|a continuación|enseguida",
    "it": "poi|infine|dopo|in seguito|successivamente|alla fine|all['’]inizio|prima di|più tardi|dapprima"
          "|nel frattempo",
    "pt": "depois|então|finalmente|em seguida|por fim|mais tarde|primeiro|antes de|no (?:início|final|começo)"
          "|enquanto isso",
    "nl": "daarna|vervolgens|uiteindelijk|tenslotte|ten slotte|eerst|nadat|voordat|aan het (?:begin|eind|einde)|nadien",
    "sv": "därefter|sedan|slutligen|till slut|därpå|innan|efteråt|senare|först",
    "pl": "potem|następnie|później|wreszcie|w końcu|najpierw|na początku|na końcu|zanim",
    "cs": "potom|poté|nakonec|nejprve|později|předtím|na začátku|na konci",
    "tr": "sonra|ardından|sonunda|önce|nihayet|başlangıçta|daha sonra",
    "id": "kemudian|lalu|akhirnya|setelah|sebelum|pertama-tama|selanjutnya",
    "vi": "sau đó|tiếp theo|cuối cùng|trước khi|đầu tiên|ban đầu",
    "ru": "потом|затем|наконец|после|позже|позднее|сначала|сперва|прежде|в (?:начале|конце)|перед тем|снова",
    "uk": "потім|згодом|нарешті|після|пізніше|спочатку|раніше|знову",
    "ar": "ثم|بعد ذلك|وبعد|لاحقا|لاحقًا|أخيرا|أخيرًا|في (?:البداية|النهاية)|قبل أن|بعدها",
    "hi": "फिर|इसके बाद|बाद में|अंत में|आखिरकार|सबसे पहले|पहले",
}
_WITHOUT_SPACES = (
    "然后|然後|接着|接著|随后|隨後|之后|之後|最后|最後|首先|以后|以後|后来|後來|起初|开头|開頭|结尾|結尾|再次"  # zh
    "|それから|その後|次に|まず|やがて|あとで|後で|最初に|終わりに"  # ja
    "|그리고 나서|그 다음|그다음|다음에|나중에|마지막으로|먼저|처음에|이후|드디어"  # ko
)
PATTERN = re.compile(
    rf"\b(?:{_ENGLISH}|{'|'.join(_OTHERS.values())})(?!\w)|{_WITHOUT_SPACES}", re.IGNORECASE)
"""Any of them."""

_SCRIPTS = ("LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH",
            "HALFWIDTH", "MODIFIER", "FEMININE", "MASCULINE", "MICRO", "KANGXI", "IDEOGRAPHIC")
"""How the names of their letters begin."""


def unknown_script(text: str) -> str | None:
    """The first word of a text that holds a letter of a script for which no order words are listed."""
    return next((word for word in text.split() if not word.isascii() and any(
        sign.isalpha() and not unicodedata.name(sign, "").startswith(_SCRIPTS) for sign in word)), None)
