"""Names as people know them, in several languages: gettext catalogues, choice of a language, look-up of names."""
