#!/usr/bin/env bash
# DICOM files of every transfer syntax, depth and sign, and pydicom's own test files, as pydicom and the
# tools of GDCM and DCMTK read them. pydicom and its decoders are installed below the build folder; where
# the package index cannot be reached, or the tools are missing, the test is skipped.
set -euo pipefail
room=${PNEUMO_SOURCE:?the checkout}/tests/data
peers=${PNEUMO_BUILD:?the build folder}/dicom-peers
decoder=$PNEUMO_BUILD/tests/decode_image

skip() {
    echo "SKIPPED: $*"
    exit 77
}

# A virtual environment with exactly the pinned packages; it is complete when it has a copy of the list.
install() {
    cmp -s "$room/dicom_peers.txt" "$peers/peers.txt" && return
    rm -rf "$peers"
    /usr/bin/python3 -m venv "$peers" >"$log" 2>&1 || skip "no virtual environment: $(tail -n 1 "$log")"
    "$peers/bin/pip" install --quiet --no-compile --no-deps --retries 1 --timeout 60 \
        -r "$room/dicom_peers.txt" >"$log" 2>&1 || skip "cannot install pydicom: $(tail -n 1 "$log")"
    cp "$room/dicom_peers.txt" "$peers/peers.txt"
}

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
log=$here/log
if strings "$decoder" | grep -F "this build cannot read DICOM" >/dev/null; then
    skip "built without the DICOM libraries"
fi
for tool in gdcmconv dcmconv dcmdjpeg dcmdjpls dcmdrle; do
    command -v "$tool" >/dev/null || skip "$tool is missing: ./jobs/install.sh libgdcm-tools dcmtk"
done
install
"$peers/bin/python" "$room/compare_dicom.py" "$decoder" "$here/files"
