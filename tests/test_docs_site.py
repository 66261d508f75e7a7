"""The documentation site builds without a warning: every link leads somewhere, every documented name exists."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = ("algorithms/", "cli/", "orchestrator/", "protocol/", "provisioner/")


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


EXAMPLES = {"my_env.py", "reacher.py", "sitecustomize.py", "td3_bc.py"}
"""Files of users, of Python and of other libraries that pages and docstrings name."""


def test_source_files_that_pages_and_docstrings_name_exist() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    ends = {"/".join(path.split("/")[start:]) for path in tracked for start in range(path.count("/") + 1)}
    texts = [path for path in tracked if path.startswith(("docs/", *LAYERS)) and path.endswith((".md", ".py"))]
    named = {
        (text, name)
        for text in texts
        if not text.startswith("docs/decisions/")
        for name in re.findall(r"(?<![\w/])[\w/]*\b\w+\.py\b", (ROOT / text).read_text())
        if name.split("/")[-1] not in EXAMPLES
    }
    assert len(named) > 50
    assert sorted((text, name) for text, name in named if name.lstrip("/") not in ends) == []


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def _leads_somewhere(target: Path) -> bool:
    # a page that only the site has, such as reference.md, is a dead link on a git host
    return target.exists()
