#!/usr/bin/env bash
# Calls that fail, tear or wait, one per run, on 1 and 2 ranks: writes, flushes, renames, links, new files
# and folders, cutting, closing, removing, memory; and steps of the clock. All ranks end, with exit code 1 and one message, or with 0
# if the result does not depend on the call; no checkpoint is lost or damaged, no temporary file is left,
# and resuming gives the bits of an uninterrupted run.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/deaths.sh"
. "$(dirname "$0")/faults.sh"
make_tiny

# meet RANKS RANK CALL MANNER N...: runs in which the Nth such call of that rank fails.
meet() {
    local n
    manner=$4
    for n in "${@:5}"; do
        fault=(FAIL_RANK="$2" FAIL_CALL="$3" FAIL_AS="$4" FAIL_AT="$n") killed=0
        [[ $4 != *kill ]] || killed=1
        rm -rf run
        start "$1" run
        await 60
        where="$3 $4, number $n of rank $2 of $1: exit code $code: $(cat log)"
        [[ -e record ]] || fail "there is no such call: $where"
        ((!hung)) || fail "not all ranks ended: $where"
        judge run 0
        ((!lost && !damaged)) || fail "a checkpoint is lost or damaged: $(ls run) $where"
        ((!left)) || fail "a temporary file is left: $(ls run) $where"
        ((!unclear)) || fail "not the message that is due: $where"
        conclude run
        ((!differ)) || fail "resumed, the run does not end as without faults: $(cat resume.log) $where"
        cases=$((cases + 1))
    done
}

cases=0
meet 1 0 write ENOSPC 1 2 3 6 12
meet 1 0 write full 5 11
meet 1 0 write short 2 3 12
meet 1 0 write torn 2 3 12
meet 1 0 write torn-kill 2 6 12
meet 1 0 fsync EIO 1 2 3 9
meet 1 0 rename EIO 1 2 3 9
meet 1 0 link EIO 1 2 3 4
meet 1 0 create ENOSPC 1 2 3 9
meet 1 0 mkdir EIO 1
meet 1 0 truncate EIO 1
meet 1 0 close EIO 1 2 3 9
meet 1 0 unlink EIO 1 2 3 9
meet 1 0 memory ENOMEM 1 2 3 50 400
meet 2 0 write ENOSPC 12
meet 2 0 fsync EIO 9
# 178 and 179: between training and evaluation; the last: under a change of the stress test.
meet 2 1 memory ENOMEM 1 2 3 50 178 179 345
meet 2 1 mmap ENOMEM 1
meet 2 0 write stall 12 # for longer than the watchdog waits for a rank
meet 1 0 fsync slow 1
for step in back ahead; do
    meet 2 0 clock $step 1 4
done

# Whatever fails before the first checkpoint, only status.csv is left.
rm -rf run
fault=(FAIL_CALL=write FAIL_AT=6 FAIL_AS=full)
start 1 run && await 60
[[ $(ls run) == status.csv ]] || fail "without a checkpoint, $(ls run) is left: $(cat log)"
echo "$cases faults"
