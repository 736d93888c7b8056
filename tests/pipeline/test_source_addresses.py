"""Which addresses are taken, and how they are shown."""

import pytest

from pipeline.source_addresses import AddressNotAllowedError, Kind, kind_of, shown_address, youtube_address


@pytest.mark.parametrize(("address", "kind"), [
    ("film.mp4", Kind.PATH), ("/srv/film.mp4", Kind.PATH), ("file:///srv/film.mp4", Kind.PATH),
    ("C:\\films\\a.mp4", Kind.PATH), ("12:30.mp4", Kind.PATH), ("-o evil.mp4", Kind.PATH),
    ("https://example.org/a.mp4", Kind.WEB), ("HTTP://EXAMPLE.org:8080/a?b=c#d", Kind.WEB),
    ("http://[2606:2800:220:1::1]/a?c::d", Kind.WEB), ("s3://bucket/key.mp4", Kind.OBJECT),
    ("gs://bucket/key", Kind.OBJECT), ("hf://datasets/owner/name/film.mp4", Kind.OBJECT),
])
def test_an_address_is_opened_as_what_it_is(address: str, kind: Kind) -> None:
    assert kind_of(address) is kind


@pytest.mark.parametrize("address", [
    "ftp://example.org/a.mp4", "rtmp://example.org/live", "smb://host/share", "data://text", "concat://a|b",
    "pipe://0", "javascript://x", "simplecache::https://example.org", "filecache::file:///etc/passwd",
    "s3://bucket::file:///etc/passwd", "https:///a.mp4", "https://example.org:0/", "https://example.org:99999/",
    "https://exa mple.org/", "https://example.org/a\nb", "https://[::1/", "https://example.org/" + "a" * 9000,
    "https://example.org/#__youtubedl_smuggle=%7B%7D",
])
def test_no_other_kind_is_taken(address: str) -> None:
    """What looks like a file name (javascript:x) is one, and from a stranger not even that."""
    with pytest.raises(AddressNotAllowedError):
        kind_of(address, from_fetched_list=True)
    if "://" in address:
        with pytest.raises(AddressNotAllowedError):
            kind_of(address)


@pytest.mark.parametrize("address", ["film.mp4", "/etc/passwd", "file:///etc/passwd", "../../x.mp4", "--exec=rm", ""])
def test_a_list_from_the_net_names_no_files(address: str) -> None:
    with pytest.raises(AddressNotAllowedError):
        kind_of(address, from_fetched_list=True)


@pytest.mark.parametrize(("url", "shown"), [
    ("https://me:secret@Example.org/a.mp4", "https://example.org/a.mp4"),
    ("https://b.s3.amazonaws.com/a.mp4?X-Amz-Signature=1&X-Amz-Date=2&v=3", "https://b.s3.amazonaws.com/a.mp4?v=3"),
    ("https://e.org/a?token=x&list=PL1&sig=y#t=3", "https://e.org/a?list=PL1"),
    ("https://www.youtube.com/watch?v=abcdefghijk", "https://www.youtube.com/watch?v=abcdefghijk"),
])
def test_no_secret_is_shown(url: str, shown: str) -> None:
    assert shown_address(url) == shown


def test_a_youtube_id_is_no_place_for_anything_else() -> None:
    assert youtube_address("a-b_c123456") == "https://www.youtube.com/watch?v=a-b_c123456"
    for bad in ("short", "a-b_c123456&list=x", "../../../../", ""):
        with pytest.raises(AddressNotAllowedError):
            youtube_address(bad)
