"""A YAML file of PySlowFast's family in our keys, with comments: slowfast-ext migrate FILE [KEY VALUE ...] [--out OUT.yaml].

Files of UniFormer, EMIM, Motionformer and XViT are read; they also work as they are, as --cfg FILE. The command lists the
differences to our recipe (--recipe, or the nearest of exp/). The words of other programs: docs/migration.md.
Exit code: 0 done, 2 a file of a model that is not here, or with unknown keys.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import slowfast_ext
from slowfast_ext.cli import reported
from slowfast_ext.errors import ConfigError


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Print the file, or write it and say what it does otherwise than the recipe."""
    parser = argparse.ArgumentParser(
        prog="slowfast-ext migrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a published YAML file")
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="those of its run.sh")
    parser.add_argument("--out", type=Path, metavar="OUT.yaml", help="write it; default: print it")
    parser.add_argument(
        "--recipe", type=Path, metavar="FILE", help="compare with it; default: the nearest of exp/"
    )
    args = parser.parse_intermixed_args(argv)
    from slowfast_ext.config.migrate import as_yaml, difference_to, migrate, nearest_recipe

    migrated = migrate(args.file, args.pairs)
    there = sorted((Path(slowfast_ext.__file__).parents[1] / "exp").glob("*/config.yaml"))
    recipe = args.recipe or nearest_recipe(migrated.values, there)
    notes = []
    if recipe is not None:
        differing = difference_to(migrated.values, recipe)
        name = recipe.parent.name if recipe.name == "config.yaml" else str(recipe)
        notes = [
            f"Beside {name}, published -> ours: {len(differing)} keys differ{':' if differing else '.'}"
        ]
        notes += [f"  {line}" for line in differing]
    if args.out is None:
        print(as_yaml(migrated, notes), end="")
        return 0
    try:
        args.out.write_text(as_yaml(migrated), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{args.out}: cannot be written: {error.strerror}") from error
    print(f"{args.out}: {len(migrated.values)} keys, {len(migrated.dropped)} left out")
    print("\n".join(notes))
    return 0
