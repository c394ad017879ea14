#!/usr/bin/env bash
# The room fence: a file includes only its own room and rooms above it, a foreign header stays in its
# room, and only cli ends the process.
set -euo pipefail
cd "${PNEUMO_SOURCE:-$(dirname "$0")/../..}"

rooms=(base kernels nn io exchange data comm metrics train evaluate report cli)
declare -A home=([cblas.h]=kernels [hdf5.h]=io [mpi.h]=comm [ini.h]=train [cjson/cJSON.h]="exchange report"
                 [zip.h]=exchange [openssl/evp.h]=exchange [onnx.pb-c.h]=exchange [event.pb-c.h]=exchange
                 [protobuf-c/protobuf-c.h]=exchange [stb_image.h]=data [stb_image_resize.h]=data
                 [stb_image_write.h]=data [openssl/hmac.h]=data [csv.h]=data [png.h]=data [jpeglib.h]=data [openjpeg.h]=data [zlib.h]=data
                 [dcmtk/config/osconfig.h]=data)
bad=0
complain() {
    echo "room fence: $*" >&2
    bad=1
}

# check ROOM FILE...: ROOM's files look up, never down.
check() {
    local room=$1 file line included above=" "
    shift
    for r in "${rooms[@]}"; do
        above+="$r "
        [[ $r == "$room" ]] && break
    done
    for file in "$@"; do
        while read -r included; do
            if [[ $included == pneumo/* ]]; then
                included=${included#pneumo/}
                [[ $above == *" ${included%%/*} "* ]] ||
                    complain "$file ($room) includes $included"
            elif [[ -n ${home[$included]:-} && " ${home[$included]} " != *" $room "* ]]; then
                complain "$file includes $included, which belongs to ${home[$included]}"
            fi
        done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]+)[>"].*/\1/p' "$file")
        if [[ $room != cli && $room != comm ]] && grep -nE '(^|[^a-z_])(exit|_exit|_Exit|abort) *\(' "$file"; then
            complain "$file ends the process"
        fi
    done
}

shopt -s nullglob
for room in "${rooms[@]}"; do
    files=(include/pneumo/"$room"/*.h src/"$room"/*.[ch] src/"$room"/*.cc)
    ((${#files[@]})) || complain "room $room is empty"
    check "$room" "${files[@]}"
done
for folder in include/pneumo/*/ src/*/; do
    folder=${folder%/}
    [[ " ${rooms[*]} " == *" ${folder##*/} "* ]] || complain "$folder is no room"
done

# The fence must be able to fail.
if [[ $bad == 0 ]]; then
    trial=$(mktemp -d)
    trap 'rm -rf "$trial"' EXIT
    printf '#include "pneumo/train/train.h"\n' >"$trial/a.c"
    printf '#include <mpi.h>\n' >"$trial/b.c"
    printf 'int f(void) { exit(1); }\n' >"$trial/c.c"
    for file in "$trial"/*.c; do
        bad=0
        check nn "$file" >/dev/null 2>&1
        ((bad)) || { echo "the fence let $(cat "$file") pass" >&2; exit 1; }
    done
    bad=0
fi
exit $bad
