"""Whatever a configuration file holds, the answer is a tree or one message with file, line and what to do, at once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast_ext.cli import commands
from slowfast_ext.config import load_config
from slowfast_ext.config.declared import declared_keys
from slowfast_ext.config.load import split_pairs
from slowfast_ext.config.schema import schema
from slowfast_ext.errors import ConfigError
from slowfast_ext.options import keys_of, sections

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted([*ROOT.glob("exp/*/config.yaml"), *(ROOT / "configs").rglob("*.yaml")])
SECONDS = 2.0

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MAP_LAUGHS = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}, z: *a{n - 1}}}\n" for n in range(1, 20)
)

MISTAKES = {
    "object": ("TRAIN:\n  DATASET: !!python/object/apply:os.system [ls]\n", ":2: tag .*leave the tag out"),
    "own_tag": ("TRAIN:\n  DATASET: !mine kinetics\n", ":2: tag !mine is not understood"),
    "binary": ("TRAIN:\n  DATASET: !!binary aGk=\n", ":2: tag !!binary"),
    "timestamp": ("OUTPUT_DIR: !!timestamp 2026-13-99\n", ":1: tag !!timestamp"),
    "date_for_a_number": ("TRAIN:\n  BATCH_SIZE: 2026-01-01\n", ":2: .*BATCH_SIZE.*allowed: int"),
    "tag_of_another_kind": ("SOLVER:\n  BASE_LR: !!int fast\n", ":2: SOLVER.BASE_LR: not a valid value"),
    "list_tag_on_text": ("SOLVER:\n  STEPS: !!seq fast\n", ":2: SOLVER.STEPS: .*write plain values"),
    "base_is_a_number": ("_BASE_: 3\n", ":1: _BASE_ = 3: give the path"),
    "base_is_a_list_of_numbers": ("_BASE_: [3]\n", ":1: _BASE_ = .*give the path"),
    "base_is_missing": ("A: 1\n_BASE_: nowhere.yaml\n", "nowhere.yaml: no such .*_BASE_ of .*:2"),
    "base_is_itself": ("_BASE_: mistake.yaml\n", "leads back to the file itself: .* -> "),
    "import_is_a_number": ("IMPORT: 3\n", ":1: IMPORT = 3: give the path"),
    "list_that_holds_itself": ("DATA:\n  MEAN: &a [*a]\n", ":2: .*alias.*write the values out"),
    "section_that_holds_itself": ("TRAIN: &a\n  x: *a\n", ":[12]: .*alias.*write the values out"),
    "billion_laughs": (LAUGHS, "alias.*write the values out"),
    "billion_laughs_of_sections": (MAP_LAUGHS, "alias.*write the values out"),
    "deep": ("DATA:\n  MEAN: " + "[" * 5000 + "\n", "brackets open at once"),
    "deep_by_indent": ("".join(f"{' ' * n}A:\n" for n in range(400)), "nested too deeply|more than"),
    "deep_and_closed": ("MEAN: " + "[" * 90 + "]" * 90 + "\n", ":1: more than"),
    "key_twice": ("TRAIN:\n  BATCH_SIZE: 8\n  BATCH_SIZE: 4\n", ":3: TRAIN.BATCH_SIZE is given twice.*line 2"),
    "value_twice": ("TRAIN:\n  BATCH_SIZE: 8\n  BATCH_SIZE: 8\n", ":3: TRAIN.BATCH_SIZE is given twice, with the same value in line 2; remove"),
    "value_twice_with_a_dot": ("TRAIN:\n  BATCH_SIZE: 8\nTRAIN.BATCH_SIZE: 8\n", ":3: TRAIN.BATCH_SIZE is given twice, with the same value in .*:2"),
    "section_twice_the_same": ("TRAIN: {BATCH_SIZE: 8}\nTEST: {}\nTRAIN: {BATCH_SIZE: 8}\n", ":3: TRAIN is given twice, with the same value in line 1"),
    "section_twice": ("TRAIN:\n  BATCH_SIZE: 8\nTEST: {}\nTRAIN:\n  DATASET: ssv2\n", ":4: TRAIN is given twice.*line 1"),
    "key_twice_with_a_dot": ("TRAIN:\n  BATCH_SIZE: 8\nTRAIN.BATCH_SIZE: 4\n", ":3: TRAIN.BATCH_SIZE is given twice.*:2"),
    "infinity": ("SOLVER:\n  BASE_LR: .inf\n", ":2: .*BASE_LR.*out of range"),
    "infinity_in_python": ("SOLVER:\n  BASE_LR: 1e999\n", ":2: .*BASE_LR.*out of range"),
    "nan": ("SOLVER:\n  WEIGHT_DECAY: .nan\n", ":2: .*WEIGHT_DECAY.*out of range"),
    "infinity_in_a_list": ("DATA:\n  MEAN: [0.1, .inf, 0.1]\n", ":2: .*MEAN.*out of range"),
    "huge": (f"TRAIN:\n  BATCH_SIZE: {10**400}\n", ":2: .*BATCH_SIZE.*out of range"),
    "huge_for_a_float": (f"SOLVER:\n  BASE_LR: {10**400}\n", ":2: .*BASE_LR.*out of range"),
    "too_many_digits": (f"TRAIN:\n  BATCH_SIZE: {'9' * 9000}\n", ":2: TRAIN.BATCH_SIZE: not a valid value"),
    "text_in_numbers": ("SOLVER:\n  BETAS: [a, b]\n", ":2: .*BETAS.*'a' in it.*list of float or int"),
    "digits_in_quotes": ("DATA:\n  MEAN: ['0.1', '0.2', '0.3']\n", ":2: .*MEAN.*which is of type str"),
    "bool_in_numbers": ("SOLVER:\n  STEPS: [0, true]\n", ":2: .*STEPS.*True in it"),
    "list_in_numbers": ("SOLVER:\n  STEPS: [[0], [1]]\n", ":2: .*STEPS.*of type list"),
    "number_in_names": ("TRAIN:\n  FREEZE: [1]\n", ":2: .*FREEZE.*list of str"),
    "section_for_a_key": ("SOLVER:\n  BASE_LR: {}\n", ":2: .*BASE_LR.*is of type dict"),
    "value_for_a_section": ("TRAIN: 3\n", ":1: .*is a section; write its keys below it, indented"),
    "nothing_for_a_section": ("TRAIN:\n", ":1: .*is a section"),
    "number_as_key": ("1: 2\n", ":1: 1 = 2: no such key"),
    "list_as_key": ("? [a, b]\n: c\n", ":1: a key must be a word"),
    "empty": ("", "is empty; write KEY: value"),
    "comments_alone": ("# nothing\n", "is empty; write KEY: value"),
    "list_at_the_top": ("- TRAIN\n- TEST\n", ":1: expected KEY: value"),
    "word_at_the_top": ("TRAIN\n", ":1: expected KEY: value"),
    "tab": ("TRAIN:\n\tBATCH_SIZE: 8\n", ":2: not valid YAML: .*indent with spaces"),
    "colon_in_text": ("OUTPUT_DIR: a: b\n", ":1: not valid YAML: .*quote text"),
    "unclosed": ("TRAIN: {BATCH_SIZE: 8\n", ":[12]: not valid YAML"),
    "unknown_alias": ("OUTPUT_DIR: *mine\n", ":1: not valid YAML: .*quote text that begins with"),
    "two_documents": ("TRAIN:\n  BATCH_SIZE: 8\n---\nTEST: {}\n", ":3: not valid YAML"),
    "control_character": ("OUTPUT_DIR: a\x07b\n", ":1: not valid YAML: .*save the file as plain text"),
    "merge_of_text": ("TRAIN:\n  <<: x\n", ":2: << takes a section"),
    "long_name": (f"{'A' * 500}: {'b' * 5000}\n", ":1: A{500} = 'b+\\.\\.\\.: no such key"),
}  # fmt: skip


def answer(file, pairs=()):
    """What is said of a file, within the time allowed."""
    started = time.process_time()
    try:
        load_config([file], pairs)
        return ""
    except ConfigError as error:
        return str(error)
    finally:
        assert time.process_time() - started < SECONDS


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """The models, so that no test is charged for them."""
    schema()


def test_a_published_file_may_give_one_value_twice(tmp_path):
    """As each of UniFormer's does."""
    file = tmp_path / "twice.yaml"
    file.write_text(
        "SOLVER:\n  BASE_LR: 0.1\n  BASE_LR: 0.1\nMODEL:\n  ARCH: uniformer\n  MODEL_NAME: Uniformer\n"
    )
    assert load_config([file]).SOLVER.BASE_LR == 0.1


