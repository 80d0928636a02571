"""Animations as MP4 files, with what made them in their metadata, by the encoder that imageio-ffmpeg brings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.figures.figure import Words
from workbench.figures.files import describe
from workbench.figures.films import Film

FRAMES_PER_SECOND = 30
#: The last frame stays this long, in seconds.
HOLD = 2.5


def write_film(
    film: Film,
    path: Path,
    words: Words,
    metadata: Mapping[str, Any],
    advance: Callable[[int], Any] = lambda n: None,
) -> Path:
    """Write an MP4 (H.264, as every player and slide program shows) of the film, and hold its last frame.

    Raises:
        WorkbenchError: if the encoder is missing or fails; no file is left behind then.
    """
    import imageio_ffmpeg

    note = describe({**metadata, "title": words.title, "caption": words.caption})
    frames = film.frames()
    first = last = next(frames)
    height, width, _ = first.shape
    try:
        encoder = imageio_ffmpeg.write_frames(
            str(path),
            (width, height),
            fps=FRAMES_PER_SECOND,
            codec="libx264",
            macro_block_size=2,
            # Lines and letters stay sharp; a film is about a megabyte all the same.
            quality=None,
            output_params=["-crf", "18", "-preset", "fast", "-movflags", "+faststart", "-fflags", "+bitexact"]
            + ["-metadata", f"title={words.title}", "-metadata", f"comment={note}"],
        )
        encoder.send(None)
        for frame in chain([first], frames):
            last = frame
            encoder.send(frame.tobytes())
            advance(1)
        for frame in repeat(last, round(HOLD * FRAMES_PER_SECOND)):
            encoder.send(frame.tobytes())
        encoder.close()
    except (OSError, RuntimeError) as error:
        path.unlink(missing_ok=True)
        raise WorkbenchError(f"{path.name}: the encoder failed ({_line(error)}); leave out animations") from error
    if not path.exists():
        raise WorkbenchError(f"{path.name}: the encoder wrote nothing; leave out animations")
    return path


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
