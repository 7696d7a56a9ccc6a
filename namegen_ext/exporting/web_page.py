"""One HTML page that draws names, without a server or the net."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from namegen_ext.exporting.packing import packed
from namegen_ext.exporting.web_bundle import LIBRARY, bundled, web_text

_SCRIPTS = (*LIBRARY, "packing.mjs", "address.mjs", "names_list.mjs", "workbench.mjs", "page.mjs")


def page_text(document: Mapping[str, Any]) -> str:
    """Return the page.

    The model stands in it as characters of which none means anything to HTML. The only other text that comes from a
    list is its name, which is escaped. Whatever the page shows of names it sets as text.
    """
    characters, num_bytes = packed(document)
    parts = {
        "title": escape(f"Names from {document['about']['data']}"),
        "style": web_text("page.css"),
        "model_bytes": str(num_bytes),
        "model": characters,
        "script": bundled(_SCRIPTS),
    }
    # In one pass, so that what stands in a part is never taken for a place.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], web_text("page.html"))
