#!/usr/bin/env bash
# Simulates several hosts on one machine: namespaces with their own network address, name (host1,
# host2, ...), /dev/shm and System V memory, connected by veth pairs and a bridge. They exist only
# as long as the processes inside, so nothing is left behind, however those end.
#
#     hosts.sh COUNT [--rate 1gbit] -- COMMAND...
#                                       creates COUNT hosts, runs COMMAND on host1, and then ends all
#                                       processes on them; --rate limits the link of each host in
#                                       both directions
#
# All hosts use the files of the machine; TMPDIR is a folder in memory that they share and that is
# removed with them. The environment of COMMAND configures mpirun with eight slots per host: `mpirun
# -np 8 COMMAND` fills host1, `mpirun --npernode 2 COMMAND` starts two ranks on each host. COMMAND
# can also call:
#
#     hosts.sh on HOST COMMAND...       runs a shell command on that host, like ssh
#     hosts.sh link HOST down           disconnects the host from the network; `up` reconnects it
#
# Exit code 77 if this user may not create namespaces. Needs util-linux and iproute2.
set -euo pipefail
self=$(realpath "${BASH_SOURCE[0]}")
PATH=$PATH:/usr/sbin:/sbin

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$self" >&2
    exit 2
}

# Prints the process that holds the namespaces of host $1 or of the bridge; PNEUMO_HOSTS lists them
# by name.
holder() {
    local pair
    for pair in ${PNEUMO_HOSTS:?set only for commands that hosts.sh runs}; do
        [[ $pair != "$1="* ]] || { echo "${pair#*=}" && return; }
    done
    echo "hosts.sh: unknown host '$1'" >&2
    return 1
}

# on HOST PROGRAM ARGUMENT...
on() {
    local pid
    pid=$(holder "$1")
    nsenter --target "$pid" --net --uts --ipc --mount --root -- env -C "$PWD" "${@:2}"
}

# Limits the outgoing traffic of device $2 of host $1, or of the switch, to $rate.
limit() {
    [[ -z $rate ]] || on "$1" tc qdisc add dev "$2" root tbf rate "$rate" burst 256k latency 100ms
}

make_switch() {
    PNEUMO_HOSTS="switch=$$"
    # Each host later mounts its own /dev/shm over this one.
    mount -t tmpfs hosts /dev/shm
    mkdir /dev/shm/shared
    echo "127.0.0.1 localhost" >/dev/shm/hosts
    mount --bind /dev/shm/hosts /etc/hosts
    ip link set lo up
    ip link add switch type bridge
    ip link set switch up
}

make_host() {
    local name=host$1 pid
    unshare --net --uts --ipc --mount sleep infinity &
    pid=$!
    PNEUMO_HOSTS+=" $name=$pid"
    until [[ $(readlink "/proc/$pid/ns/mnt") != "$(readlink /proc/$$/ns/mnt)" ]]; do
        sleep 0.01
    done
    echo "10.77.0.$1 $name" >>/dev/shm/hosts
    ip link add "$name" type veth peer name eth0 netns "$pid"
    ip link set "$name" master switch up
    on "$name" hostname "$name"
    # Its own /dev/shm, which contains the shared folder.
    on "$name" sh -c "exec 9</dev/shm/shared && mount -t tmpfs shm /dev/shm &&
        mkdir /dev/shm/shared && mount --no-canonicalize --bind /proc/self/fd/9 /dev/shm/shared"
    on "$name" ip link set lo up
    on "$name" ip address add "10.77.0.$1/16" dev eth0
    on "$name" ip link set eth0 up
    limit "$name" eth0
    limit switch "$name"
}

case ${1-} in
on)
    (($# > 2)) || usage
    on "$2" sh -c "${*:3}"
    exit
    ;;
link)
    (($# == 3)) || usage
    on switch ip link set "$2" "$3"
    exit
    ;;
--inside)
    count=$2 rate=$3
    shift 3
    make_switch
    names=()
    for ((i = 1; i <= count; i++)); do
        make_host "$i"
        names+=("host$i:8")
    done
    export PNEUMO_HOSTS
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    export OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent="$self on"
    export OMPI_MCA_orte_default_dash_host=$(IFS=, && echo "${names[*]}")
    # The hosts share the machine's /tmp, where files of different hosts would collide and would
    # remain afterwards.
    export OMPI_MCA_orte_tmpdir_base=/dev/shm TMPDIR=/dev/shm/shared
    export OMPI_MCA_pml=ob1 OMPI_MCA_btl=tcp,vader,self
    export OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0
    export OMPI_MCA_btl_tcp_disable_family=6 OMPI_MCA_oob_tcp_disable_ipv6_family=1
    # All hosts share the cores of the machine.
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    export OMPI_MCA_mpi_yield_when_idle=1 OMP_WAIT_POLICY=passive
    code=0
    on host1 "$@" || code=$?
    exit $code
    ;;
esac

[[ ${1-} =~ ^[1-9][0-9]?$ ]] || usage
count=$1 rate=
shift
if [[ ${1-} == --rate ]]; then
    rate=${2-}
    shift 2 || usage
fi
[[ ${1-} == -- ]] && (($# > 1)) || usage
shift

make=(unshare --net --uts --ipc --mount --pid --mount-proc --fork --kill-child)
((EUID == 0)) || make+=(--user --map-root-user)
if ! command -v ip >/dev/null || ! "${make[@]}" true 2>/dev/null; then
    echo "hosts.sh: skipped; it needs iproute2 and permission to create namespaces (root)" >&2
    exit 77
fi
# The first process of the new PID namespace dies with this one, and with it all other processes of
# the namespace and all networks. (Not exec, since unshare ignores SIGTERM.)
code=0
setpriv --pdeathsig KILL "${make[@]}" bash "$self" --inside "$count" "$rate" "$@" || code=$?
exit $code
