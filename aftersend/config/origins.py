"""Where settings come from: the environment, a `.env` file and `aftersend.toml`."""

from __future__ import annotations

from typing import Any, Final

from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, TomlConfigSettingsSource

from aftersend.config.types import PREFIX

#: Names of other products for our settings, accepted in any case; in the environment with our prefix.
ALIASES: Final = {"MailingStatisticUpdatePeriod": "statistics_update_period_days"}
#: The same, in lower case.
SETTING_OF_ALIAS: Final = {alias.lower(): name for alias, name in ALIASES.items()}


def _without_aliases(values: dict[str, Any]) -> dict[str, Any]:
    """Return one origin's values by our names; a setting given under both names keeps both, and fails validation."""
    for given in list(values):
        name = SETTING_OF_ALIAS.get(given.lower().removeprefix(PREFIX.lower()))
        if name is not None and name not in values:
            values[name] = values.pop(given)
    return values


class Environment(EnvSettingsSource):
    """Environment variables."""

    def __call__(self) -> dict[str, Any]:
        """Return the settings given there."""
        aliases = {alias: self.env_vars.get(PREFIX.lower() + alias) for alias in SETTING_OF_ALIAS}
        return _without_aliases(super().__call__() | {alias: value for alias, value in aliases.items() if value})


class DotEnvFile(DotEnvSettingsSource):
    """A `.env` file, which may belong to other programs too: names without our prefix are ignored."""

    def __call__(self) -> dict[str, Any]:
        """Return the settings given there; an unknown name with our prefix fails validation."""
        prefix = PREFIX.lower()
        fields = self.settings_cls.model_fields
        given = {name: value for name, value in super().__call__().items() if name in fields or name.startswith(prefix)}
        return _without_aliases(given)


class SettingsFile(TomlConfigSettingsSource):
    """The file `aftersend.toml`."""

    def __call__(self) -> dict[str, Any]:
        """Return the settings given there."""
        return _without_aliases(super().__call__())
