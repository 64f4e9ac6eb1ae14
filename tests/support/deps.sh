#!/bin/sh
# Installs what building, running and testing need on Debian 12; --dev adds what `make fuzz` and
# `make check-clang` need. Does nothing, and needs no network, when all of it is there.
set -eu

packages="build-essential pkg-config ca-certificates curl openssl python3 pebble pmccabe mandoc iproute2
 libyaml-dev libssl-dev libcurl4-openssl-dev libcjson-dev libinotifytools0-dev libcunit1-dev
 libevent-dev libnghttp2-dev libseccomp-dev libcap-ng-dev libc-ares-dev libpsl-dev libpcre2-dev
 zlib1g-dev"
[ "${1:-}" = --dev ] && packages="$packages clang libclang-rt-14-dev"

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

echo "deps: installing$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps: as root: apt-get install$missing" >&2; exit 1; }
    as_root="sudo"
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
install() { $as_root apt-get install -y -q --no-install-recommends $missing; }
install || { $as_root apt-get update -q && install; }
