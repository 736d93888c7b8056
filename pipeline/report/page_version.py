"""Which data set a page shows, as it stood then: so that a page says so, and is not written again for nothing."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path

from pipeline.review_votes import votes_file

_FILE = "version.json"


@dataclass(frozen=True, slots=True)
class PageVersion:
    """What decides every byte of a page."""

    data_set: str
    """`data_set_version` of what it shows."""
    votes: str
    """Hash of the votes about it."""
    page: str
    """Hash of the program that makes and shows the page."""
    most_samples: int
    name: str

    def write(self, page: Path, questions: int) -> None:
        """Note it in a page that shows so many questions."""
        noted = json.dumps(asdict(self) | {"questions": questions}, indent=1)
        (page / _FILE).write_text(noted + "\n", encoding="utf-8")

    def shown_by(self, page: Path) -> int | None:
        """How many questions the page shows; None where it shows something else."""
        noted = _noted(page)
        questions = noted.pop("questions", None)
        return questions if noted == asdict(self) else None


def page_version(folder: Path, most_samples: int, name: str) -> PageVersion:
    """The version that a page written now would have.

    Args:
        folder: a finished data set.
        most_samples: so many questions at most; whole videos, in the order of their ids, which is random.
        name: what the page calls the data set.
    """
    votes = votes_file(folder)
    return PageVersion(data_set_version(folder), _hash(votes.read_bytes()) if votes.exists() else "", _program(),
                       most_samples, name)


def data_set_version(folder: Path) -> str:
    """Of a finished data set: the start of the sha256 of its manifest, which names the checksum of every file."""
    return _hash((folder / "manifest.json").read_bytes())


def is_free_for_page(out: Path) -> bool:
    """Whether a page may be written there: over an older page, but over nothing else."""
    return not out.exists() or (out / "index.html").is_file()


def choices_of_page(page: Path) -> tuple[int, str] | None:
    """What an older page was made with: how many questions at most, and the name; None where there is no page."""
    noted = _noted(page)
    return (noted["most_samples"], noted["name"]) if noted else None


def _noted(page: Path) -> dict[str, object]:
    path = page / _FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _program() -> str:
    with as_file(files("pipeline.report")) as folder:
        sources = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return _hash(b"".join(path.read_bytes() for path in sources))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
