"""Newick text as nodes: parentheses group, labels follow what they name, lengths and comments are left aside."""

from __future__ import annotations

import re

from workbench.errors import WorkbenchError

#: Comment, quoted label, punctuation, plain label; a plain label has no blanks, and underscores stand for them.
_TOKEN = re.compile(
    r"\s*(?:(?P<comment>\[[^\]]*\])|'(?P<quoted>(?:[^']|'')*)'|(?P<mark>[(),:;])|(?P<plain>[^\s()\[\]',:;]+))"
)
_LENGTH = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: More characters than the largest tree that is allowed could need.
_LONGEST = 5_000_000


def parse_newick(text: str, where: str) -> tuple[list[list[int]], list[str], int]:
    """Children and label of every node, and the root.

    >>> parse_newick("(a,(b,c)d);", "example")
    ([[1, 2], [], [3, 4], [], []], ['', 'a', 'd', 'b', 'c'], 0)

    Raises:
        WorkbenchError: where the text is no Newick tree, with the position of the fault.
    """
    if len(text) > _LONGEST:
        raise WorkbenchError(f"{where}: {len(text):,} characters; a tree may have {_LONGEST:,}")
    children: list[list[int]] = [[]]
    labels = [""]
    path, node = [], 0  # the open groups, and the node whose label may come next
    inner_done, length_next, ended = False, False, False
    for start, kind, value in _tokens(text.removeprefix("\ufeff"), where):
        if ended:
            raise WorkbenchError(f"{where}, character {start + 1}: text after the semicolon; give one tree")
        if kind == "label":
            if length_next:
                if not _LENGTH.fullmatch(value):
                    raise WorkbenchError(f"{where}, character {start + 1}: {value!r} is no length of a branch")
                length_next = False
            elif labels[node]:
                raise WorkbenchError(
                    f"{where}, character {start + 1}: {value!r} follows {labels[node]!r}; put a comma between them, or "
                    "quotes around a name with blanks"
                )
            else:
                labels[node] = "" if inner_done and _LENGTH.fullmatch(value) else value
        elif length_next:
            raise WorkbenchError(f"{where}, character {start + 1}: a length is missing after the colon")
        elif value == ":":
            length_next = True
        elif value == ";":
            ended = True
        elif value == "(":
            if labels[node] or inner_done:
                raise WorkbenchError(f"{where}, character {start + 1}: '(' after a name; put a comma between them")
            path.append(node)
            node = _child(children, labels, node)
        elif not path:
            raise WorkbenchError(f"{where}, character {start + 1}: {value!r} outside of any group; open one with '('")
        elif value == ",":
            node, inner_done = _child(children, labels, path[-1]), False
        else:
            node, inner_done = path.pop(), True
    if path:
        raise WorkbenchError(f"{where}: {len(path)} '(' without ')'; close every group")
    return children, labels, 0


def _child(children: list[list[int]], labels: list[str], parent: int) -> int:
    children[parent].append(len(children))
    children.append([])
    labels.append("")
    return len(children) - 1


def _tokens(text: str, where: str) -> list[tuple[int, str, str]]:
    """Position, kind (``label`` or ``mark``) and value of everything but comments."""
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise WorkbenchError(
                f"{where}, character {position + 1}: a quote or a comment that is opened here is never closed"
            )
        if match["mark"]:
            tokens.append((match.start("mark"), "mark", match["mark"]))
        elif match["quoted"] is not None:
            tokens.append((match.start("quoted"), "label", match["quoted"].replace("''", "'")))
        elif match["plain"]:
            tokens.append((match.start("plain"), "label", match["plain"].replace("_", " ")))
        position = match.end()
    return tokens
