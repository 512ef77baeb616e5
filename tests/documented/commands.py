"""The commands that the project's pages and headers show, found in their text.

A command starts with one of PROGRAMS (environment variables before it count as part of it) in a fenced or indented
block of a page, in inline code of a page, or in the docstring or leading comment of a script.
"""

import ast
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = ["*.md", "docs/**/*.md", "data_lists/**/*.md", "examples/*.md", "projects/**/*.md"]
SCRIPTS = [
    "tools/*", "exp/*.sh", "examples/*.py", "benchmarks/*.py", "projects/lra/*.py", "paper_tables/*.py",
    "slowfast_ext/cli/*.py", "Dockerfile", ".ci/run",
]  # fmt: skip
NOT_OURS = {"CHANGELOG.md", "docs/first_five_minutes.md"}
"""The first tells the past; the second is written by a script that runs its commands."""

PROGRAMS = (
    "slowfast-ext", "python", ".venv/bin/python", "bash", "pip", "torchrun", "sbatch", "docker", "mkdocs",
    ".venv/bin/mkdocs", "pre-commit", "source", "tools/run_net.py", "tools/data.py", "tools/visualize.py",
    "tools/compare.py", "tools/report.py", "tools/convert_weights.py", "tools/make_lists.py", "tools/profile_net.py",
)  # fmt: skip

NO_COMMAND = r"(pip|torchrun) \(?(for|or) .*|python -c .*|docker limits .*"
"""Sentences that begin like a command, and Python inside a command."""

_PROGRAM = "|".join(re.escape(program) for program in sorted(PROGRAMS, key=len, reverse=True))
_START = re.compile(rf"(?:^|(?<=[\s:]))((?:[A-Z_]+=(?:\"[^\"]*\"|\S*)\s+)*(?:{_PROGRAM})\s+\S.*)")
_FENCE = re.compile(r"^( *)```(\w*)\s*$")


@dataclass(frozen=True)
class Shown:
    """A command as a reader would copy it, and where it stands."""

    path: str
    line: int
    text: str
    in_prose: bool = False

    @property
    def words(self) -> list[str]:
        """As a shell would split it."""
        return shlex.split(self.text, comments=True)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def shown_commands() -> list[Shown]:
    """Every command of every page and header, in order."""
    found = []
    for path in _files(PAGES):
        found += _of_page(path)
    for path in _files(SCRIPTS):
        found += _of_script(path)
    return found


def python_blocks() -> list[tuple[str, int, str]]:
    """File, line and code of the Python blocks of the pages."""
    return [
        (_name(path), line, code)
        for path in _files(PAGES)
        for line, language, code in _fenced(path.read_text())
        if language == "python"
    ]


def yaml_files(page: str) -> dict[str, str]:
    """Name -> text of the YAML blocks of a page whose first line is a comment with a file's name."""
    blocks = [
        code for _, language, code in _fenced((ROOT / page).read_text()) if language == "yaml"
    ]
    named = ((re.match(r"# ([\w./]+\.yaml)", code), code) for code in blocks)
    return {name[1]: code for name, code in named if name}


def _files(patterns):
    found = {
        path
        for pattern in patterns
        for path in ROOT.glob(pattern)
        if path.is_file() and not path.is_symlink()
    }
    return sorted(path for path in found if _name(path) not in NOT_OURS)


def _name(path):
    return path.relative_to(ROOT).as_posix()


def _fenced(text):
    """Line of the first line, language and text of each fenced block."""
    blocks, opened = [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened = (number + 1, fence[2], [])
        elif line.strip() == "```" and opened is not None:
            blocks.append((opened[0], opened[1], "\n".join(opened[2])))
            opened = None
        elif opened is not None:
            opened[2].append(line)
    assert opened is None, "a fence is not closed"
    return blocks


def _of_page(path):
    text = path.read_text()
    found, inside = [], set()
    for start, language, block in _fenced(text):
        lines = block.splitlines()
        inside |= set(range(start - 1, start + len(lines) + 1))
        if language in ("", "bash", "sh", "console", "text"):
            found += _in_lines(path, lines, start)
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if number in inside:
            continue
        if line.startswith("    ") and not line.lstrip().startswith(("-", "*", "|", "1.")):
            found += _in_lines(path, _continued(lines, number), number)
        else:
            for code in re.findall(r"`([^`]+)`", _whole(lines, number)):
                match = _START.match(code)
                if match:
                    found.append(Shown(_name(path), number, match[1].strip(), in_prose=True))
    return sorted(found, key=lambda own: own.line)


def _whole(lines, number):
    """A line with the next one, where inline code runs over its end; else the line."""
    line = lines[number - 1]
    if number > 1 and _whole_ticks(lines, number - 1):
        line = line.split("`", 1)[-1]  # the rest of a code that began in the line before
    if line.count("`") % 2 and number < len(lines):
        line += " " + lines[number].strip().split("`")[0] + "`"
    return line


def _whole_ticks(lines, number):
    """Whether inline code is open at the end of a line (counted from the start of its paragraph)."""
    count = 0
    for line in reversed(lines[:number]):
        if not line.strip() or line.startswith("```"):
            break
        count += line.count("`")
    return count % 2 == 1


def _continued(lines, number):
    """An indented line with those that its backslashes go on in."""
    own = [lines[number - 1]]
    while own[-1].rstrip().endswith("\\") and number < len(lines):
        own.append(lines[number])
        number += 1
    return own


def _of_script(path):
    text = path.read_text()
    if path.suffix == ".py":
        docstring = ast.get_docstring(ast.parse(text), clean=False) or ""
        return _in_lines(path, docstring.splitlines(), 1)
    if path.name == "run":
        return []
    lines = []
    for line in text.splitlines():
        if lines and not line.startswith("#"):
            break
        lines.append(
            line.lstrip("# ") if line.startswith("#") and not line.startswith("#!") else ""
        )
    return _in_lines(path, lines, 1)


def _in_lines(path, lines, start):
    """Commands of lines that a shell would read; a backslash goes on in the next line, && splits."""
    found, number = [], 0
    while number < len(lines):
        first, line = number, lines[number]
        while line.rstrip().endswith("\\") and number + 1 < len(lines):
            number += 1
            line = f"{line.rstrip()[:-1].rstrip()} {lines[number].strip()}"
        number += 1
        for part in re.split(r"&&|(?<=\S)\s{3,}(?=\S)", _without_comment(line)):
            match = _START.search(part)
            command = (
                re.split(r"[;,]\s|(?<!\.)\.\s|;$|(?<!\.)\.$", match[1])[0].strip() if match else ""
            )
            if command and not re.fullmatch(NO_COMMAND, command):
                found.append(Shown(_name(path), start + first, command))
    return found


def _without_comment(line):
    return re.sub(r"\s+#\s.*$", "", line)
