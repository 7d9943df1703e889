#!/bin/sh
# Installs what the build takes on Debian and what is like it; does nothing where it is there.
set -eu

packages="g++ make cmake protobuf-compiler protobuf-compiler-grpc libgrpc++-dev libprotobuf-dev"

is_installed() {
    dpkg-query --show --showformat '${Status}' "$1" 2>/dev/null | grep -q ' installed'
}

command -v apt-get >/dev/null || { echo "no apt-get here: install gRPC, Protobuf, CMake and a C++20 compiler"; exit 1; }
missing=
for package in $packages; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
