"""Every command that a page or the header of a script shows works: it is run small, or parsed with a reason why not."""

import re
import shlex

import pytest
from documented import running
from documented.commands import ROOT, Shown, shown_commands
from documented.rules import MENTION, NOT_RUN, RUN, SYNOPSIS, reason, run_rule
from documented.world import finish, furnish, run_python

COMMANDS = list({shown.text: shown for shown in shown_commands()}.values())
FIRST = "slowfast-ext finetune VIDEOS --out runs/mine"
"""README's: the other pages' runs and checkpoints are copies of this one."""


def named(shown: Shown) -> str:
    return f"{shown.path}:{shown.line}"


class World:
    """A scratch folder that the commands are run in, each once."""

    def __init__(self, folder):
        self.folder = folder
        self._done = {}
        furnish(folder)

    def run(self, text, rule):
        """Exit code and output of a command, changed as its rule says."""
        text = replaced(text, rule).replace(" /data/", " data/")
        if text not in self._done:
            if rule.needs:
                run_python(self.folder, rule.needs)
            tail = [word.replace("{number}", str(len(self._done))) for word in rule.tail]
            self._done[text] = running.run(text, tail)
        return text, *self._done[text]

    def missing(self, text, writes):
        """Patterns of files that a command has not written; {--out} is the value of its option."""
        words = shlex.split(text)
        for pattern in writes:
            if "{--out}" in pattern and "--out" not in words:
                continue
            path = re.sub(r"\{(\S+)\}", lambda option: words[words.index(option[1]) + 1], pattern)
            if not list(self.folder.glob(path)):
                yield path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    world = World(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _, code, printed = world.run(FIRST, run_rule(FIRST))
        assert code == 0, printed
        finish(folder)
        yield world


@pytest.mark.parametrize("shown", COMMANDS, ids=named)
def test_command(shown, request):
    rule = run_rule(shown.text)
    is_mention = shown.in_prose and re.fullmatch(MENTION, shown.text)
    if is_mention or is_synopsis(replaced(shown.text, rule)):
        check_synopsis(shown)
        return
    if rule is None:
        assert reason(shown.text), (
            f"{shown}: no rule in tests/documented/rules.py says how it is tested"
        )
        check_parsed(shown)
        return
    world = request.getfixturevalue("world")
    text, code, printed = world.run(shown.text, rule)
    assert code == 0, f"{text}\n{printed}"
    assert re.search(rule.says, printed), f"{text}: does not say '{rule.says}'\n{printed}"
    assert not list(world.missing(text, rule.writes)), printed


def is_synopsis(text):
    """Whether it is a form; brackets inside quotes are values."""
    return re.search(SYNOPSIS, re.sub(r"\"[^\"]*\"|'[^']*'", "VALUE", text))


def replaced(text, rule):
    for old, new in rule.replace.items() if rule else ():
        text = re.sub(old, new, text)
    return text


def check_synopsis(shown):
    """Each option of a form like `[--out FILE] {check,stats}` is one of the command's."""
    text = re.split(r"[\[{|]", shown.text)[0].replace("'", "")
    module = running.module_of(running.words_of(text))
    if module is None or module[0].endswith(".NAME"):
        return
    known = running.options_of(text)
    for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", shown.text):
        assert option in known, f"{shown}: no option {option}"


def check_parsed(shown):
    """The program is there, its parser takes the line, the keys are known."""
    text = re.sub(
        "<name>|NAME/|my_experiment", "motion_vit_joint", shown.text.replace("NAME/", "NAME//")
    )
    words = running.words_of(text)
    if running.module_of(words):
        assert running.check_keys(running.parse(text)) == [], shown
    elif words[0] == "bash":
        script = words[1].replace("$name", "joint")
        assert (ROOT / script.replace("$script", "run")).exists(), shown


def test_rules_are_all_needed():
    """A rule that no shown command uses is old."""
    texts = [shown.text for shown in COMMANDS]
    used = {run_rule(text).pattern for text in texts if run_rule(text)}
    assert {rule.pattern for rule in RUN} - used == set()
    rest = [text for text in texts if not run_rule(text)]
    assert {
        pattern for pattern in NOT_RUN if not any(re.match(pattern, text) for text in rest)
    } == set()


def test_a_new_command_needs_a_rule():
    new = Shown("docs/new.md", 1, "slowfast-ext unheard-of --option")
    assert run_rule(new.text) is None
    assert reason(new.text) is None
