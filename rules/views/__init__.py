"""The products' ways of looking at one and the same row, by name."""

from __future__ import annotations

from typing import Final

from rules.views import adobe, creatio, escala
from rules.views.base import View

#: Every view by its name. To add one is to write its module and its place here.
VIEWS: Final[dict[str, View]] = {view.name: view for view in (*adobe.VIEWS, creatio.VIEW, escala.VIEW)}
