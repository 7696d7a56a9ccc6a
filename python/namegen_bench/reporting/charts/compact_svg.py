"""SVG files of a third of the size that look the same, because pictures that live in a repository should be small.

matplotlib writes the outline of a letter once, and each letter of a text as a reference to it. Its files are large
because of long names, groups without any effect, white space, and coordinates that are far finer than any screen.
"""

from __future__ import annotations

import itertools
import re
import string
import xml.etree.ElementTree as ET
from collections.abc import Iterator

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_GROUP, _PATH, _USE, _DEFS, _METADATA = (
    f"{{{_SVG}}}{tag}" for tag in ("g", "path", "use", "defs", "metadata")
)
_HREF = f"{{{_XLINK}}}href"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+")

# matplotlib writes outlines in units of 1/64 of a hundredth of the size of a letter. Units that are 16 times as large
# move a point by at most 0.0125 points in letters of 10 points.
_OUTLINE_SCALE = 0.015625
_COARSER = 16


def compact_svg(svg: bytes, title: str, description: str) -> bytes:
    """Make an SVG file of matplotlib smaller, and add a title and a description to it.

    Args:
        svg: the file. Its text must be drawn as outlines (``svg.fonttype: path``).
        title: names the picture, for those who cannot see it.
        description: says what the picture shows, for the same people.

    """
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)
    names = _short_names(root)
    outlines = {use.get(_HREF, "")[1:] for use in root.iter(_USE) if _is_letter(use)}
    blank = {element.get("id") for element in root.iter(_PATH) if "d" not in element.attrib}
    for element in root.iter():
        if element.get("id", "") in outlines:
            _coarsen_outline(element)
        elif element.tag == _USE and _is_letter(element):
            _place_letter(element)
        elif element.tag == _PATH:
            element.set("d", _tight(_rounded(element.get("d", ""), 2)))
        for name, value in list(element.attrib.items()):
            _shorten_attribute(element, name, value, names)
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
    _reuse_lines(root, itertools.count(len(names)))
    _remove_empty(root, spaces={f"#{names[name]}" for name in outlines if name in blank})
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        said = ET.Element(f"{{{_SVG}}}{tag}")
        said.text = text
        root.insert(place, said)
    return re.sub(rb" />", b"/>", ET.tostring(root, encoding="utf-8")).replace(b"</defs>", b"</defs>\n")


def _short_names(root: ET.Element) -> dict[str, str]:
    """Choose a short name for everything that is referred to."""
    found: dict[str, None] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            found.update(dict.fromkeys([value[1:]] if name == _HREF else _REFERENCE.findall(value)))
    return {name: _short_name(number) for number, name in enumerate(found)}


def _short_name(number: int) -> str:
    """Count a, b, ... Z, a1, b1, ..."""
    more, letter = divmod(number, len(string.ascii_letters))
    return f"{string.ascii_letters[letter]}{more or ''}"


def _is_letter(use: ET.Element) -> bool:
    return use.get("style") is None and use.get("x") is None  # the marks of lines have both attributes


def _coarsen_outline(element: ET.Element) -> None:
    """Write a letter's outline in coarser units, and make up for that with its scale."""
    if "d" in element.attrib:
        coarse = _NUMBER.sub(lambda number: str(round(float(number[0]) / _COARSER)), element.get("d", ""))
        element.set("d", _tight(coarse))
    element.set("transform", f"scale({_OUTLINE_SCALE * _COARSER:g})")


def _place_letter(element: ET.Element) -> None:
    """Write a letter's place in the line as one whole number, in hundredths of the letter's size."""
    place = re.fullmatch(r"translate\((\S+) 0\)", element.get("transform", ""))
    if place:
        del element.attrib["transform"]
        element.set("x", str(round(float(place[1]))))


def _shorten_attribute(element: ET.Element, name: str, value: str, names: dict[str, str]) -> None:
    if name == "id":
        if value in names:
            element.set(name, names[value])
        else:
            del element.attrib[name]
        return
    if name == _HREF:
        del element.attrib[name]
        name, value = "href", f"#{names[value[1:]]}"
    elif name == "style":
        value = value.replace("; ", ";").replace(": ", ":")
    elif name in ("x", "y") or "translate" in value:
        value = _rounded(value, 3)
    element.set(name, _REFERENCE.sub(lambda found: names[found[0]], value))


def _rounded(text: str, places: int) -> str:
    """Round all the numbers in a text."""
    return _NUMBER.sub(lambda number: f"{float(number[0]):.{places}f}".rstrip("0").rstrip("."), text)


def _tight(path: str) -> str:
    """Remove white space from a path where it is not needed."""
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(path.split())).replace(" -", "-")


def _reuse_lines(root: ET.Element, free: Iterator[int]) -> None:
    """Write the letters of a line of text once, and refer to them where the same line occurs again."""
    seen: dict[tuple[frozenset[tuple[str, str]], ...], ET.Element] = {}
    for line in list(root.iter(_GROUP)):
        letters = line.findall(_USE)
        if len(letters) < 2 or len(letters) != sum(child.tag != _DEFS for child in line):
            continue
        text = tuple(frozenset(letter.attrib.items()) for letter in letters)
        if text not in seen:
            for letter in letters:
                line.remove(letter)
            seen[text] = ET.SubElement(line, _GROUP)
            seen[text].extend(letters)
            continue
        name = seen[text].get("id") or _short_name(next(free))
        seen[text].set("id", name)
        for letter in letters:
            line.remove(letter)
        ET.SubElement(line, _USE, {"href": f"#{name}"})


def _remove_empty(parent: ET.Element, spaces: set[str]) -> None:
    """Remove what draws nothing. Replace each group that has neither a name nor a style by what stands in it."""
    children: list[ET.Element] = []
    for child in parent:
        _remove_empty(child, spaces)
        is_empty = child.tag == _GROUP and len(child) == 0
        if child.tag == _METADATA or is_empty or child.get("href") in spaces:
            continue
        children.extend(child if child.tag == _GROUP and not child.attrib else [child])
    parent[:] = children
