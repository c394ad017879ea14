#!/usr/bin/env bash
# The static checks alone: clang-format, cppcheck and clang-tidy over the whole source.
set -euo pipefail
cd "$(dirname "$0")/.."
./jobs/install.sh clang-format clang-tidy cppcheck g++ libdcmtk-dev libtiff-dev libopenjp2-7-dev
cmake -S . -B build -G Ninja >/dev/null
PNEUMO_SOURCE=$PWD ./tests/base/test_style.sh
PNEUMO_SOURCE=$PWD PNEUMO_BUILD=$PWD/build ./tests/base/test_tidy.sh
