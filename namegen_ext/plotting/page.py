"""One HTML page with all pictures in it. It is a single file that needs no other file and nothing from the net."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from namegen_ext._version import __version__
from namegen_ext.diagnostics import Diagnosis
from namegen_ext.plotting.picture import NumberTable, Picture

_STYLE = """\
:root { color-scheme: light dark; --text: #1a1a1a; --ground: #ffffff; --soft: #5a5a5a; --line: #d0d0d0; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --ground: #16181c; --soft: #a8a8a8; --line: #44474d; }
}
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground);
  max-width: 62rem; margin: 0 auto; padding: 1rem; }
figure { margin: 0 0 1rem; }
.names { columns: 9rem; padding: 0; list-style: none; font: 1.2rem/1.7 Georgia, serif; overflow-wrap: anywhere; }
.names bdi { unicode-bidi: isolate; }
img { max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; }
figcaption, footer { max-width: 46rem; }
footer { color: var(--soft); border-top: 1px solid var(--line); margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.15rem 0.9rem 0.15rem 0; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; }
pre { white-space: pre-wrap; color: var(--soft); }
"""


_SOURCES = (
    ("phone dark", "(max-width: 40rem) and (prefers-color-scheme: dark)"),
    ("phone", "(max-width: 40rem)"),
    ("dark", "(prefers-color-scheme: dark)"),
)


def render_page(
    diagnosis: Diagnosis, pictures: Sequence[Picture], missing: Sequence[str], names: Sequence[str] = ()
) -> str:
    """Write the page.

    Args:
        diagnosis: what was found in the run, for the facts at the top.
        pictures: the pictures, in the order in which they are shown.
        missing: the sentences about pictures that are missing.
        names: some that the model draws, which stand first.

    Returns:
        The HTML. All texts that come from the run are escaped, and the page has no scripts.

    """
    title = f"{diagnosis.model} on {diagnosis.data}, step {diagnosis.step:,}"
    body = [
        f"<h1>{escape(title)}</h1>",
        *_names(names),
        _table(NumberTable(("", ""), _facts(diagnosis))),
        *(f"<p>{escape(sentence)}</p>" for sentence in missing),
        f"<nav><ul>{''.join(_link(picture) for picture in pictures)}</ul></nav>",
        *map(_section, pictures),
    ]
    if diagnosis.fusion:
        body.append(f"<h2>Fused layers</h2>\n<pre>{escape(diagnosis.fusion)}</pre>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<footer><p>Drawn by namegen_ext {escape(__version__)}.</p></footer>\n</body>\n</html>\n"
    )


def _facts(diagnosis: Diagnosis) -> tuple[tuple[str, str], ...]:
    return (
        (
            "model",
            f"{diagnosis.model}, {diagnosis.parameters:,} parameters, block size {diagnosis.block_size}",
        ),
        ("recipe", diagnosis.recipe),
        ("words", f"{diagnosis.data}, {diagnosis.words:,} training words, {diagnosis.vocab_size:,} symbols"),
        ("steps", f"{diagnosis.step:,}"),
        ("looked at", f"{diagnosis.layers} layers, on {diagnosis.examples:,} training examples"),
    )


def _names(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    items = "".join(f"<li><bdi>{escape(name)}</bdi></li>" for name in names)
    return [f'<section id="names">\n<h2>Names</h2>\n<ul class="names">{items}</ul>\n</section>']


def _link(picture: Picture) -> str:
    return f'<li><a href="#{escape(picture.name)}">{escape(picture.title)}</a></li>'


def _section(picture: Picture) -> str:
    sources = "".join(
        f'<source media="{query}" srcset="{_data_url(picture.others[look])}">\n'
        for look, query in _SOURCES
        if look in picture.others
    )
    numbers = ""
    if picture.table is not None:
        numbers = f"\n<details><summary>The numbers</summary>\n{_table(picture.table)}\n</details>"
    return (
        f'<section id="{escape(picture.name)}">\n<h2>{escape(picture.title)}</h2>\n<figure>\n'
        f'<picture>\n{sources}<img src="{_data_url(picture.png)}" alt="{escape(picture.alt)}">\n</picture>\n'
        f"<figcaption>{escape(picture.how_to_read)}</figcaption>\n</figure>{numbers}\n</section>"
    )


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _table(table: NumberTable) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    header = f"<thead><tr>{head}</tr></thead>\n" if any(table.columns) else ""
    return f'<div class="scroll"><table>\n{header}<tbody>\n{rows}\n</tbody>\n</table></div>'
