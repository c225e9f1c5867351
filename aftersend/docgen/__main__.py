"""Writes every generated page, and compiles the catalogues of names: `python -m aftersend.docgen [DIRECTORY]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from aftersend.docgen import catalogues
from aftersend.docgen.pages import REFERENCE, write


def main() -> None:
    """Write the pages to a directory, and the compiled catalogues beside their sources."""
    parser = argparse.ArgumentParser(prog="python -m aftersend.docgen", description="Write the generated pages.")
    parser.add_argument("directory", type=Path, nargs="?", default=REFERENCE, help="instead of docs/reference")
    for name in catalogues.write():
        print(f"compiled: {name}")
    for name in write(parser.parse_args().directory):
        print(f"changed: {name}")


if __name__ == "__main__":
    main()
