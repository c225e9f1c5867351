"""Single records of the changelogs: looked at, and replaced where they are damaged."""
