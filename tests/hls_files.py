"""A video cut into the segments of an HLS stream, with subtitles beside it."""

import subprocess
from pathlib import Path

import imageio_ffmpeg

from tests.fetch_server import VTT

_MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="words",NAME="English",LANGUAGE="en",URI="words.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=300000,RESOLUTION=320x180,CODECS="avc1.64000d",SUBTITLES="words"
picture.m3u8
"""
_WORDS = "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXTINF:60,\nwords.vtt\n#EXT-X-ENDLIST\n"


def write_hls(video: Path, folder: Path) -> None:
    """Write `master.m3u8`, `picture.m3u8`, the segments, and English subtitles."""
    folder.mkdir()
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-c", "copy", "-f", "hls", "-hls_time", "4",
         "-hls_playlist_type", "vod", "-hls_segment_filename", str(folder / "%d.ts"), str(folder / "picture.m3u8")],
        check=True, stdin=subprocess.DEVNULL)
    (folder / "master.m3u8").write_text(_MASTER)
    (folder / "words.m3u8").write_text(_WORDS)
    (folder / "words.vtt").write_text(VTT)
