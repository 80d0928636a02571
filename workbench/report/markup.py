"""HTML from small pieces: everything that is not markup is escaped on the way in."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is HTML already; any other string is escaped by `element`."""


def element(name: str, *children: str, **attributes: str) -> Markup:
    """``<name attributes>children</name>``; ``class_`` loses its underscore, ``aria_x`` is ``aria-x``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"' for key, value in attributes.items()
    )
    inner = "".join(child if isinstance(child, Markup) else escape(child, quote=False) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def void(name: str, **attributes: str) -> Markup:
    """An element without content, such as ``<img>``."""
    return Markup(element(name, **attributes).removesuffix(f"</{name}>"))


def together(*pieces: str) -> Markup:
    """Pieces one after another; plain strings are escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece, quote=False) for piece in pieces))


def document(title: str, css: str, body: Markup) -> Markup:
    """A whole page that needs no network: title, style and the content of its body."""
    head = together(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        element("style", Markup(css)),
    )
    whole = element("html", element("head", head), element("body", body), lang="en")
    return together(Markup("<!DOCTYPE html>\n"), whole)


def slug(text: str) -> str:
    """An identifier for links, from a title."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())
    return "-".join(part for part in kept.split("-") if part) or "part"
