"""Published weights: slowfast-ext weights list [PATTERN] | where NAME | fetch NAME...

A name may be given wherever a file of weights can: --weights NAME, TRAIN.CHECKPOINT_FILE_PATH NAME, create_model(weights=NAME).
Files lie in SLOWFAST_EXT_CACHE, by default ~/.cache/slowfast_ext/weights.
"""

import argparse
from collections.abc import Sequence
from fnmatch import fnmatch

from slowfast_ext.cli import reported
from slowfast_ext.errors import CheckpointError
from slowfast_ext.registry import unknown_name
from slowfast_ext.released import Released, cache_folder, released
from slowfast_ext.released.find import find_weights


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """List, explain or fetch; 2 for a name that is none and a file that cannot be had."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="list", choices=("list", "where", "fetch"))
    parser.add_argument("names", nargs="*", help="names, or for list patterns such as '*k400*'")
    args = parser.parse_args(argv)
    if args.what == "list":
        return _list(args.names or ["*"])
    for name in args.names:
        if name not in released():
            raise CheckpointError(f"{name}: {unknown_name(name, released())}")
        if args.what == "where":
            _where(released()[name])
        else:
            print(find_weights(name))
    return 0


def _list(patterns: Sequence[str]) -> int:
    found = [w for n, w in released().items() if any(fnmatch(n, pattern) for pattern in patterns)]
    for weights in found:
        state = "here" if weights.path.is_file() else "browser" if weights.browser else "link"
        print(f"{weights.name:36} {state:8} {weights.source}: {weights.what}")
    print(
        f"{len(found)} names; here: in {cache_folder()}, link: fetched when used, browser: fetch it yourself (where NAME)"
    )
    return 0


def _where(weights: Released) -> None:
    """All that is known of a file, and what to do to have it."""
    here = weights.path.is_file()
    print(
        f"{weights.name}: {weights.source}, {weights.what}\n  licence  {weights.licence}\n  link     {weights.link}"
    )
    if weights.sha256:
        print(f"  sha256   {weights.sha256}{'...' if len(weights.sha256) < 64 else ''}")
    how = (
        "there"
        if here
        else "save it there, a program cannot"
        if weights.browser
        else "fetched when used"
    )
    print(f"  file     {weights.path} ({how})")
