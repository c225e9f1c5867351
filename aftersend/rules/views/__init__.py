"""The products' ways of looking at one and the same row, by name."""

from __future__ import annotations

from typing import Final

from aftersend.rules.views import creatio
from aftersend.rules.views.adobe import view as adobe
from aftersend.rules.views.base import View
from aftersend.rules.views.escala import view as escala

#: Every view by its name. To add one is to write its module and its place here.
VIEWS: Final[dict[str, View]] = {view.name: view for view in (*adobe.VIEWS, creatio.VIEW, escala.VIEW)}
