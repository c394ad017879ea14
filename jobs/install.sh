#!/usr/bin/env bash
# Installs missing packages that pneumo-dist needs: install.sh [more packages...]
# Uses apt-get on Debian and Ubuntu; elsewhere it names the libraries and stops.
set -euo pipefail

packages=(gcc libc6-dev cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libopenblas-openmp-dev
          libhdf5-dev libstb-dev libinih-dev libcjson-dev libxxhash-dev libzip-dev libcsv-dev
          libssl-dev libprotobuf-c-dev protobuf-c-compiler libpng-dev libjpeg-dev "$@")

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    tools=(cc cmake ninja pkg-config mpirun protoc-c)
    missing=()
    for tool in "${tools[@]}"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    for library in openblas hdf5 inih libcjson libxxhash libzip libcrypto libprotobuf-c libpng \
        libjpeg; do
        pkg-config --exists "$library" 2>/dev/null || missing+=("$library")
    done
    ((${#missing[@]})) || exit 0
    echo "This is not Debian or Ubuntu: install these by your own package manager, then run it" \
         "again: ${missing[*]} (and libcsv, and the headers of stb: stb_image.h," \
         "stb_image_resize.h, stb_image_write.h)" >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [[ $state == "install ok installed" ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null || {
        echo "Install these packages as root, then run it again: ${missing[*]}" >&2
        exit 1
    }
    root=(sudo)
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
