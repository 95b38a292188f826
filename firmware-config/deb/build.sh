#!/usr/bin/env bash
# Builds build/chopmark_VERSION_ARCH.deb from this checkout, by Debian's debhelper.
# Same checkout, same interpreter, same bytes: the date is that of the last commit.
#
#   firmware-config/deb/build.sh [SUFFIX]     SUFFIX goes behind the version, as in 0.1.0+test1;
#                                             LEVEL (9) is how hard zstd tries
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SOURCE=$PWD
work=$SOURCE/build/deb
lock=$(cat locks/build.txt locks/run.txt | sha256sum | cut -c 1-16)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)${1-}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
WHEELS=$work/wheels-$lock
OTHERS=$work/root-$lock
LEVEL=${LEVEL:-9}
python=/usr/bin/python3
export SOURCE SOURCE_DATE_EPOCH OTHERS LEVEL
export LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_QUIET=1
umask 022

command -v dh_builddeb >/dev/null || { echo 'build: debhelper is missing: ./setup.sh' >&2; exit 1; }

# Pip and the build tools, the wheels of the lock, and what they make: once for each state of it.
tools=$work/tools-$lock
if [[ ! -e $tools/done ]]; then
  "$python" -m venv --clear "$tools"
  "$tools/bin/pip" install --require-hashes --no-deps -r locks/build.txt
  touch "$tools/done"
fi
if [[ ! -e $WHEELS/done ]]; then
  rm -rf "$WHEELS"
  "$tools/bin/pip" download --require-hashes --no-deps --no-build-isolation -r locks/run.txt -d "$WHEELS"
  # What has no wheel of its authors' is compiled here, and not on the box.
  for source in "$WHEELS"/*.tar.gz; do
    env CFLAGS="-O2 -g0 -fstack-protector-strong -D_FORTIFY_SOURCE=2" \
      LDFLAGS="-Wl,-z,relro,-z,now -Wl,--build-id=sha1" \
      "$tools/bin/pip" wheel --no-cache-dir --no-deps --no-build-isolation -w "$WHEELS" "$source"
    rm "$source"
  done
  touch "$WHEELS/done"
fi

if [[ ! -e $OTHERS.done ]]; then
  rm -rf "$OTHERS"
  TOOLS=$tools firmware-config/deb/venv.sh "$OTHERS" "$WHEELS"/*.whl
  touch "$OTHERS.done"
fi

tree=$work/tree
rm -rf "$tree" "$work/own"
mkdir -p "$tree"
"$tools/bin/pip" wheel --no-deps --no-build-isolation --no-cache-dir -w "$work/own" "$SOURCE"
cp -r firmware-config/deb/debian "$tree/"
cat >"$tree/debian/changelog" <<END
chopmark ($version) unstable; urgency=medium

  * What has changed is told in CHANGELOG.md.

 -- $(sed -n 's/^Maintainer: //p' firmware-config/deb/debian/control)  $(date -uR -d "@$SOURCE_DATE_EPOCH")
END
(cd "$tree" && OWN="$work/own" TOOLS="$tools" debian/rules binary)
mv "$work"/chopmark_*.deb build/
# Only the newest: whoever takes build/chopmark_*.deb means this one.
built=build/chopmark_${version}_$(dpkg --print-architecture).deb
rm -rf "$tree" "$work/own"
printf 'build: %s\n' "$built"
