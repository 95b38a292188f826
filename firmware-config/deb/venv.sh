#!/usr/bin/env bash
# Makes ROOT/opt/chopmark, from the wheels of the lock and our own: no index is asked.
# Usage: venv.sh ROOT; build.sh sets WHEELS, OWN and TOOLS.
set -euo pipefail
venv=$1/opt/chopmark
mkdir -p "$venv"
/usr/bin/python3 -m venv --without-pip "$venv"
"$TOOLS/bin/pip" --python "$venv/bin/python" install --no-index --no-deps --no-compile \
  "$WHEELS"/*.whl "$OWN"/*.whl
