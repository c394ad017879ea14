#!/usr/bin/env bash
# The same seed gives the same checkpoints, bit for bit, on 1, 2, 3, 5 and 8 ranks and on 1 and 2
# threads, with dropout, augmentation, batch normalisation and a moving average on.
. "$(dirname "$0")/common.sh"
make_data
write_small_job

pneumo train small.ini --run one --threads 1 >one.txt 2>one.log || fail "$(cat one.log)"
same() {
    for file in last.h5 best.h5; do
        cmp "one/$file" "$1/$file" || fail "$1/$file differs from that of one rank"
    done
    # The report is the same too, except for place and speed.
    diff <(grep -E '%|truly' one.txt) <(grep -E '%|truly' "$1.txt") || fail "the figures of $1 differ"
}
pneumo train small.ini --run two-threads --threads 2 >two-threads.txt 2>log || fail "$(cat log)"
same two-threads
for count in "${rank_counts[@]}"; do
    threads=$((count == 3 ? 2 : 1))
    # Comparing the ranks' weights after every step, or never, changes nothing.
    ranks "$count" train small.ini --run "r$count" --threads $threads \
        --set run.audit_steps=$((count == 5 ? 0 : 1)) >"r$count.txt" 2>log || fail "$(cat log)"
    same "r$count"
    echo "$count ranks of $threads threads: the same"
done

# The comparison must be able to fail: another seed gives another model.
pneumo train small.ini --run other --seed 2 >/dev/null 2>&1
! cmp -s one/last.h5 other/last.h5 || fail "two seeds gave one model"

# Balancing by shape is said, and trains on other images than balancing by class alone.
grep -q "train images are weighted to reduce differences of shape and size" one.log || fail "$(cat one.log)"
pneumo train small.ini --run classes --set data.balance=oversample >/dev/null 2>log || fail "$(cat log)"
! cmp -s one/history.csv classes/history.csv || fail "balance = shape changed nothing"

# Statistics per lane and the plain all-reduce leave all ranks with the same weights; with statistics
# per lane the bits do not depend on the ranks.
for count in 1 3; do
    ranks "$count" train small.ini --run "lane$count" --epochs 1 --set model.batchnorm=lane \
        --set run.audit_steps=1 >/dev/null 2>log || fail "$(cat log)"
done
cmp lane1/last.h5 lane3/last.h5 || fail "batchnorm = lane depends on the ranks"
! cmp -s one/last.h5 lane1/last.h5 || fail "batchnorm = lane changed nothing"
ranks 3 train small.ini --run mpi3 --set run.reduction=mpi --epochs 1 \
    --set run.audit_steps=1 >/dev/null 2>log || fail "$(cat log)"

# Nor do those of the published networks, for any groups that share memory and for both precisions.
published() { # MODEL PRECISION RANKS...
    local model=$1 precision=$2 run=$1-$2 count
    shift 2
    for count in 1 "$@"; do
        ranks "$count" train small.ini --run "$run-$count" --epochs 1 --threads $((1 + count % 2)) \
            --set model.name="$model" --set model.precision="$precision" --set model.width=0.1 \
            --set data.size=32 --set train.epoch_images=32 --set run.audit_steps=1 \
            --set run.share_ranks=$((count % 4)) >/dev/null 2>log ||
            fail "$model in $precision on $count ranks: $(cat log)"
        cmp "$run-1/last.h5" "$run-$count/last.h5" ||
            fail "$model in $precision depends on the ranks"
    done
    echo "$model in $precision: the same"
}
for model in vgg16 xception; do
    for precision in float32 bf16; do
        published $model $precision "${rank_counts[@]}"
    done
done
# The layers of vgg16, and three more of the same kind.
published vgg19 float32 3
! cmp -s xception-float32-1/last.h5 xception-bf16-1/last.h5 || fail "model.precision changed nothing"
