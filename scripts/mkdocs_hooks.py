"""MkDocs hooks: pages that are generated, and pages that live outside docs/."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import cli_doc  # noqa: E402  scripts/ is no package

# File of the repository -> its page. Links of other pages to the file lead to the page.
REPOSITORY_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "src/agegender/zoo/weights/compact.md": "model-cards/compact.md",
}


def on_files(files, config):
    """Add the command-line reference and the pages of REPOSITORY_PAGES."""
    for program, text in cli_doc.pages():
        files.append(File.generated(config, f"reference/commands/{program}.md", content=text))
    for source, page in REPOSITORY_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links between files of the repository into links between pages."""
    origin = {target: source for source, target in REPOSITORY_PAGES.items()}.get(page.file.src_uri)
    here = os.path.dirname(origin or f"docs/{page.file.src_uri}")
    there = os.path.dirname(page.file.src_uri)

    def page_of(match):
        path, anchor = match[1], match[2] or ""
        if re.match(r"\w+:", path):
            return match[0]
        target = os.path.normpath(os.path.join(here, path))
        uri = REPOSITORY_PAGES.get(target) or (target[len("docs/") :] if target.startswith("docs/") else None)
        if uri is None:
            return match[0]
        return f"]({os.path.relpath(uri, there or '.')}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)]*)?\)", page_of, markdown)
