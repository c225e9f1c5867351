#!/bin/sh
# Makes a virtual environment with the locked dependencies and this project in it: sh deploy/bootstrap.sh .venv
set -eu

venv=$1
lock=requirements-dev.txt

fail() {
  echo "error: $1" >&2
  exit 1
}

supported() {
  command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

find_python() {
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
    if supported "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "Aftersend needs Python 3.11 to 3.14, and none is on PATH; name one with: make PYTHON=/path/to/python3.12 ..."
}

pip_install() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

uv_install() {
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" "$@"
}

# uv as it is locked: only the part of the lock that is about it.
install_uv() {
  awk 'index($0, "uv==") == 1 { on = 1; print; next } /^[^ ]/ { on = 0 } on' "$lock" >"$venv/uv.txt"
  pip_install --require-hashes -r "$venv/uv.txt"
}

if ! [ -x "$venv/bin/python" ] || ! supported "$venv/bin/python"; then
  python=$(find_python)
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make virtual environments: install its venv package (on Debian and Ubuntu: apt install python3-venv)"
  echo "Making $venv with $("$python" -V)" >&2
  "$python" -m venv --clear "$venv"
fi
echo "Installing the locked dependencies" >&2
# uv is many times faster than pip, but knows nothing of a mirror that is set up for pip only.
if install_uv && uv_install --require-hashes -r "$lock"; then
  uv_install --no-deps --no-build-isolation --editable .
else
  pip_install --require-hashes -r "$lock"
  pip_install --no-deps --no-build-isolation --editable .
fi
