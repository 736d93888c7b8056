"""In place of the check of images: one image takes the process with it. Apart, as that process imports this file."""

import os

from pipeline.import_media import Fault, ImageFacts, check_images
from pipeline.killable_worker import Report


def dying_check(report: Report, paths: list[str]) -> list[ImageFacts | Fault]:
    """Ends the process at `torn.jpg`."""
    if any(path.endswith("torn.jpg") for path in paths):
        os._exit(3)
    return check_images(report, paths)
