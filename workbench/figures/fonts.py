"""Fonts for names in any script: those to fall back on, and the letters that none of them has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager

#: The figures' own font; it comes with matplotlib and has Latin, Greek, Cyrillic, Hebrew and Arabic letters.
OWN = "DejaVu Sans"
#: Asked for the letters it lacks, in this order; those that come with Linux, macOS and Windows among them.
FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Thai",
    "Nirmala UI",
    "Leelawadee UI",
    "Noto Emoji",
    "Noto Sans Symbols2",
    "Segoe UI Symbol",
    "Segoe UI Emoji",
)

#: Joiners and variation selectors, and the space.
_UNDRAWN = frozenset((0x20, 0x200C, 0x200D, 0xFE0E, 0xFE0F))


@cache
def families() -> tuple[str, ...]:
    """The figures' font, and the fallbacks that this machine has."""
    installed = set(font_manager.get_font_names())
    return (OWN, *(name for name in FALLBACKS if name in installed))


@cache
def _letters() -> frozenset[int]:
    """Code points that some font of `families` has."""
    paths = [font_manager.findfont(name, fallback_to_default=False) for name in families()]
    return frozenset(point for path in paths for point in font_manager.get_font(path).get_charmap())


def lacking(names: Iterable[str]) -> str:
    """One line on the letters in ``names`` that no font has, and what would help; empty if there are none."""
    letters = dict.fromkeys(letter for name in names for letter in name if letter.isprintable())
    without = [letter for letter in letters if ord(letter) not in _letters() | _UNDRAWN]
    if not without:
        return ""
    shown = " ".join(without[:6]) + (f" and {len(without) - 6} more" if len(without) > 6 else "")
    they = "that letter; a box stands" if len(without) == 1 else "those letters; boxes stand"
    return (
        f"names have {shown}, and no font found here has {they} for {'it' if len(without) == 1 else 'them'} in the "
        "figures: install one that has, such as Noto Sans CJK (Chinese, Japanese, Korean) or Noto Emoji"
    )