def test_what_was_read_belongs_to_one_tree_alone(tmp_path):
    file = tmp_path / "once.yaml"
    file.write_text("DATA:\n  MEAN: [0.1, 0.2, 0.3]\n")
    load_config([file]).DATA.MEAN.append(5)
    assert load_config([file]).DATA.MEAN == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_file_line_and_remedy(tmp_path, name):
    text, words = MISTAKES[name]
    file = tmp_path / "mistake.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config([file])
    assert "mistake.yaml" in str(caught.value)
    answer(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("OUTPUT_DIR: café\n".encode("latin-1"), ":1: is not UTF-8"),
        ("A: 1\nOUTPUT_DIR: x\n".encode("utf-16"), "is not UTF-8"),
        (b"\x80\x04\x95", "is not UTF-8"),
        (b"OUTPUT_DIR: x\n" * 50_000, "is larger than"),
        (b"OUTPUT_DIR: \x00\n", "plain text"),
    ],
)
def test_other_files_are_said_to_be_none(tmp_path, content, words):
    file = tmp_path / "mistake.yaml"
    file.write_bytes(content)
    assert words in answer(file)


def test_paths_that_are_no_file(tmp_path):
    (tmp_path / "config.yaml").write_text("OUTPUT_DIR: x\n")
    assert "there is config.yaml" in answer(tmp_path / "confg.yaml")
    assert "is a folder, not a configuration file; there is config.yaml" in answer(tmp_path)
    assert "no folder" in answer(tmp_path / "away" / "config.yaml")
    assert "cannot be read" in answer("a\0b")
    assert "cannot be read" in answer("a" * 5000)
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert "cannot be read" in answer(loop)


