#!/usr/bin/env bash
# The program builds without the dependencies of the tests (cmocka).
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

cat >pkg-config <<'SH'
#!/bin/sh
case "$*" in *cmocka*) exit 1 ;; esac
exec pkg-config "$@"
SH
chmod +x pkg-config
cmake -S "$PNEUMO_SOURCE" -B build -G Ninja -DPKG_CONFIG_EXECUTABLE="$PWD/pkg-config" >log 2>&1 ||
    { cat log; exit 1; }
cmake --build build --target pneumo-dist -- -n >/dev/null
[[ ! -e build/tests ]] || { echo "FAILED: tests without cmocka"; exit 1; }
