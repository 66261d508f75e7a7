"""The documentation site builds without a warning: every link leads somewhere, every documented name exists."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILT = {ROOT / "docs/reference.md"}
"""Pages that the site builds from the models."""


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").is_file()


def test_links_between_pages_and_to_source_files_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(((?![a-z]+:)[^)\s#]+)", _prose(page))]
    assert len(links) > 100
    assert [f"{page.name}: {link}" for page, link in links if not _leads_somewhere(page.parent / link)] == []


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def _leads_somewhere(target: Path) -> bool:
    return target.exists() or target.resolve() in BUILT
