"""Opens live streams and files with libav, so that neither can hang or lead elsewhere."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from patrol.video.clock import FileStart
from patrol.video.frames import VideoError

_LIVE_SCHEMES = ("udp", "tcp", "rtsp", "rtsps", "http", "https")
# What an address may lead to: never a file of this machine, and a file never to the network.
_LIVE_PROTOCOLS = "udp,rtp,rtsp,tcp,tls,http,https,httpproxy,crypto"
_FILE_PROTOCOLS = "file"
_LOOPBACK = ("127.0.0.1", "localhost")
# Enough for a key frame of a 4K stream; libav's own 5 s and 5 MB would only delay the first picture.
_PROBE_BYTES = 1_000_000
_PROBE_US = 1_000_000
_CREATION_TAG_SIGMA_NS = 1_000_000_000  # many cameras write whole seconds
_MODIFICATION_SIGMA_NS = 86_400_000_000_000  # a copy has the time of copying


@dataclass(frozen=True)
class Address:
    """A video's address: `url` for libav, `name` for people (without a password)."""

    url: str
    name: str
    is_live: bool

    @property
    def scheme(self) -> str:
        """The part before "://"; "file" for a file."""
        return urlsplit(self.url).scheme


def parse_address(source: str | Path) -> Address:
    """Tell live streams from files.

    Raises:
        VideoError: a kind of URL that cannot be read.
    """
    parts = urlsplit(str(source))
    if isinstance(source, Path) or "://" not in source:
        return Address(f"file:{source}", str(source), is_live=False)
    name = source
    if parts.password:
        name = source.replace(f":{parts.password}@", ":***@", 1)
    if parts.scheme not in _LIVE_SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _LIVE_SCHEMES)
        raise VideoError(f"{name}: this kind of address is not known; use {known} or the path of a file")
    return Address(source, name, is_live=True)


def open_live(address: Address, timeout_s: float) -> InputContainer:
    """Connect to a live stream. Opening and each read end after `timeout_s` with av.ExitError.

    Raises:
        av.FFmpegError, OSError: libav's own.
    """
    options = {
        "protocol_whitelist": _LIVE_PROTOCOLS,
        "probesize": str(_PROBE_BYTES),
        "analyzeduration": str(_PROBE_US),
        "fpsprobesize": "0",
    }
    if address.scheme == "udp":
        options["overrun_nonfatal"] = "1"
        if urlsplit(address.url).hostname in _LOOPBACK:
            options["localaddr"] = "127.0.0.1"  # libav would listen to the whole network
    elif address.scheme.startswith("rtsp"):
        options["rtsp_flags"] = (
            "prefer_tcp"  # one lost datagram spoils every picture up to the next key frame
        )
        # With sound in the session libav would bend presentation times to each RTCP report.
        options["allowed_media_types"] = "video+data"
    return av.open(
        address.url,
        "r",
        format="mpegts" if address.scheme in ("udp", "tcp") else None,
        options=options,
        timeout=(timeout_s, timeout_s),
    )


def open_file(address: Address) -> InputContainer:
    """Open a video file.

    Raises:
        VideoError: it is missing or holds no video.
    """
    try:
        container = av.open(address.url, "r", options={"protocol_whitelist": _FILE_PROTOCOLS})
    except av.InvalidDataError as error:
        raise VideoError(
            f"{address.name}: this is not a video file, or it is damaged at its start"
        ) from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{address.name}: cannot be read: {error.strerror}; check the path") from error
    video_stream(container, address.name)
    return container


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the video stream of a container, set up for decoding without delay.

    Raises:
        VideoError: it has none that can be decoded.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise VideoError(f"{name}: there is no video in it")
    if stream.codec_context is None:
        raise VideoError(f"{name}: its video codec is not known here; use H.264 or H.265")
    stream.thread_type = "SLICE"  # threads by picture would hold back one picture each
    return stream


def file_start(container: InputContainer, path: Path, starts_at_ns: int | None) -> FileStart:
    """Return when a recording began: as told, else its creation tag, else its time of modification."""
    if starts_at_ns is not None:
        return FileStart(starts_at_ns, 0)
    tag = container.metadata.get("creation_time", "")
    try:
        created = datetime.fromisoformat(tag)
    except ValueError:
        return FileStart(path.stat().st_mtime_ns, _MODIFICATION_SIGMA_NS)
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    return FileStart(round(created.timestamp()) * 1_000_000_000, _CREATION_TAG_SIGMA_NS)