def test_bases_that_lead_back_through_others(tmp_path):
    for name, base in ("ab", "bc", "ca"):
        (tmp_path / f"{name}.yaml").write_text(f"_BASE_: {base}.yaml\n")
    assert "a.yaml -> " in answer(tmp_path / "a.yaml")
    for number in range(30):
        (tmp_path / f"{number}.yaml").write_text(f"_BASE_: {number + 1}.yaml\n")
    assert "more than 20 files" in answer(tmp_path / "0.yaml")


@pytest.mark.parametrize(
    "text", ["&a [*a]", "[" * 3000, "2026-99-99", "!!python/name:os.system", "(" * 500, "9" * 9000]
)
def test_odd_values_on_the_command_line_are_no_crash(text):
    with pytest.raises(ConfigError, match=r"command line: TRAIN\.BATCH_SIZE"):
        load_config([], ["TRAIN.BATCH_SIZE", text])


def test_what_is_meant_is_understood(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(
        b"\xef\xbb\xbfOUTPUT_DIR: 2026-11-28\nTRAIN: &train\n  BATCH_SIZE: 8\nTEST:\n  <<: *train\n  VIEW_BATCH: 4\n"
        b"SOLVER: {}\n"
    )
    cfg = load_config(
        [file], ["TRAIN.CHECKPOINT_CHANGED", "head", "SOLVER.BASE_LR=3e-4", "OUTPUT_DIR=a=b"]
    )
    assert (cfg.TRAIN.BATCH_SIZE, cfg.TEST.BATCH_SIZE, cfg.TEST.VIEW_BATCH) == (8, 8, 4)
    assert (cfg.TRAIN.CHECKPOINT_CHANGED, cfg.SOLVER.BASE_LR, cfg.OUTPUT_DIR) == (
        ["head"],
        3e-4,
        "a=b",
    )
    assert load_config([file]).OUTPUT_DIR == "2026-11-28"


def test_pairs_may_be_written_with_an_equals_sign():
    assert split_pairs(["A.B=1", "C", "d=e", "F", "="]) == [("A.B", "1"), ("C", "d=e"), ("F", "=")]


SCRAPS = st.sampled_from(
    ["\t", ":", ": ", "- ", "&a ", "*a", "!!set ", "!x ", "[", "]", "{", "}", "'", '"', "#", "\n", "  ", "~", "<<: ", ".inf",
     "-.nan", "1e999", "2026-01-01", "_BASE_: 3\n", "TRAIN:\n", "\x00", "\ufeff", "\u2028", "é", "null", "---\n", "? ", "|\n", ">-\n", "%", "@"]
)  # fmt: skip


@st.composite
def mutants(draw):
    """One of our files with a few scraps put in, and bytes cut out, doubled or changed."""
    content = draw(st.sampled_from(OURS)).read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        put = draw(
            st.one_of(
                SCRAPS.map(str.encode), st.binary(max_size=3), st.just(content[start:end] * 2)
            )
        )
        content = content[:start] + put + content[end:]
    return content


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutants())
def test_mutants_of_our_files_load_or_say_what_is_wrong(tmp_path, content):
    file = tmp_path / "mutant.yaml"
    file.write_bytes(content)
    said = answer(file)
    assert not said or "mutant.yaml" in said


def test_keys_read_from_the_source_are_those_that_importing_gives():
    imported = schema()  # which has those of other tests' own components too
    assert {name: imported.get(name) for name in declared_keys()} == declared_keys()
    ours = {section.path(key) for section in sections() for own in section.classes
            if own.__module__.startswith("slowfast_ext.") for key in keys_of(own)}  # fmt: skip
    assert ours == declared_keys().keys()


ANSWERED = """
import sys, time
from slowfast_ext.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print('torch' in sys.modules, time.process_time())
"""


def answered(*words):
    """What a command says, whether it loaded torch, and the seconds of CPU that it took."""
    done = subprocess.run(
        [sys.executable, "-c", ANSWERED, *words], capture_output=True, text=True, check=True
    )
    loaded_torch, seconds = done.stdout.split()[-2:]
    return done.stdout + done.stderr, loaded_torch == "True", float(seconds)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "SOLVER.BASELR", "1"], "SOLVER.BASE_LR"),
        (["train", "--explain", "SOLVER.BASE_LR"], "learning rate"),
        *(([command, "--help"], "usage") for command in commands()),
    ],
)
def test_a_mistake_in_a_key_needs_no_torch(words, said):
    words, loaded_torch, seconds = answered(*words)
    assert said in words
    assert not loaded_torch
    assert seconds < 1.0
