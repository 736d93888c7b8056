"""Which split and which shard a video belongs to: from its id alone, so that growing moves nothing."""

import hashlib


def split_of(video_id: str, test_share: float) -> str:
    """train, or test for `test_share` of all ids."""
    return "test" if _place(video_id, "split") < test_share else "train"


def bucket_of(video_id: str, buckets: int) -> int:
    """The shard, 0 … buckets-1."""
    return int(_place(video_id, "bucket") * buckets)


def _place(video_id: str, purpose: str) -> float:
    """An even spread over [0, 1), another one for each purpose."""
    digest = hashlib.sha256(f"{purpose} {video_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)
