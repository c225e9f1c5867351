#!/bin/sh
# Locks the dependencies by hash: sh deploy/lock.sh path/to/uv [options of uv pip compile]
set -eu

uv=$1
shift

compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "make lock" "$@"
}

# What production installs; what builds the package, which production does without; and on top of the same versions what
# developers and CI install.
compile "$@" pyproject.toml --output-file requirements.txt
compile "$@" --group build --constraint requirements.txt --output-file requirements-build.txt
compile "$@" pyproject.toml --extra embedded --group build --group dev --constraint requirements.txt \
  --constraint requirements-build.txt --output-file requirements-dev.txt
