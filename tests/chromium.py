"""The system's Chromium without a window, as fixtures; a test imports them by name."""

import os
import shutil
from collections.abc import Iterable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window.

    It ends with the file: while Playwright runs, its event loop is that of the thread, and tests that start a loop
    of their own would fail.
    """
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if path is None:
        message = "no Chromium on the PATH; the tests of the page need one (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # As root, in a container, Chromium cannot make its sandbox.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; the test fails if it says a word on the console, throws, or asks anyone but its own place."""
    context = browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    place = page.url.split("#")[0].removesuffix("index.html")
    context.close()
    assert faults == []
    assert [url for url in requests if not url.startswith(place)] == []


def expect_drawn(pictures: Iterable[Locator]) -> None:
    """Waits until each of ``pictures`` has come and is shown.

    Not by ``page.wait_for_function``: what it has to ask twice it asks by ``eval``, which the page's policy forbids.

    Raises:
        AssertionError: one is not there after five seconds, or is broken.
    """
    for picture in pictures:
        expect(picture).not_to_have_js_property("naturalWidth", 0)
