# shellcheck shell=bash
# How many ranks, and the command that starts them. Sourced by launch/run after common.sh.

# Open MPI and libraries that launch/setup unpacked into .deps/, where it had to.
use_own_packages() {
  do_without_ssh
  # shellcheck source=/dev/null
  if [ -d "$RN_DEPS/root/usr" ] && [ -r "$RN_DEPS/env.sh" ]; then . "$RN_DEPS/env.sh"; fi
}

# Ranks that a hostfile's lines sum up to; a line without slots counts $2.
hostfile_ranks() {
  awk -v default="$2" '{ sub(/#.*/, "") } NF {
      slots = default
      for (i = 2; i <= NF; ++i) if ($i ~ /^slots=/) slots = substr($i, 7)
      sum += slots
    } END { print sum + 0 }' "$1"
}

# Ranks of one node: its GPUs, else its cores divided by 8.
node_ranks() {
  local gpus cores
  gpus=$(gpu_count)
  if [ "$gpus" -gt 0 ]; then
    printf '%s\n' "$gpus"
    return
  fi
  cores=$(core_count)
  if [ "$cores" -ge 8 ]; then printf '%s\n' $((cores / 8)); else printf '1\n'; fi
}

auto_ranks() {
  if [ -n "$1" ]; then
    hostfile_ranks "$1" "$(node_ranks)"
  elif [ -n "${SLURM_JOB_ID:-}" ] && [ -n "${SLURM_NTASKS:-}" ]; then
    printf '%s\n' "$SLURM_NTASKS"
  else
    node_ranks
  fi
}

# rank_count auto|N HOSTFILE
rank_count() { if [ "$1" = auto ]; then auto_ranks "$2"; else printf '%s\n' "$1"; fi; }

# launch_command auto|N HOSTFILE BINARY: sets RN_LAUNCH to the words before the program; empty for one rank on this node,
# which needs no MPI. RN_LAUNCH_ENVIRONMENT: NAME=VALUE words for the launcher's environment. Sets RN_SEVERAL_HOSTS to 1 where the ranks may lie on several.
launch_command() {
  local ranks hosts=$2 binary=$3
  ranks=$(rank_count "$1" "$hosts")
  [ "$ranks" -gt 0 ] || die 2 "$hosts names no hosts"
  RN_LAUNCH=()
  RN_LAUNCH_ENVIRONMENT=()
  # shellcheck disable=SC2034  # for supervise.sh
  RN_SEVERAL_HOSTS=0
  # shellcheck disable=SC2034
  if [ -n "$hosts" ] || [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then RN_SEVERAL_HOSTS=1; fi
  if [ "$ranks" -eq 1 ] && [ -z "$hosts" ] && [ -z "${RN_MPIRUN_ARGS:-}" ]; then return; fi
  case ${RN_LAUNCHER:-mpirun} in
    mpirun) mpirun_command "$ranks" "$hosts" "$binary" ;;
    srun) srun_command "$ranks" ;;
    *) die 2 "RN_LAUNCHER is mpirun or srun, not '$RN_LAUNCHER'" ;;
  esac
}

# A step of the SLURM job this is called in. Without -K1 srun would leave the other ranks waiting for one that failed;
# bound to one GPU each, ranks could not copy from GPU to GPU.
srun_command() {
  [ -n "${SLURM_JOB_ID:-}" ] || die 2 'RN_LAUNCHER=srun is for jobs of SLURM; there is none here'
  RN_LAUNCH=(srun --mpi=pmix --ntasks "$1" -K1)
  if [ -n "${SLURM_JOB_GPUS:-}${SLURM_GPUS_ON_NODE:-}" ]; then RN_LAUNCH+=(--gpu-bind=none); fi
}

# Of "mpirun (Open MPI) 4.1.4".
open_mpi_version() { "$1" --version 2>/dev/null | awk 'NR == 1 { print $NF }'; }

mpirun_command() { # mpirun_command RANKS HOSTFILE BINARY
  local ranks=$1 hosts=$2 binary=$3 extra=() name loopback

  # Ranks widen and pin their own core masks: --bind-to none.
  RN_LAUNCH=("${RN_MPIRUN:-mpirun}" -np "$ranks" --bind-to none)
  have "${RN_LAUNCH[0]}" || die 3 "${RN_LAUNCH[0]} not found: launch/setup installs Open MPI"
  if [ "$(id -u)" -eq 0 ]; then RN_LAUNCH+=(--allow-run-as-root); fi
  if [ -n "$hosts" ]; then
    RN_LAUNCH+=(--hostfile "$hosts")
    for name in $(compgen -e | grep -E '^(RN_|NCCL_|CUDA_VISIBLE_DEVICES$|LD_LIBRARY_PATH$|OPAL_|PMIX_INSTALL_PREFIX$)'); do
      RN_LAUNCH+=(-x "$name")
    done
  elif [ -z "${SLURM_JOB_ID:-}" ]; then
    # One node: no network, and no probing for one. Gradients travel through rn_dist's own shared window, so what
    # remains are short messages, for which copying from another process's memory (often forbidden in containers,
    # which then prints warnings) gains nothing.
    RN_LAUNCH+=(--mca pml ob1 --mca btl "self,vader" --mca btl_vader_single_copy_mechanism none)
    # mpirun's own channel stays on the loopback too; the ranks do not inherit what keeps it there. Open MPI 5 does not
    # start where it is told to use the loopback alone, and does not need to be told: its ranks reach it there anyway.
    if ! version_at_least "$(open_mpi_version "${RN_LAUNCH[0]}")" 5; then RN_LAUNCH+=(--mca oob_tcp_if_include lo); fi
    loopback=$(dirname -- "$binary")/../lib/librn_loopback_only.so
    if [ -e "$loopback" ]; then
      # shellcheck disable=SC2034  # for supervise.sh
      RN_LAUNCH_ENVIRONMENT=("LD_PRELOAD=${LD_PRELOAD:+$LD_PRELOAD:}$(realpath "$loopback")")
      RN_LAUNCH+=(-x "LD_PRELOAD=${LD_PRELOAD:-}")
    fi
    if [ "$ranks" -gt "$(physical_core_count)" ]; then RN_LAUNCH+=(--oversubscribe); fi
  else
    # mpirun starts its daemons with srun, which would give each the cores of a single task.
    export SLURM_WHOLE=1
  fi
  read -ra extra <<<"${RN_MPIRUN_ARGS:-}"
  RN_LAUNCH+=(${extra[@]+"${extra[@]}"})
}
