# shellcheck shell=bash
# What every job script of slurm/ does: find the project, pass signals on, requeue. Sourced, never run.
#
#   start_job              to the project's folder, where sbatch was called; exports the job's end for rn_dist
#   run_job COMMAND...     runs it to its end, then ends the script with its exit code, requeued where that is 75
#
# Signals: USR1 (from --signal=B:USR1@120, before the time limit) and TERM (scancel, preemption) go on to COMMAND, whose
# ranks write a checkpoint: exit 75, which is requeued, or 143, which is not. Nothing else is requeued by the script; a
# node that fails is SLURM's own requeue (--requeue). SLURM_RESTART_COUNT counts both.
#
# Environment: RN_MAX_REQUEUES (default 50), after which a job stays where it is.

say() { printf '[%s %s] %s\n' "$(date +%FT%T)" "${SLURM_JOB_ID:-no job}" "$*"; }

start_job() {
  cd "${SLURM_SUBMIT_DIR:-$PWD}" || exit
  if [ ! -x launch/run ]; then
    say "no launch/run in $PWD: call sbatch in rn_dist's folder"
    exit 2
  fi
  export_end_time
  # srun no longer takes it from the allocation (SLURM 22.05).
  if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi
  say "start $((${SLURM_RESTART_COUNT:-0} + 1)) on ${SLURM_JOB_NODELIST:-$(hostname)}"
}

# SLURM sets SLURM_JOB_END_TIME from 23.02 on; rn_dist stops with a checkpoint before it, signal or not.
export_end_time() {
  local end
  if [ -n "${SLURM_JOB_END_TIME:-}" ] || [ -z "${SLURM_JOB_ID:-}" ]; then return; fi
  end=$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %e 2>/dev/null) || return 0
  end=$(date -d "$end" +%s 2>/dev/null) || return 0  # a job without a limit has no such date
  export SLURM_JOB_END_TIME=$end
}

pass_on() {
  rn_signalled=1
  say "$1: passed on, a checkpoint follows"
  kill -s "$1" "$rn_command" 2>/dev/null
}

# requeue: status 1 where the job stays.
requeue() {
  local cap=${RN_MAX_REQUEUES:-50}
  if [ "${SLURM_RESTART_COUNT:-0}" -ge "$cap" ]; then
    say "not requeued: $cap requeues already (RN_MAX_REQUEUES)"
    return 1
  fi
  say 'requeued: the next start goes on from the checkpoint'
  scontrol requeue "$SLURM_JOB_ID"
}

run_job() {
  local status again
  rn_signalled=0
  "$@" &
  rn_command=$!
  trap 'pass_on USR1' USR1
  trap 'pass_on TERM' TERM
  wait "$rn_command"
  status=$?
  # A trap ends the wait early; 127: the command's status was already taken.
  while [ "$rn_signalled" -eq 1 ]; do
    rn_signalled=0
    wait "$rn_command"
    again=$?
    if [ "$again" -ne 127 ]; then status=$again; fi
  done
  # What the requeue itself sends needs no answer.
  trap '' USR1 TERM
  say "exit $status"
  if [ "$status" -eq 75 ] && [ -n "${SLURM_JOB_ID:-}" ]; then requeue; fi
  exit "$status"
}
