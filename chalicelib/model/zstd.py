"""zstd from the standard library (3.14 and later) or its backport, which has the same interface.

The `zstandard` package is not used: it adds 22 MB to the zip, and its `max_output_size` is not enforced when a
frame declares its size.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import (
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
        get_frame_info,
        train_dict,
    )
else:
    from backports.zstd import (
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
        get_frame_info,
        train_dict,
    )

__all__ = [
    "ZstdCompressor",
    "ZstdDecompressor",
    "ZstdDict",
    "ZstdError",
    "ZstdTooLong",
    "compress",
    "content_bytes_of",
    "decompress",
    "train_dict",
]

_LEVEL = 3
_compressor = ZstdCompressor(level=_LEVEL)


def compress(raw: bytes) -> bytes:
    """One frame, level 3, without a dictionary."""
    # A compressor's context costs more to build than a small frame to write: it is kept.
    return _compressor.compress(raw, ZstdCompressor.FLUSH_FRAME)


class ZstdTooLong(ZstdError):
    """The content is longer than was allowed."""


def decompress(
    frame: bytes,
    bytes_max: int,
    dictionary: ZstdDict | None = None,
    window_log_max: int | None = None,
) -> bytes:
    """The content of exactly one frame.

    Raises ZstdTooLong if it is more than `bytes_max`: never allocates more than that, whatever size the frame
    declares. Raises ZstdError if the frame is damaged, cut short, followed by anything, or wants a window of more than
    2 to the power of `window_log_max` bytes, if given.
    """
    options: dict[int, int] = {}
    if window_log_max:
        options[DecompressionParameter.window_log_max] = window_log_max
    decompressor = ZstdDecompressor(zstd_dict=dictionary, options=options)
    raw = decompressor.decompress(frame, bytes_max + 1)
    if len(raw) > bytes_max:
        raise ZstdTooLong(f"more than {bytes_max} bytes")
    if not decompressor.eof:
        raise ZstdError("the frame is cut short")
    if decompressor.unused_data:
        raise ZstdError("bytes follow the frame")
    return raw


def content_bytes_of(frame: bytes) -> int:
    """The size that a frame says its content has; 0 if it says none, or is damaged."""
    try:
        return get_frame_info(frame).decompressed_size or 0
    except ZstdError:
        return 0
