"""Views: each product's statuses, counts and logs of a delivery, by name (`docs/domain.md §5`)."""

from __future__ import annotations

from typing import Final

from aftersend.rules.views import creatio
from aftersend.rules.views.adobe import view as adobe
from aftersend.rules.views.base import View
from aftersend.rules.views.escala import view as escala

#: Every view by name. To add one is to write its module and to list it here.
VIEWS: Final[dict[str, View]] = {view.name: view for view in (*adobe.VIEWS, creatio.VIEW, escala.VIEW)}
