#!/usr/bin/env bash
# A real SLURM on this machine, on loopback and out of a folder of its own: no configuration, key,
# port or service of an installed one is touched.
#
# slurm.sh start FOLDER       makes FOLDER and starts munged, slurmctld and four slurmd (pd1 to pd4,
#                             8 CPUs each) until `stop`, or until the calling process has ended in
#                             whatever way. Installs SLURM where it is missing. Exit code 77, and a
#                             line that says why, where it cannot.
# slurm.sh fail FOLDER NODE   what a power cut does: everything on that node is killed.
# slurm.sh stop FOLDER        kills the daemons and everything that they started.
#
# With SLURM_CONF=FOLDER/slurm.conf in the environment, sbatch and all others work with it.
set -euo pipefail
# It is known by this variable who belongs to the cluster: not this script.
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

# ours [NODE]: the daemons and everything that they have started, or those of a node, by process id.
# All inherit these variables; step managers overwrite theirs, but stay in the folder where their
# daemon was started.
ours() {
    local files
    files=$(grep -slzFx "SLURM_CONF=$folder/slurm.conf" /proc/[0-9]*/environ || true)
    (($# == 0)) || files=$(grep -slzFx "SLURMD_NODENAME=$1" /dev/null $files || true)
    files+=" $(find /proc/[0-9]*/cwd -maxdepth 0 -lname "$folder/${1:-*}" 2>/dev/null || true)"
    tr -cs 0-9 ' ' <<<"$files"
}

# Again until there are none, since what is killed may just have started another. All are stopped
# before the first is killed, so that none lives to report the end of another.
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
    # Names do not resolve, not even addresses.
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

# The first of a row of ports that nobody listens at, below those that the system hands out.
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
# There need not be as many CPUs as the nodes promise.
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

# Runs the daemons until process $1 has ended.
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
    # A session of its own: what kills the caller with all its children does not reach it.
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
