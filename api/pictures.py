"""Pictures come in as JPEG without metadata: a place, a serial number or a name must not slip through."""

import asyncio
import io
from typing import cast

from fastapi import Request
from PIL import Image, JpegImagePlugin

from api.problems import ProblemError

JPEG = "image/jpeg"
# Twice 4K UHD and more; a decoded picture of this size takes 75 MB.
MAX_PIXELS = 25_000_000
# JFIF's own header, and Adobe's, which only says how colours are coded.
_HARMLESS_SEGMENTS = frozenset({"APP0", "APP14"})


async def read_jpeg(request: Request) -> bytes:
    """The body of a request that must be a JPEG by its media type.

    Raises:
        ProblemError: 415 when it says to be something else.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JPEG:
        raise ProblemError(415, f"Send the picture as {JPEG}, not as {media_type or 'nothing'}.")
    return await request.body()


async def check_jpeg(content: bytes) -> None:
    """Check that `content` is a whole JPEG of at most 25 megapixels that says nothing but its pixels.

    Raises:
        ProblemError: 422 when it is not.
    """
    fault = await asyncio.to_thread(_fault, content)
    if fault is not None:
        raise ProblemError(422, f"The picture was refused: {fault}.", kind="picture")


def _fault(content: bytes) -> str | None:
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            width_px, height_px = image.size
            if width_px * height_px > MAX_PIXELS:
                return f"it has {width_px} x {height_px} pixels, more than {MAX_PIXELS // 1_000_000} million"
            segments = cast(JpegImagePlugin.JpegImageFile, image).applist
            extra = sorted({name for name, _ in segments if name not in _HARMLESS_SEGMENTS})
            if extra:
                return f"it carries metadata ({', '.join(extra)}); encode it without"
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"it cannot be decoded as JPEG ({error})"
    return None
