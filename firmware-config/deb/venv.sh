#!/usr/bin/env bash
# Installs wheels into ROOT/opt/chopmark, and makes it ready for its place: no word of where it was
# built, and compiled. No index is asked. What was installed there before stays as it is.
#
#   venv.sh ROOT WHEEL…     TOOLS is a virtual environment with pip
set -euo pipefail
root=$1 venv=$1/opt/chopmark
shift
mkdir -p "$venv"
[[ -e $venv/pyvenv.cfg ]] || "$(readlink -f /usr/bin/python3)" -m venv --without-pip "$venv"
cd "$venv"
"$TOOLS/bin/pip" --python "$venv/bin/python" install --no-index --no-deps --no-compile "$@"
# Of the programs only ours; what only compilers read, and pip's notes of where things came from.
find bin -type f ! -name 'chopmark*' -delete
find lib -type f \( -name RECORD -o -name INSTALLER -o -name REQUESTED -o -name direct_url.json \
  -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete
find lib -type d -path '*/numpy/*/tests' -prune -exec rm -rf {} +
rm -rf include
find bin -type f -exec sed -i "s|$root/|/|g" {} +
sed -i "s|$root/|/|g" pyvenv.cfg
# By hash of the source, never asked again: the same bytes for the same source, whatever its time.
# One process, in the order of the names: marshal's bytes depend on what the process has seen.
tag=$(bin/python -c 'import sys; print(sys.implementation.cache_tag)')
find "$venv/lib" -name '*.py' | LC_ALL=C sort | while read -r file; do
  name=${file##*/}
  [[ -e ${file%/*}/__pycache__/${name%.py}.$tag.pyc ]] || printf '%s\n' "$file"
done | bin/python -m compileall -q -i - -s "$root" -p / --invalidation-mode unchecked-hash
find lib -type d -empty -delete
