# shellcheck shell=bash
# Shared by the scripts of launch/: messages, the project's folders, what this machine has. Sourced, never run.

# shellcheck disable=SC2034  # used by the scripts that source this

RN_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
RN_DEPS=$RN_ROOT/.deps

say() { printf '%s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# die CODE MESSAGE...: the exit codes are those of rn_dist (1 failure, 2 usage, 3 environment, 4 data).
die() {
  local code=$1
  shift
  printf 'error: %s\n' "$@" >&2
  exit "$code"
}

# Prints the command as it could be typed, then runs it.
run() {
  printf '+ %s\n' "$(printf '%q ' "$@")" >&2
  "$@"
}

have() { command -v -- "$1" >/dev/null 2>&1; }

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Cores that this process may use: its affinity mask and, in a container, the CPU quota.
core_count() {
  local cores quota period
  # nproc would otherwise report OMP_NUM_THREADS.
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
  if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
    quota=$(((quota + period - 1) / period))
    if [ "$quota" -lt "$cores" ]; then cores=$quota; fi
  fi
  printf '%s\n' "$cores"
}

# Cores without their hyper-threads, which is what Open MPI counts as slots.
physical_core_count() {
  local cores siblings
  cores=$(core_count)
  siblings=$(cat /sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list 2>/dev/null | sort -u | wc -l)
  if [ "$siblings" -gt 0 ] && [ "$siblings" -lt "$cores" ]; then cores=$siblings; fi
  printf '%s\n' "$cores"
}

# NVIDIA GPUs that CUDA would show this process.
gpu_count() {
  local count=0
  if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    case $CUDA_VISIBLE_DEVICES in
      '' | -1*) printf '0\n' ;;
      *) tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -c . || true ;;
    esac
    return
  fi
  if have nvidia-smi; then count=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true); fi
  printf '%s\n' "$count"
}

# cpu or cuda: the CPU flavour unless an NVIDIA GPU is there or RN_CUDA=ON asks.
default_flavour() {
  case ${RN_CUDA:-AUTO} in
    ON | on | 1) printf 'cuda\n' ;;
    OFF | off | 0) printf 'cpu\n' ;;
    AUTO | auto) if [ "$(gpu_count)" -gt 0 ]; then printf 'cuda\n'; else printf 'cpu\n'; fi ;;
    *) die 2 "RN_CUDA is AUTO, ON or OFF, not '$RN_CUDA'" ;;
  esac
}

# json_value FILE KEY: the value of a top-level number or string of a JSON file that rn_dist wrote; empty if absent.
json_value() {
  sed -n 's/^.*"'"$2"'"[[:space:]]*:[[:space:]]*\("\([^"]*\)"\|\(-\{0,1\}[0-9][0-9.eE+-]*\)\).*$/\2\3/p' "$1" 2>/dev/null |
    head -n 1
}

# Open MPI's mpirun refuses to start, on one node too, where there is no ssh. Any program in its place will do there.
do_without_ssh() {
  if ! have ssh && ! have rsh; then export OMPI_MCA_plm_rsh_agent=${OMPI_MCA_plm_rsh_agent:-false}; fi
}
