"""Where things lie in the checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DEPLOY = ROOT / "deploy"
SOURCES = ROOT / "aftersend" / "sources"
