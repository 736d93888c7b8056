"""Who a video is: an id from its bytes alone."""

import hashlib

from pipeline.killable_worker import Report

_BLOCK = 1 << 22


def identify(report: Report, path: str) -> str:
    """The sha256 of a file's bytes, first 32 hex digits.

    Args:
        report: progress.
        path: a local file.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            report(0.0)
    return digest.hexdigest()[:32]
