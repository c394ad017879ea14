#!/usr/bin/env bash
# Every evaluation on the test fold is counted in the checkpoint and reported; the one at the end of
# training counts once; evaluations on other folds or other images do not count, but those of the same test
# images in another file do.
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

# Other images do not count, nor do those that cannot be compared.
pack() { pneumo pack "$@" >/dev/null 2>log || fail "$(cat log)"; }
evaluate() { pneumo evaluate run/best.h5 --fold test "$@" >out 2>log || fail "$(cat log)"; }
pneumo synth others --images 60 --seed 9 2>/dev/null
find others -type f | while read -r file; do # other patients than those of phantoms
    mv "$file" "$(dirname "$file")/$(basename "$file" | sed 's/^person/person900/; s/^IM-0/IM-9/')"
done
pack others -o other.h5 --size 32
evaluate --data other.h5
! grep -q "not counted" log || fail "$(cat log)"
counted 2
pack phantoms -o large.h5 --size 40
evaluate --data large.h5
grep -q "not counted as an evaluation of the training data's test fold: data.h5 is not there or" log ||
    fail "nothing of what cannot be compared: $(cat log)"
counted 2

# The same test images in another file: packed with another seed, and appended to.
pack phantoms -o again.h5 --size 32 --seed 2
evaluate --data again.h5
counted 3
pack others -o more.h5 --append data.h5
evaluate --data more.h5
counted 4
grep -q "^WARNING: the test fold of the training data was evaluated 4 times" out || fail "$(grep WARNING out)"
mv more.h5 data.h5
evaluate
counted 5
rm data.h5
evaluate --data again.h5
counted 5
echo "looks at the test fold are counted"
