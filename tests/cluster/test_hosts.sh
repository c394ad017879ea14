#!/usr/bin/env bash
# The main job on four hosts of two ranks each: the bits of one process, over TCP. A host that is
# cut off in mid-step ends the job with a message that names it, soon and everywhere, and the hosts
# that remain go on to the same bits. The hosts are namespaces (hosts.sh); where those are not
# allowed the test is skipped (exit code 77). Runs by hand, too, on a machine that has nothing yet:
# bash tests/cluster/test_hosts.sh
folder=$(realpath "$(dirname "$0")")
. "$folder/by_hand.sh" iproute2 procps
hosts=$folder/hosts.sh
[[ -n ${PNEUMO_HOSTS-} ]] || exec bash "$hosts" 4 -- bash "$0"

. "$folder/../cli/common.sh"
make_data 160
job=("$PNEUMO_SOURCE/jobs/cnn-deep-plain.ini" --threads 1 --set data.file=data.h5 --set data.size=32
     --set model.width=0.3 --set train.epochs=12 --set train.epoch_images=128 --set train.batch=32
     --set run.checkpoint_minutes=0.001)
steps=48

# over HOSTS RUN [OPTION]...: two ranks on each of the hosts. mpirun asks a host that was silent for
# $keepalive seconds whether it is there, and gives it up three seconds later.
keepalive=4
over() {
    mpirun --host "$1" --npernode 2 --mca oob_tcp_keepalive_time "$keepalive" \
        --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3 \
        "$PNEUMO_DIST" train "${job[@]}" --run "${@:2}"
}

same() {
    for file in last.h5 best.h5; do
        cmp "alone/$file" "$1/$file" || fail "$1/$file differs from that of one process"
    done
}

# Bytes that have reached host $1 over its network.
received() { bash "$hosts" on "$1" cat /proc/net/dev | awk '$1 == "eth0:" { print $2 }'; }

# What a job runs, on all hosts: they share one process namespace, and nobody else is in it.
program=$(basename "$PNEUMO_DIST")
running() { ps -e -o comm= | grep -Ex "mpirun|orted|${program:0:15}" || true; }

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

pneumo train "${job[@]}" --run alone >/dev/null 2>log || fail "$(cat log)"

# --- The same bits, over the network ---

before=$(received host3)
over host1:2,host2:2,host3:2,host4:2 spread >/dev/null 2>log || fail "$(cat log)"
bytes=$(($(received host3) - before))
grep -q "over 8 ranks" log || fail "not 8 ranks: $(cat log)"
same spread
# Each step brings what three other hosts have summed of a host's quarter of the gradient, and their
# quarters of the total: once for both ranks, who share it. The rest is a fifth of that at most.
parameters=$(sed -n 's/.*, \([0-9]*\) parameters.*/\1/p' log)
least=$((steps * 2 * 4 * parameters * 3 / 4))
((bytes > least)) || fail "only $bytes bytes went over the network"
((bytes < least * 5 / 4)) || fail "$bytes bytes went over the network, not $least"
echo "4 hosts of 2 ranks: the same, after $((bytes / 1000)) kB to host3"

# --- A host is cut off ---

# lose HOST HOSTS MESSAGE: cuts HOST off in mid-step of the run "broken", which then ends within a
# minute on all HOSTS with one MESSAGE.
lose() {
    local launcher code=0 start
    : >begun
    over "$2" broken --resume >/dev/null 2>log &
    launcher=$!
    # A step or two are done, forty and more are still to come.
    until [[ broken/last.h5 -nt begun ]]; do
        kill -0 "$launcher" 2>/dev/null || fail "the job ended by itself: $(cat log)"
        sleep 0.02
    done
    bash "$hosts" link "$1" down
    start=$(milliseconds)
    while [[ -n $(running) ]]; do
        (($(milliseconds) - start < 60000)) ||
            fail "these still run after a minute: $(running) $(cat log)"
        sleep 0.1
    done
    wait "$launcher" || code=$?
    ((code != 0)) || fail "a job that lost a host passed: $(cat log)"
    (($(grep -Ec "$3" log) == 1 && $(grep -c "^pneumo-dist: error" log) <= 1)) ||
        fail "not one message like '$3': $(cat log)"
    pneumo inspect broken/last.h5 >/dev/null || fail "broken/last.h5 is damaged"
    echo "without $1: all ended after $(($(milliseconds) - start)) ms, exit code $code:" \
         "$(grep -E "$3" log)"
}

# mpirun finds out.
job+=(--set run.watchdog_seconds=30)
lose host3 host1:2,host2:2,host3:2,host4:2 "Remote daemon: .* on node host3"

# The watchdog finds out, and not mpirun. That then has something to say to the lost host, so it
# gives up only when TCP does: with the kernel's own settings after a quarter of an hour.
keepalive=300
job+=(--set run.watchdog_seconds=8)
for name in host1 host4; do
    bash "$hosts" on "$name" "echo 3 >/proc/sys/net/ipv4/tcp_retries2"
done
lose host4 host1:2,host2:2,host4:2 "pneumo-dist: error: rank [01] on host1: epoch .* on host4"

over host1:2,host2:2 broken --resume >/dev/null 2>log || fail "$(cat log)"
same broken
echo "the hosts that remain went on: the same"
