"""The pages of the documentation that stand elsewhere in the repository: the README, the changelog, and so on.

MkDocs calls these functions; see mkdocs.yml. Links between pages are rewritten to where the pages are on the site.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
# The page on the site -> the file in the repository.
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "findings.md": "findings/README.md",
}
LINK = re.compile(r'(\]\(|srcset="|src="|href=")(?![a-z]+:|#|/)([^)"#\s]+)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand elsewhere."""
    for page, source in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page: to pages of the site, or to the repository where one is given."""
    name = page.file.src_uri
    folder = (ROOT / PAGES[name]).parent if name in PAGES else (ROOT / "docs" / name).parent

    def rewritten(match: re.Match[str]) -> str:
        target = (folder / match[2]).resolve()
        places = {str((ROOT / source).resolve()): uri for uri, source in PAGES.items()}
        if str(target) in places:
            uri = places[str(target)]
        elif target.is_relative_to(ROOT / "docs") and target.is_file():
            uri = str(target.relative_to(ROOT / "docs"))
        elif target.exists() and config.repo_url:
            return f"{match[1]}{config.repo_url}/blob/main/{target.relative_to(ROOT)}"
        else:
            return match[0]  # MkDocs warns of a link that leads nowhere
        if match[1] == "](":
            return f"{match[1]}{'../' * name.count('/')}{uri}"
        # MkDocs rewrites no links within HTML: a page NAME.md is NAME/index.html on the site.
        depth = name.count("/") + (0 if name.endswith("index.md") else 1)
        return f"{match[1]}{'../' * depth}{uri}"

    return LINK.sub(rewritten, markdown)
