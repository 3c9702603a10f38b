# shellcheck shell=bash
# Several hosts on one machine: each has network, UTS (host name) and mount namespaces of its own, with its own
# /dev/shm and loopback. Sourced by the tests of SLURM and of several hosts; needs root.
#
#   hosts_up FOLDER NAME...   makes the hosts; FOLDER is seen by all of them, as the rest of the file system is
#   join_hosts A B            an Ethernet cable between two of them (10.77.0.1, 10.77.0.2, ... in order of their names)
#   in_host NAME COMMAND...   runs it there, in the same working folder
#   host_address NAME
#   pids_in_host NAME         all processes there
#   hosts_down                ends all that runs there (for a trap on EXIT); the namespaces go with their last process
#   seen TEXT...              what a case has shown, for the page; log_case SCRIPT CASE STATUS appends it and the time
#                             to the file that RN_POINT_LOG names, if it does (tools/reliability_tables.py)

RN_SKIP=77  # exit status of a test that this machine cannot run

skip() {
  printf 'SKIPPED: %s\n' "$*"
  exit "$RN_SKIP"
}

seen_facts=()
seen() {
  printf 'seen: %s\n' "$*"
  seen_facts+=("$*")
}
log_case() {
  if [ -z "${RN_POINT_LOG:-}" ] || [ "$3" -eq "$RN_SKIP" ]; then return; fi
  python3 -c '
import json, sys
script, case, status, seconds, *seen = sys.argv[1:]
print(json.dumps({"script": script, "case": case, "passed": status == "0", "seconds": int(seconds), "seen": seen}))
' "$1" "$2" "$3" "$SECONDS" ${seen_facts[@]+"${seen_facts[@]}"} >>"$RN_POINT_LOG"
}

# Where namespaces cannot be made there is nothing to test.
need_namespaces() {
  local tool
  [ "$(id -u)" -eq 0 ] || skip 'needs root, for network namespaces'
  for tool in ip unshare nsenter; do
    command -v "$tool" >/dev/null || skip "needs $tool (Debian: iproute2, util-linux); launch/test --hosts installs it"
  done
  unshare --net --uts --mount true 2>/dev/null || skip 'this container forbids namespaces'
}

host_names=()

# The process that keeps a host's namespaces, by the host's name.
declare -A host_keeper

host_address() {
  local i
  for i in "${!host_names[@]}"; do
    if [ "${host_names[i]}" = "$1" ]; then printf '10.77.0.%d\n' $((i + 1)); fi
  done
}

hosts_up() {
  local folder=$1 name
  shift
  host_names=("$@")
  {
    printf '127.0.0.1 localhost\n'
    for name in "$@"; do printf '%s %s\n' "$(host_address "$name")" "$name"; done
  } >"$folder/hosts"
  for name in "$@"; do
    mkdir -p "$folder/$name"
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --net --uts --mount bash -c '
        set -e
        hostname "$1"
        mount -t tmpfs tmpfs /dev/shm
        mount --bind "$2/hosts" /etc/hosts
        ip link set lo up
        : >"$2/$1/ready"
        exec sleep infinity' host "$name" "$folder" </dev/null >"$folder/$name/keeper.log" 2>&1 &
    host_keeper[$name]=$!
    printf '%s\n' "$!" >"$folder/$name/keeper"
  done
  for name in "$@"; do
    until [ -e "$folder/$name/ready" ]; do
      kill -0 "${host_keeper[$name]}" 2>/dev/null || skip "no namespace for $name: $(cat "$folder/$name/keeper.log")"
      sleep 0.05
    done
  done
}

in_host() {
  local keeper=${host_keeper[$1]}
  shift
  nsenter --target "$keeper" --net --uts --mount --wdns="$PWD" -- "$@"
}

join_hosts() {
  local a=$1 b=$2 host
  ip link add "rn$$a" type veth peer name "rn$$b"
  ip link set "rn$$a" netns "${host_keeper[$a]}" name eth0
  ip link set "rn$$b" netns "${host_keeper[$b]}" name eth0
  for host in "$a" "$b"; do
    in_host "$host" ip addr add "$(host_address "$host")/24" dev eth0
    in_host "$host" ip link set eth0 up
  done
}

pids_in_host() {
  local namespace entry
  namespace=$(readlink "/proc/${host_keeper[$1]}/ns/net") || return 0
  for entry in /proc/[0-9]*; do
    if [ "$(readlink "$entry/ns/net" 2>/dev/null)" = "$namespace" ]; then printf '%s\n' "${entry#/proc/}"; fi
  done
}

hosts_down() {
  local name pids
  for name in ${host_names[@]+"${host_names[@]}"}; do
    # The keeper last: its namespace tells what is to be ended.
    mapfile -t pids < <(pids_in_host "$name" | grep -vx "${host_keeper[$name]}")
    [ "${#pids[@]}" -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
  done
  for name in ${host_names[@]+"${host_names[@]}"}; do kill -KILL "${host_keeper[$name]}" 2>/dev/null; done
  wait "${host_keeper[@]}" 2>/dev/null
  host_names=()
}
