"""The Markdown of a mart's README as HTML: headings, paragraphs, lists, tables, code and links; the rest is text.

Everything is escaped first. A link is one only to the web.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_INLINE = re.compile(
    r"(?P<code>(?P<fence>`+)(?P<text>.+?)(?P=fence))|\*\*(?P<bold>[^*]+)\*\*|\[(?P<name>[^\]]+)\]\((?P<to>[^)\s]+)\)"
)
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}  # as the README writes what would be taken for a tag
_BARE = re.compile(r"(?<!\\)\|")


def html(text: str, top: int = 2) -> Markup:
    """Return a Markdown text as HTML; `top`: the level of its highest headings."""
    return Markup("\n").join(_block(block, top) for block in _blocks(_COMMENT.sub("", text)))


def _blocks(text: str) -> Iterator[str]:
    """Yield what blank lines part; a heading is a block of its own, and so is all between two fences."""
    block: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        if line.startswith("```"):
            fenced = not fenced
        if fenced or line.startswith("```"):
            block.append(line)
        elif line.startswith("#") or not line.strip():
            yield from ["\n".join(block)] if block else []
            yield from [line] if line.strip() else []
            block = []
        else:
            block.append(line)
    yield from ["\n".join(block)] if block else []


def _block(block: str, top: int) -> Markup:
    first = block.partition("\n")[0]
    if block.startswith("```"):
        return Markup("<pre><code>{}</code></pre>").format("\n".join(block.split("\n")[1:]).removesuffix("\n```"))
    if heading := re.fullmatch(r"(#{1,6}) (.+)", block):
        level = min(len(heading[1]) + top - 1, 6)
        return Markup("<h{0}>{1}</h{0}>").format(level, _inline(heading[2]))
    lines = block.split("\n")
    if first.startswith("|") and len(lines) > 1 and set(lines[1]) <= set("|-: "):
        return _table(lines)
    if all(re.match(r"[-*] |\s+\S", line) for line in lines):
        items = re.split(r"\n(?=[-*] )", block)
        return Markup("<ul>{}</ul>").format(Markup().join(_item(item[2:]) for item in items))
    return Markup("<p>{}</p>").format(_inline(" ".join(lines)))


def _item(text: str) -> Markup:
    return Markup("<li>{}</li>").format(_inline(" ".join(text.split())))


def _table(lines: list[str]) -> Markup:
    head, body = _cells(lines[0]), [_cells(line) for line in lines[2:]]
    named = Markup().join(Markup('<th scope="col">{}</th>').format(_inline(cell)) for cell in head)
    rows = Markup().join(
        Markup("<tr>{}</tr>").format(Markup().join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row))
        for row in body
    )
    made = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(named, rows)
    return Markup('<div class="wide" tabindex="0" role="group" aria-label="{}">{}</div>').format(
        "Table: " + ", ".join(head)[:80], made
    )


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _BARE.split(line.strip().strip("|"))]


def _inline(text: str) -> Markup:
    made, at = Markup(), 0
    for found in _INLINE.finditer(text):
        made += _plain(text[at : found.start()])
        at = found.end()
        if found["code"]:
            made += Markup("<code>{}</code>").format(found["text"])
        elif found["bold"]:
            made += Markup("<strong>{}</strong>").format(_plain(found["bold"]))
        elif found["to"].startswith(("https://", "http://")):
            made += Markup('<a href="{}" rel="noreferrer">{}</a>').format(found["to"], _plain(found["name"]))
        else:
            made += _plain(found["name"])
    return made + _plain(text[at:])


def _plain(text: str) -> Markup:
    for entity, sign in _ENTITIES.items():
        text = text.replace(entity, sign)
    return escape(text)
