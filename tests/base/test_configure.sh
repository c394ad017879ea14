#!/usr/bin/env bash
# The program builds without the dependencies of the tests (cmocka) and without the DICOM libraries.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

cat >pkg-config <<'SH'
#!/bin/sh
case "$*" in *cmocka* | *libopenjp2*) exit 1 ;; esac
exec pkg-config "$@"
SH
chmod +x pkg-config
cmake -S "$PNEUMO_SOURCE" -B build -G Ninja -DPKG_CONFIG_EXECUTABLE="$PWD/pkg-config" >log 2>&1 ||
    { cat log; exit 1; }
cmake --build build --target pneumo-dist -- -n >/dev/null
[[ ! -e build/tests ]] || { echo "FAILED: tests without cmocka"; exit 1; }
grep -F "libdcmtk-dev" log >/dev/null || { echo "FAILED: the log does not say how to get DICOM"; exit 1; }
! grep -E "libdcmdata|-lopenjp2|dicom_reader[.]cc" build/build.ninja >/dev/null || { echo "FAILED: DICOM without OpenJPEG"; exit 1; }
