#!/usr/bin/env bash
# Fine-tuning in two stages, with all that depends on it, gives the same checkpoints on 1, 2, 3, 5 and 8
# ranks and on 1 and 2 threads; after kill -9 in either stage, --resume on another number of ranks ends
# with the same checkpoints; so does a run that is extended. The log and `inspect` say what is frozen.
. "$(dirname "$0")/common.sh"
make_data 160
write_small_job
settings=(--set model.freeze=block3 --epochs 4 --set train.unfreeze_epoch=3 --set train.rate_decay=0.8
    --set regularise.l2_sp=0.01 --set train.schedule=cosine)

train() { # RUN RANKS ARGUMENT...
    local run=$1 count=$2
    shift 2
    ranks "$count" train small.ini --run "$run" "${settings[@]}" "$@" >out.txt 2>log || fail "$run: $(cat log)"
}
compare() {
    for file in last.h5 best.h5 history.csv; do
        cmp "one/$file" "$1/$file" || fail "$1/$file differs from that of one rank"
    done
}

train one 1 --threads 1
grep -q "frozen: 12 of 21 layers with weights, [0-9,]* parameters" log || fail "$(cat log)"
grep -q "from epoch 3 on, all layers are trained, [0-9]* parameters" log || fail "$(cat log)"
train two-threads 1 --threads 2
compare two-threads
for count in "${rank_counts[@]}"; do
    train "r$count" "$count" --threads $((1 + count % 2)) --set run.audit_steps=1 \
        --set run.share_ranks=$((count % 3))
    compare "r$count"
    echo "$count ranks: the same"
done
train other 2 --set train.rate_decay=1
! cmp -s one/last.h5 other/last.h5 || fail "rate_decay changed nothing"

# Frozen layers hold on in the published networks, too, with batch normalisation and without.
for model in vgg16 xception; do
    for count in 1 3; do
        train "$model-$count" "$count" --set model.name=$model --set model.width=0.1 --set data.size=32 \
            --set train.epoch_images=32 --set train.warmup_epochs=0 --set model.freeze=base
        cmp "$model-1/last.h5" "$model-$count/last.h5" || fail "$model depends on the ranks"
    done
done

# kill -9 of all ranks at a random moment of an epoch, until both stages have been hit. A run that was
# too fast begins again. Stage 2 begins after 2 epochs.
RANDOM=${PNEUMO_KILL_SEED:-1}
declare -A hit
for ((try = 0; try < 20; try++)); do
    ranks 2 train small.ini --run broken --resume "${settings[@]}" --set run.checkpoint_minutes=0.0001 \
        >/dev/null 2>broken.log &
    launcher=$!
    # Lines of the history to wait for, which has a head.
    lines=$((${hit[1]:-0} == 0 ? 0 : 3 + try % 2))
    while kill -0 "$launcher" 2>/dev/null; do
        [[ -e broken/last.h5 ]] && (($(wc -l <broken/history.csv 2>/dev/null || echo 0) >= lines)) && break
        sleep 0.01
    done
    sleep "0.0$((RANDOM % 5))"
    kill -9 $(ours) 2>/dev/null || true
    for ((t = 0; t < 150; t++)); do
        kill -0 "$launcher" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$launcher" 2>/dev/null || true
    wait "$launcher" || true
    [[ $(pneumo inspect broken/last.h5) =~ trained\ +([0-9]+)\ epochs ]] || fail "broken/last.h5"
    epochs=${BASH_REMATCH[1]}
    frozen=$(pneumo inspect broken/last.h5 | grep -c "frozen  *12 of 21 layers" || true)
    echo "killed after $epochs epochs, frozen: $frozen"
    ((epochs == 2 || frozen == (epochs < 2))) || fail "after $epochs epochs, inspect: $frozen"
    if ((epochs == 4)); then
        rm -rf broken
        continue
    fi
    hit[$frozen]=1
    ((${hit[0]:-0} && ${hit[1]:-0})) && break
done
((${hit[0]:-0} && ${hit[1]:-0})) || fail "20 runs, and no kill in stage $((${hit[1]:-0} + 1))"
train broken 3 --resume
compare broken

# A model to start from is needed for the first step only, also in two stages.
cp one/best.h5 start.h5
train from 1 --set model.from=start.h5
ranks 2 train small.ini --run moved "${settings[@]}" --set model.from=start.h5 \
    --set run.checkpoint_minutes=0.001 >/dev/null 2>broken.log &
launcher=$!
for ((t = 0; t < 1200; t++)); do
    [[ -e moved/last.h5 ]] && break
    kill -0 "$launcher" 2>/dev/null || break
    sleep 0.05
done
kill -9 $(ours) "$launcher" 2>/dev/null || true
wait "$launcher" || true
rm start.h5
train moved 3 --resume --set model.from=start.h5
cmp from/last.h5 moved/last.h5 || fail "the run from another model differs after a resume"

# The network of the second stage is stored as the first one, whether it follows it or a resume.
settings=(--set model.freeze=block3 --set train.unfreeze_epoch=2 --set train.schedule=constant
    --set model.precision=bf16)
train whole 1 --epochs 3
train halves 1 --epochs 2
train halves 3 --epochs 3 --resume
cmp whole/last.h5 halves/last.h5 || fail "in bf16, a resume in the second stage changes the result"

# More epochs continue a finished run; fewer than it has are refused.
settings=(--epochs 2 --set train.schedule=constant)
train short 1
settings=(--epochs 3 --set train.schedule=constant)
train long 1
train short 3 --resume
grep -q "3 epochs instead of 2: the learning rate continues at 0.002, as schedule 'constant'" log ||
    fail "$(cat log)"
for file in last.h5 history.csv; do # best.h5 may be of the first two epochs, with their job
    cmp "long/$file" "short/$file" || fail "extended: $file differs"
done
code=0
pneumo train small.ini --run short --resume --set train.schedule=constant --epochs 2 >/dev/null 2>log || code=$?
((code == 1)) && grep -q "short/last.h5: it has been trained for 3 epochs, so train.epochs = 2 is too few" log ||
    fail "exit code $code: $(cat log)"
