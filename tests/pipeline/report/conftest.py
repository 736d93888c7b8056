"""One Chromium for all tests of the page, and the data sets that it is shown."""

from pathlib import Path

import pytest

from tests.chromium import browser, page  # noqa: F401 (fixtures)
from tests.generated_sets import page_of, write_generated_set


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three videos and 1,000 questions, its words plain. Read only."""
    folder = tmp_path_factory.mktemp("generated") / "set"
    write_generated_set(folder, videos=3, samples=1000)
    return folder


@pytest.fixture(scope="session")
def generated_page(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of its page on the disk."""
    return page_of(generated, tmp_path_factory.mktemp("generated-page") / "page")
