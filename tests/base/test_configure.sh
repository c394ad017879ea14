#!/usr/bin/env bash
# The program can be configured without the dependencies of the tests (cmocka), without the DICOM libraries, with
# those that cannot be linked, and from the files that the container images get. Its target is all that
# an installation needs.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

cat >pkg-config <<'SH'
#!/bin/sh
case "$*" in *cmocka* | *libopenjp2*) exit 1 ;; esac
exec pkg-config "$@"
SH
chmod +x pkg-config

# The files of the container images: the three lists agree, none is of data, and CMake needs no other.
copied=$(sed -n 's/^COPY \([^-][^ ]*\) .*/\1/p' "$PNEUMO_SOURCE/slurm/Containerfile")
[[ $copied && $copied == "$(sed -n 's/^!//p' "$PNEUMO_SOURCE/.dockerignore")" &&
    $copied == "$(sed -n '/^%files/,/^%post/s/^ *\([^ ]*\) \/source.*/\1/p' "$PNEUMO_SOURCE/slurm/pneumo-dist.def")" ]] ||
    { echo "FAILED: the container images get different files, such as: $copied"; exit 1; }
for name in $copied; do
    case $name in . | data* | runs* | build*) echo "FAILED: an image gets $name"; exit 1 ;; esac
    mkdir -p source
    cp -r "$PNEUMO_SOURCE/$name" source
done

cmake -S source -B build -G Ninja -DPKG_CONFIG_EXECUTABLE="$PWD/pkg-config" -DCMAKE_INSTALL_LIBDIR="$PWD/lib" \
    >log 2>&1 || { cat log; exit 1; }
cmake --build build --target pneumo-dist -- -n >/dev/null
ninja -C build -t commands pneumo-dist >plan
for option in --print-man --print-completion; do
    grep -e "$option" plan >/dev/null || { echo "FAILED: an installation lacks what $option prints"; exit 1; }
done
# A library folder given as an absolute path is where the program looks for its kernels.
if grep -F "glibc-hwcaps" build/build.ninja >/dev/null; then
    grep -F "NEW_RPATH \"$PWD/lib/pneumo-dist\"" build/cmake_install.cmake >/dev/null ||
        { grep RPATH build/cmake_install.cmake; echo "FAILED: the kernels in $PWD/lib are not found"; exit 1; }
fi
grep -F "cmocka not found: the tests are not built" log >/dev/null ||
    { echo "FAILED: no word on the tests without cmocka"; exit 1; }
grep -F "libdcmtk-dev" log >/dev/null || { echo "FAILED: the log does not say how to get DICOM"; exit 1; }
! grep -E "libdcmdata|-lopenjp2|dicom_reader[.]cc" build/build.ninja >/dev/null || { echo "FAILED: DICOM without OpenJPEG"; exit 1; }

# As on Debian 13, where DCMTK's configuration names a library on which its package does not depend.
mkdir broken
cat >broken/DCMTKConfig.cmake <<'CMAKE'
foreach(name dcmdata dcmjpeg dcmjpls)
  add_library(DCMTK::${name} INTERFACE IMPORTED)
  target_link_libraries(DCMTK::${name} INTERFACE /missing/libtiff.so)
endforeach()
CMAKE
if cmake -S "$PNEUMO_SOURCE" -B build-broken -G Ninja -DDCMTK_DIR="$PWD/broken" >log 2>&1 &&
    grep -F "install libtiff-dev" log >/dev/null; then
    ! grep -E "libtiff|dicom_reader[.]cc" build-broken/build.ninja >/dev/null ||
        { echo "FAILED: DICOM with a missing library"; exit 1; }
else
    cat log
    echo "FAILED: the log does not say which library is missing"
    exit 1
fi
