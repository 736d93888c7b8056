"""A video site as yt-dlp's plugins describe one: `/site/{name}` says in JSON all that a site can say."""

from urllib.parse import urljoin

from yt_dlp.extractor.common import InfoExtractor


class FilmSiteIE(InfoExtractor):
    """Hands on what the page says, addresses made absolute."""

    _VALID_URL = r"http://127\.0\.0\.1:\d+/site/(?P<id>[\w-]+)"

    def _real_extract(self, url):
        said = self._download_json(url, self._match_id(url))
        tracks = [track for kind in ("subtitles", "automatic_captions") for track in said.get(kind, {}).values()]
        for form in [*said["formats"], *(form for track in tracks for form in track)]:
            form["url"] = urljoin(url, form["url"])
        return said
