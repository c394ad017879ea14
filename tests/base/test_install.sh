#!/usr/bin/env bash
# An installed tree works wherever it is moved: it finds its kernels and its jobs, and trains. So does a
# Debian package, for a user without rights, and it names the packages that it needs.
set -euo pipefail
: "${PNEUMO_SOURCE:?the checkout}" "${PNEUMO_BUILD:?the build folder}"
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cmake --install "$PNEUMO_BUILD" --prefix "$here/first" >"$here/log" || { cat "$here/log"; exit 1; }
mv "$here/first" "$here/moved"
program=$here/moved/bin/pneumo-dist
mkdir "$here/work"
cd "$here/work"
unset LD_LIBRARY_PATH

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

loaded=$(ldd "$program" | sed -n 's/.*=> \(.*libpd_kernels[^ ]*\).*/\1/p')
[[ -z $loaded || $(realpath "$loaded") == $(realpath "$here/moved")/* ]] ||
    fail "the installed program loads $loaded"
for library in "$here"/moved/lib*/pneumo-dist/*.so "$here"/moved/lib*/pneumo-dist/glibc-hwcaps/*/*.so \
    "$here"/moved/lib*/*/pneumo-dist/*.so "$here"/moved/lib*/*/pneumo-dist/glibc-hwcaps/*/*.so; do
    [[ -e $library ]] || continue
    ! readelf -d "$library" | grep -E 'RPATH|RUNPATH' || fail "$library looks for libraries where it was built"
done
"$program" synth phantoms --images 60 --seed 1 >/dev/null 2>&1
"$program" pack phantoms -o data.h5 --size 32 >/dev/null 2>&1
"$program" train dense1 -d data.h5 --set data.size=32 --epochs 1 >out 2>log || fail "$(cat log)"
grep "^job dense1: " out >/dev/null || fail "$(cat out)"
for job in "$PNEUMO_SOURCE"/jobs/*.ini; do
    cmp "$job" "$here/moved/share/pneumo-dist/jobs/$(basename "$job")" || fail "$job is not installed"
done
man=$here/moved/share/man/man1/pneumo-dist.1
[[ -s $man ]] || fail "no man page"
completion=$here/moved/share/bash-completion/completions/pneumo-dist
[[ -s $completion ]] && bash -n "$completion" || fail "no completion, or one that bash cannot read"

# --- The package ---

cpack --config "$PNEUMO_BUILD/CPackConfig.cmake" -B "$here/package" >"$here/log" 2>&1 || fail "$(cat "$here/log")"
package=("$here"/package/*.deb)
needs=$(dpkg-deb --field "${package[0]}" Depends)
for name in libhdf5 libopenmpi libopenblas openmpi-bin; do
    [[ $needs == *"$name"* ]] || fail "the package does not need $name: $needs"
done
dpkg-deb --extract "${package[0]}" "$here/root"
chmod a+rx "$here"
as_nobody=()
((EUID != 0)) || as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
"${as_nobody[@]}" "$here/root/usr/bin/pneumo-dist" inspect "$here/work/data.h5" >"$here/out" 2>"$here/log" ||
    fail "$(cat "$here/log")"
grep "60 of 32 x 32 pixels" "$here/out" >/dev/null || fail "$(cat "$here/out")"
