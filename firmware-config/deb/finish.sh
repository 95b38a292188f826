#!/usr/bin/env bash
# Makes ROOT/opt/chopmark ready for its place: no word of where it was built, and compiled.
# Usage: finish.sh ROOT
set -euo pipefail
root=$1 venv=$1/opt/chopmark
cd "$venv"
# Of the programs only ours; pip's notes of where things came from, and files for other systems, go.
find bin -type f ! -name 'chopmark*' -delete
find lib -type f \( -name RECORD -o -name INSTALLER -o -name REQUESTED -o -name direct_url.json \
  -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete
find lib -type d \( -name __pycache__ -o -path '*/numpy/*/tests' \) -prune -exec rm -rf {} +
rm -rf include
sed -i "s|$root||g" bin/chopmark* pyvenv.cfg
# By hash of the source, never asked again: the same bytes for the same source, whatever its time.
# One process, in the order of the names: marshal's bytes depend on what the process has seen.
find lib -name '*.py' -print0 | LC_ALL=C sort -z | tr '\0' '\n' \
  | bin/python -m compileall -q -i - -s "$root" -p / --invalidation-mode unchecked-hash
find lib -type d -empty -delete
