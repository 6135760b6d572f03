"""The documentation is in step with the code, and its links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[\s`(])cloudalpha ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)
_MACHINE_PATH = re.compile(r"/(?:home|Users)/[a-z]+/(?!\.)")


def get_pages() -> list[Path]:
    """Every page of the repository."""
    hidden = {".venv", ".git", "node_modules", "build", "dist"}
    return sorted(
        page
        for page in ROOT.rglob("*.md")
        if not any(
            part in hidden or part.startswith(".") or part.endswith(".egg-info")
            for part in page.relative_to(ROOT).parts[:-1]
        )
    )


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "commands.md"])
def test_generated_pages_are_in_step(generate: ModuleType, name: str) -> None:
    page = ROOT / "docs" / name
    assert page.read_text("utf-8") == generate.PAGES[page](), f"docs/{name} is stale: run `make docs`"


def test_every_setting_has_a_description(generate: ModuleType) -> None:
    rows = [line for line in generate.make_settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_command_and_option_has_its_help(generate: ModuleType) -> None:
    text = generate.make_commands_page()
    for name in ("serve", "init", "config check", "plugins", "user add", "account check", "cp", "shell", "status"):
        assert f"## cloudalpha {name}\n" in text
    for block in text.split("\n## ")[1:]:
        lines = block.splitlines()
        options = [number for number, line in enumerate(lines) if re.match(r"  -\S", line)]
        mute = [
            lines[n]
            for n in options
            if re.search(r"\s{2}\S", lines[n][4:]) is None and not lines[n + 1].startswith(" " * 8)
        ]
        assert mute == [], f"{lines[0]}: an option without help"


@pytest.mark.parametrize("page", get_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text("utf-8"))
    broken = []
    for target in _LINK.findall(text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = (page.parent / path) if path else page
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in get_anchors(linked)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", get_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(generate: ModuleType, page: Path) -> None:
    known = set(re.findall(r"^## cloudalpha (.+)$", generate.make_commands_page(), re.MULTILINE))
    code = "\n".join(block.strip("`") for block in _CODE.findall(page.read_text("utf-8")))
    named = [(first, second) for first, second in _COMMAND.findall(code)]
    unknown = [first for first, second in named if first not in known]
    groups = {name.split()[0] for name in known if " " in name}
    unknown += [
        f"{first} {second}"
        for first, second in named
        if first in groups and second and f"{first} {second}" not in known
    ]
    assert unknown == []


@pytest.mark.parametrize("page", get_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_machine_of_ours_is_named(page: Path) -> None:
    assert _MACHINE_PATH.findall(page.read_text("utf-8")) == []


def get_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
