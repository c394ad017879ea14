#!/usr/bin/env bash
# Runs a real SLURM on this machine, on loopback and in its own folder. It does not affect the
# configuration, key, ports or services of an installed SLURM.
#
# slurm.sh start FOLDER       creates FOLDER and starts munged, slurmctld and four slurmd (pd1 to
#                             pd4, 8 CPUs each) until `stop` or until the calling process ends. Installs
#                             SLURM if it is missing. Exit code 77 and a message if it cannot.
# slurm.sh fail FOLDER NODE   kills all processes of that node, like a power failure.
# slurm.sh stop FOLDER        kills the daemons and all processes that they started.
#
# With SLURM_CONF=FOLDER/slurm.conf in the environment, sbatch and the other commands use it.
set -euo pipefail
# This variable marks the processes of the cluster, to which this script does not belong.
[[ -z ${SLURM_CONF:-} ]] || exec env -u SLURM_CONF bash "$0" "$@"
PATH=$PATH:/usr/sbin:/sbin
if (($# < 2)); then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
command=$1
folder=$2
nodes=(pd1 pd2 pd3 pd4)

skip() {
    echo "skipped: $*" >&2
    exit 77
}

# ours [NODE]: prints the process ids of the daemons and of all processes that they started, or of
# those of a node. All inherit these variables; step managers overwrite theirs but stay in the
# folder in which their daemon was started.
ours() {
    local files
    files=$(grep -slzFx "SLURM_CONF=$folder/slurm.conf" /proc/[0-9]*/environ || true)
    (($# == 0)) || files=$(grep -slzFx "SLURMD_NODENAME=$1" /dev/null $files || true)
    files+=" $(find /proc/[0-9]*/cwd -maxdepth 0 -lname "$folder/${1:-*}" 2>/dev/null || true)"
    tr -cs 0-9 ' ' <<<"$files"
}

# Repeats until there are none left, since a process may just have started another. Stops all before
# killing the first, so that none can report the end of another.
kill_ours() {
    local pids
    while pids=$(ours "$@") && [[ $pids == *[0-9]* ]]; do
        kill -STOP $pids 2>/dev/null || true
        kill -KILL $pids 2>/dev/null || true
        sleep 0.1
    done
}

check() {
    local program
    # Without one, SLURM cannot resolve any name or address.
    [[ -n $(hostname -I) ]] || skip "SLURM needs a network interface besides loopback"
    getent hosts "$(hostname -s)" >/dev/null ||
        skip "SLURM looks up the machine's own name: put $(hostname -s) into /etc/hosts"
    grep -q ' /sys/fs/cgroup' /proc/mounts || skip "SLURM needs /sys/fs/cgroup"
    for program in munged slurmctld slurmd sbatch; do
        command -v $program >/dev/null && continue
        "$(dirname "$0")/../../jobs/install.sh" slurm-wlm munge >&2 ||
            skip "SLURM is not installed"
    done
}

# Prints the first of a range of unused ports, below the range of ephemeral ports.
free_ports() {
    local first port
    while true; do
        first=$((10000 + RANDOM % 20000))
        for ((port = first; port <= first + ${#nodes[@]}; port++)); do
            ! (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null || continue 2
        done
        echo $first
        return
    done
}

configure() {
    local port user=$(id -un) node
    port=$(free_ports)
    head -c 128 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    mkdir "$folder/state"
    : >"$folder/plugstack.conf"
    cat >"$folder/slurm.conf" <<CONF
ClusterName=pneumo
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
TmpFS=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
PlugStackConfig=$folder/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=pmix
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# The nodes may declare more CPUs than the machine has.
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
ReturnToService=2
# From SIGTERM to SIGKILL.
KillWait=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
CONF
    for node in "${nodes[@]}"; do
        port=$((port + 1))
        echo "NodeName=$node NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$port CPUs=8"
        mkdir "$folder/$node"
    done >>"$folder/slurm.conf"
    cat >>"$folder/slurm.conf" <<'CONF'
PartitionName=normal Nodes=ALL Default=YES PriorityTier=1
PartitionName=urgent Nodes=ALL PriorityTier=2
CONF
}

# Runs the daemons until process $1 ends.
keep() {
    local node
    echo $$ >"$folder/keeper.pid"
    trap 'unset SLURM_CONF; kill_ours' EXIT
    export SLURM_CONF=$folder/slurm.conf
    munged --foreground --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" \
           --pid-file "$folder/munged.pid" --log-file "$folder/munged.log" \
           --seed-file "$folder/munge.seed" &
    slurmctld -D &
    for node in "${nodes[@]}"; do
        (cd "$folder/$node" && SLURMD_NODENAME=$node exec slurmd -D -N "$node") &
    done
    while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
}

is_ready() {
    [[ $(SLURM_CONF=$folder/slurm.conf sinfo --noheader --states idle --partition normal \
        --format %D 2>/dev/null) == "${#nodes[@]}" ]]
}

start() {
    check
    mkdir -p "$folder"
    configure
    # In a separate session, so that killing the caller's process group does not affect it.
    setsid -f bash "$0" keep "$folder" "$PPID" </dev/null >"$folder/daemons.log" 2>&1
    while ((SECONDS < 60)) && kill -0 "$PPID" 2>/dev/null; do
        ! is_ready || return 0
        sleep 0.2
    done
    kill_ours
    ((EUID == 0)) || skip "SLURM does not start without root"
    echo "SLURM does not start:" >&2
    grep -hi -e error -e fatal "$folder"/*.log >&2
    exit 1
}

case $command in
start) start ;;
keep) keep "$3" ;;
fail) kill_ours "$3" ;;
stop)
    ! keeper=$(cat "$folder/keeper.pid" 2>/dev/null) || kill -KILL "$keeper" 2>/dev/null || true
    kill_ours
    ;;
esac
