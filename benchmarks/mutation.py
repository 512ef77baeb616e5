"""Small changes of a Python file: operators, comparisons, constants, conditions. cosmic-ray makes them."""

import ast
import contextlib
import difflib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

BINARY = "Add_Sub Sub_Add Mul_Div Div_Mul Mod_Mul FloorDiv_Mul Pow_Mul BitAnd_BitOr BitOr_BitAnd"
COMPARISON = "Eq_NotEq NotEq_Eq Lt_LtE LtE_Lt Gt_GtE GtE_Gt Lt_Gt Gt_Lt Is_IsNot IsNot_Is"
OTHERS = (
    "ReplaceUnaryOperator_Delete_Not ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Invert "
    "NumberReplacer ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd AddNot"
)
OPERATORS = [
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in BINARY.split()),
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in COMPARISON.split()),
    *(f"core/{name}" for name in OTHERS.split()),
]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")


class Mutant(NamedTuple):
    """A changed source and the lines that differ."""

    source: str
    change: str


def mutants(source: str, seed: int | None = None) -> Iterator[Mutant]:
    """All changes of a file that change what it does: those of annotations and documentation do not.

    In the order of the file's text for an operator, or with a seed in any.
    """
    tree = get_ast(source)
    places = [
        (operator, occurrence)
        for operator in (get_operator(name)() for name in OPERATORS)
        for occurrence in range(
            sum(len(list(operator.mutation_positions(node))) for node in ast_nodes(tree))
        )
    ]
    if seed is not None:
        random.Random(seed).shuffle(places)
    seen = {_meaning(source)}
    for operator, occurrence in places:
        changed = mutate_code(source, operator, occurrence)
        with contextlib.suppress(SyntaxError):
            if (meaning := _meaning(changed)) not in seen:
                seen.add(meaning)
                yield Mutant(changed, _change(source, changed))


def equivalent(path: Path) -> set[str]:
    """The changes of a file that change nothing which can be seen, as they are printed, without the line's number.

    A row: the file, the change and the reason, between tabs.
    """
    rows = [row.split("\t") for row in EQUIVALENT.read_text(encoding="utf-8").splitlines()]
    return {change for file, change, _ in rows if file == str(path)}


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None) if isinstance(node, ast.AnnAssign) else None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "zip":
            node.keywords = []  # strict=True is an assertion: it does nothing where it holds
    return ast.dump(tree)


def _change(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    place, *rest = list(lines)[2:]
    return f"{place.split()[1]} " + "  ".join(
        " ".join(line.split()) for line in rest if line[:1] in "+-"
    )
