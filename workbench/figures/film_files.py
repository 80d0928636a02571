"""Animations as files: MP4 where ffmpeg is installed, GIF otherwise, with what made them in their metadata."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.figures.files import describe
from workbench.figures.films import Film

Pixels = NDArray[np.uint8]

FRAMES_PER_SECOND = 12
#: The last frame stays this long, in seconds.
HOLD = 2.0


def write_film(
    film: Film, folder: Path, name: str, metadata: Mapping[str, Any], advance: Callable[[int], Any] = lambda n: None
) -> Path:
    """Write ``name.mp4`` if ffmpeg is installed and works, ``name.gif`` otherwise; returns what was written."""
    ffmpeg = shutil.which("ffmpeg")
    shown: list[Pixels] = []
    for frame in film.frames():
        shown.append(frame)
        advance(1)
    note = describe({**metadata, "title": film.title, "caption": film.caption})
    path = folder / f"{name}.mp4"
    if ffmpeg is not None and _write_mp4(ffmpeg, path, shown, film.title, note):
        return path
    path.unlink(missing_ok=True)
    return _write_gif(folder / f"{name}.gif", shown, note)


def _write_mp4(ffmpeg: str, path: Path, frames: list[Pixels], title: str, note: str) -> bool:
    height, width, _ = frames[0].shape
    stays = [frames[-1]] * int(HOLD * FRAMES_PER_SECOND)
    command = [
        *(ffmpeg, "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", str(FRAMES_PER_SECOND), "-i", "-"),
        # Players expect even sizes and subsampled colour.
        *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
        *("-fflags", "+bitexact", "-metadata", f"title={title}", "-metadata", f"comment={note}", str(path)),
    ]
    data = b"".join(frame.tobytes() for frame in [*frames, *stays])
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and path.exists()


def _write_gif(path: Path, frames: list[Pixels], note: str) -> Path:
    # One palette for the whole film, so that colours do not flicker: the ground, and half each for large areas and
    # for rare colours, as thin lines and dots carry the items' colours.
    sample = Image.fromarray(np.concatenate(frames[:: max(1, len(frames) // 9)] + frames[-1:]))
    colours: list[int] = frames[0][0, 0].tolist()
    for method in (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE):
        colours += (sample.quantize(colors=127, method=method).getpalette() or [])[: 3 * 127]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    each = round(1000 / FRAMES_PER_SECOND)
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=[each] * (len(images) - 1) + [round(1000 * HOLD)],
        loop=0,
        optimize=True,
        comment=note.encode(),
    )
    return path
