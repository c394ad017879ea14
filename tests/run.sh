#!/usr/bin/env bash
# Installs what is missing, builds with warnings as errors, and runs all tests: as the program is
# shipped, and under AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
./jobs/install.sh libcmocka-dev hdf5-tools python3-h5py python3-pil python3-venv chromium slurm-wlm \
    munge iproute2 procps dpkg-dev file clang-format clang-tidy cppcheck g++ libdcmtk-dev libtiff-dev \
    libopenjp2-7-dev libgdcm-tools dcmtk clang libclang-rt-dev libomp-dev

if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
cmake -S . -B build -G Ninja -DPNEUMO_WERROR=ON >/dev/null
cmake --build build
# -O1, but for the kernels (CMakeLists.txt): it takes half the time to compile.
cmake -S . -B build-sanitize -G Ninja -DPNEUMO_WERROR=ON -DPNEUMO_SANITIZE=ON -DPNEUMO_NATIVE=ON \
      -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O1 -DCMAKE_CXX_FLAGS=-O1 >/dev/null
cmake --build build-sanitize

# One test more than there are cores: some of them often wait.
tests=$(($(nproc) + 1))
ctest --no-tests=error --test-dir build-sanitize --output-on-failure -j $tests
ctest --no-tests=error --test-dir build --output-on-failure -j $tests
