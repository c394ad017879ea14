#!/usr/bin/env bash
# The main job on four hosts of two ranks each gives the bits of one process, over TCP. If a host is
# disconnected during a step, or a rank on it killed or stopped, the job soon ends on all hosts with one
# message of a survivor that names it, and resuming on the remaining hosts gives the same bits. The hosts are namespaces (hosts.sh); without
# permission to create them the test is skipped (exit code 77). Can be started by hand on a machine
# without the dependencies: bash tests/cluster/test_hosts.sh
folder=$(realpath "$(dirname "$0")")
. "$folder/by_hand.sh" iproute2 procps
hosts=$folder/hosts.sh
[[ -n ${PNEUMO_HOSTS-} ]] || exec bash "$hosts" 4 -- bash "$0"

. "$folder/../cli/common.sh"
# Survivors have the time that mpirun gives them by default.
unset OMPI_MCA_odls_base_sigkill_timeout
make_data 160
job=("$PNEUMO_SOURCE/jobs/cnn-deep-plain.ini" --threads 1 --set data.file=data.h5 --set data.size=32
     --set model.width=0.3 --set train.epochs=12 --set train.epoch_images=128 --set train.batch=32
     --set run.checkpoint_minutes=0.001)
steps=48

# over HOSTS RUN [OPTION]...: trains with two ranks on each of the hosts. After $keepalive seconds
# of silence mpirun probes a host, and three seconds later it considers it lost.
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

# Prints the bytes that host $1 has received over the network.
received() { bash "$hosts" on "$1" cat /proc/net/dev | awk '$1 == "eth0:" { print $2 }'; }

# Prints the processes of a job on all hosts, which share one PID namespace with no other processes.
program=$(basename "$PNEUMO_DIST")
running() { ps -e -o comm= | grep -Ex "mpirun|orted|${program:0:15}" || true; }

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

pneumo train "${job[@]}" --run alone >/dev/null 2>log || fail "$(cat log)"

# --- The same bits over the network ---

before=$(received host3)
over host1:2,host2:2,host3:2,host4:2 spread >/dev/null 2>log || fail "$(cat log)"
bytes=$(($(received host3) - before))
grep -q "over 8 ranks" log || fail "not 8 ranks: $(cat log)"
same spread
# In each step a host receives the sums of its quarter of the gradient from the three others, and
# their quarters of the total, once for both of its ranks, which share memory. Everything else is at
# most a quarter of that.
parameters=$(sed -n 's/.*, \([0-9]*\) parameters.*/\1/p' log)
least=$((steps * 2 * 4 * parameters * 3 / 4))
((bytes > least)) || fail "only $bytes bytes were received over the network"
((bytes < least * 5 / 4)) || fail "$bytes bytes were received, expected about $least"
echo "4 hosts of 2 ranks: equal checkpoints; host3 received $((bytes / 1000)) kB"

# --- A host is disconnected, or loses a rank ---

# Prints the process of rank $1.
process_of() {
    local pid
    for pid in $(pgrep -x "${program:0:15}"); do
        grep -zqx "OMPI_COMM_WORLD_RANK=$1" "/proc/$pid/environ" 2>/dev/null && echo "$pid"
    done
    return 0
}

# signal SIGNAL RANK
signal() { kill "-$1" "$(process_of "$2")"; }

# lose HOSTS MESSAGE FAULT...: runs the command FAULT during a step of the run "broken", which must then
# end within a minute on all HOSTS with one MESSAGE.
lose() {
    local launcher code=0 start
    : >begun
    over "$1" broken --resume >/dev/null 2>log &
    launcher=$!
    # A step or two are done, and forty or more remain.
    until [[ broken/last.h5 -nt begun ]]; do
        kill -0 "$launcher" 2>/dev/null || fail "the job ended prematurely: $(cat log)"
        sleep 0.02
    done
    "${@:3}"
    start=$(milliseconds)
    while [[ -n $(running) ]]; do
        (($(milliseconds) - start < 60000)) ||
            fail "still running after a minute: $(running) $(cat log)"
        sleep 0.1
    done
    wait "$launcher" || code=$?
    ((code != 0)) || fail "a job succeeded after '${*:3}': $(cat log)"
    (($(grep -Ec "$2" log) == 1 && $(grep -Ec "^pneumo-dist: .*rank [0-9] on" log) <= 1)) ||
        fail "expected exactly one message '$2': $(cat log)"
    pneumo inspect broken/last.h5 >/dev/null || fail "broken/last.h5 is damaged"
    echo "${*:3}: all ended after $(($(milliseconds) - start)) ms, exit code $code:" \
         "$(grep -E "$2" log)"
}

all=host1:2,host2:2,host3:2,host4:2
job+=(--set run.watchdog_seconds=8)
died="received a termination signal while waiting for .*"
# The connections to a dead rank break, and Open MPI no longer returns from its calls on other ranks.
lose "$all" "rank 0 on host1: epoch .*$died rank 3 on host2 does not respond" signal KILL 3
lose "$all" "rank 1 on host1: epoch .*$died rank 0 on host1 does not respond" signal KILL 0
# The stopped rank 0 is continued by the launcher, after rank 1 has given up, and says no more.
lose "$all" "rank 1 on host1: epoch .* rank 0 on host1 has not responded for [45] s" signal STOP 0

# mpirun detects it.
job+=(--set run.watchdog_seconds=30)
lose "$all" "Remote daemon: .* on node host3" bash "$hosts" link host3 down

# The watchdog detects it instead of mpirun, which then tries to send to the lost host until TCP
# gives up: with the default settings of the kernel, after a quarter of an hour.
keepalive=300
job+=(--set run.watchdog_seconds=8)
for name in host1 host4; do
    bash "$hosts" on "$name" "echo 3 >/proc/sys/net/ipv4/tcp_retries2"
done
lose host1:2,host2:2,host4:2 "pneumo-dist: error: rank [01] on host1: epoch .* on host4" \
    bash "$hosts" link host4 down

over host1:2,host2:2 broken --resume >/dev/null 2>log || fail "$(cat log)"
same broken
echo "resumed on the remaining hosts: equal checkpoints"
