#!/usr/bin/env bash
# Line coverage of all tests: builds with gcov's counters, runs the tests, and prints a table by file
# and the total. tests/coverage.sh [CTEST OPTION]...; results are in build-coverage.
set -euo pipefail
cd "$(dirname "$0")/.."
./jobs/install.sh libcmocka-dev hdf5-tools python3-h5py chromium gcovr
if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# Atomic counters: threads update them, too.
cmake -S . -B build-coverage -G Ninja -DPNEUMO_NATIVE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
      -DCMAKE_C_FLAGS="--coverage -fprofile-update=atomic" >/dev/null
cmake --build build-coverage
find build-coverage -name '*.gcda' -delete
ctest --test-dir build-coverage --output-on-failure -j "$(nproc)" -LE cluster "$@"
gcovr --root . --filter src/ --object-directory build-coverage --exclude-throw-branches \
      --gcov-ignore-parse-errors
