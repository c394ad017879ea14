#!/usr/bin/env bash
# Every evaluation on the test fold is counted in the checkpoint and reported; the one at the end of
# training counts once; evaluations on other folds or other data do not count.
. "$(dirname "$0")/common.sh"
make_data 160
write_small_job
run=(train small.ini --run run --set train.epochs=1)

# counted N: checks the number of looks stored in the checkpoint.
counted() {
    pneumo inspect run/best.h5 >about 2>log || fail "$(cat log)"
    grep -qE "test fold +evaluated $1 time$( (($1 == 1)) || echo s)$" about || fail "not $1: $(grep "test fold" about)"
}
pneumo "${run[@]}" >out 2>log || fail "$(cat log)"
grep -q "run/report.html shows it with plots" log || fail "it does not say where the page is: $(cat log)"
counted 1
grep -q '"test_looks":[[:space:]]*1,' run/report.json || fail "report.json does not count the evaluation"
pneumo "${run[@]}" --resume >out 2>log || fail "$(cat log)"
counted 1
! grep -q "fold was evaluated" out || fail "a warning at the first evaluation"

pneumo evaluate run/best.h5 --fold val >out 2>log || fail "$(cat log)"
counted 1
ranks 2 evaluate run/best.h5 --fold test >out 2>log || fail "$(cat log)"
counted 2
grep -q "^WARNING: the test fold was evaluated 2 times" out || fail "no warning at the second evaluation"

# Other images do not count.
pneumo pack phantoms -o other.h5 --size 32 --seed 2 >/dev/null 2>log || fail "$(cat log)"
pneumo evaluate run/best.h5 --data other.h5 --fold test >out 2>log || fail "$(cat log)"
counted 2
echo "looks at the test fold are counted"
