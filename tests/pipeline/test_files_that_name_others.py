"""Files that are no videos but make FFmpeg open other files and addresses are refused, whatever they are called."""

from pathlib import Path

import pytest

from pipeline.decode import UnreadableVideoError, read_facts
from schemas.reasons import Reason
from tests.fetch_server import canary
from tests.hls_files import write_hls
from tests.numbered_videos import write_numbered

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{there}\n#EXT-X-ENDLIST\n"
MPD = ('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
       'mediaPresentationDuration="PT4S"><Period><AdaptationSet contentType="video"><Representation id="1" '
       'bandwidth="1"><BaseURL>{there}</BaseURL></Representation></AdaptationSet></Period></MPD>')
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    write_numbered(folder / "ours.mp4", "constant", 100, 320, 180)
    write_hls(folder / "ours.mp4", folder / "hls")
    return folder


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a"])
@pytest.mark.parametrize("text", [
    HLS.replace("{there}", "{folder}/hls/0.ts"), HLS.replace("{there}", "file://{folder}/hls/0.ts"),
    HLS.replace("{there}", "hls/0.ts"), HLS.replace("{there}", "http://127.0.0.1:{port}/0.ts"),
    "ffconcat version 1.0\nfile ours.mp4\n", "ffconcat version 1.0\nfile {folder}/ours.mp4\n",
    "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n",
    MPD.replace("{there}", "{folder}/ours.mp4"), MPD.replace("{there}", "http://127.0.0.1:{port}/a.mp4"), SDP,
])
def test_no_file_opens_another(folder: Path, name: str, text: str) -> None:
    with canary() as bird:
        (folder / name).write_text(text.format(folder=folder, port=bird.port))
        with pytest.raises(UnreadableVideoError) as caught:
            read_facts(str(folder / name))
    (folder / name).unlink()
    assert caught.value.reason is Reason.NOT_A_VIDEO
    assert bird.visits == []
