# shellcheck shell=bash
# Runs the ranks to their end: signals, the exit code of the contract, restarts. Sourced by launch/run after common.sh.

# The folder of the run that these arguments describe. Errors in them go to stderr; the status is then rn_dist's.
configured_run_dir() {
  local config status
  config=$("$@" --print-config) || return
  status=$(awk '/^[a-z]/ { section = $1 }
      section == "run:" && $1 == "dir:" { sub(/^ *dir: */, ""); sub(/ +# .*$/, ""); gsub(/^"|"$/, ""); dir = $0 }
      section == "run:" && $1 == "name:" { sub(/^ *name: */, ""); sub(/ +# .*$/, ""); gsub(/^"|"$/, ""); name = $0 }
      END { print dir == "" ? "runs/" name : dir }' <<<"$config")
  printf '%s\n' "$status"
}

# session_pids LEADER: all processes of this node in the session that was started.
session_pids() {
  local stat fields session
  for stat in /proc/[0-9]*/stat; do
    # "pid (name) state parent group session ...": the name may hold anything.
    { read -r fields <"$stat"; } 2>/dev/null || continue
    read -r _ _ _ session _ <<<"${fields##*) }"
    if [ "$session" = "$1" ]; then
      stat=${stat%/stat}
      printf '%s\n' "${stat#/proc/}"
    fi
  done
}

# The processes of this node's ranks, given the process that was started. mpirun's other children are the ssh
# connections to further hosts.
rank_pids() {
  local pid exe
  for pid in $(session_pids "$1"); do
    exe=$(readlink "/proc/$pid/exe")
    if [ "${exe% (deleted)}" = "$rn_binary" ]; then printf '%s\n' "$pid"; fi
  done
}

# catches PID SIGNAL: it has a handler. A rank that is just starting has none yet, and the signal would kill it.
catches() {
  local mask number
  number=$(kill -l "$2")
  mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
  [ $((0x${mask:-0} >> (number - 1) & 1)) -eq 1 ]
}

# ask_ranks SIGNAL: any rank that knows spreads the stop by the vote, so the ranks of this node are enough. status 1:
# none is ready for it yet.
ask_ranks() {
  local pid asked=1
  if [ "${RN_LAUNCH[0]:-}" = srun ]; then
    # To the steps of this job and not to the script. srun itself would end the ranks for a TERM.
    scancel --signal="$1" "$SLURM_JOB_ID" 2>/dev/null
    return
  fi
  for pid in $(rank_pids "$rn_child"); do
    if catches "$pid" "$1" && kill -s "$1" "$pid" 2>/dev/null; then asked=0; fi
  done
  return "$asked"
}

# end_ranks PID: at once, without a checkpoint. mpirun ends its ranks with TERM, then KILL; it heeds INT only (see
# run_once). A rank alone would take both for requests.
end_ranks() {
  case ${RN_LAUNCH[0]:-} in
    '') kill -s KILL "$1" 2>/dev/null ;;
    srun) kill -s TERM "$1" 2>/dev/null ;;
    *) kill -s INT "$1" 2>/dev/null ;;
  esac
}

# end_after_failure PID FAILURE BEFORE: a run with a failure.json ends by itself, unless mpirun waits for a host that does
# not answer. So after a while all its processes on this node are ended; those of other hosts end when they find their
# mpirun gone.
end_after_failure() {
  local grace=${RN_FAILURE_GRACE:-10} pids
  until [ -e "$2" ] && [ "$(fingerprint "$2")" != "$3" ]; do sleep 1 >/dev/null 2>&1; done
  sleep "$grace" >/dev/null 2>&1
  say "the run failed $grace s ago and has not ended: ending it"
  if [ "${RN_LAUNCH[0]:-}" = srun ]; then
    end_ranks "$1"
    sleep 3 >/dev/null 2>&1
  fi
  mapfile -t pids < <(session_pids "$1")
  [ "${#pids[@]}" -eq 0 ] || kill -s KILL "${pids[@]}" 2>/dev/null
}

# The first INT or TERM is a request to the ranks; mpirun itself would kill them for it. The second ends the run. A batch
# system sends TERM to all processes at once, and a job script passes its own on: one request.
on_stop() {
  rn_interrupted=1
  if [ "$1$rn_stop" = TERMTERM ] && [ $((SECONDS - rn_stop_time)) -lt 3 ]; then return; fi
  if [ -z "$rn_stop" ]; then
    rn_stop=$1
    rn_pending=$1
    rn_stop_time=$SECONDS
    say "asked to stop ($1): the ranks end this step and write a checkpoint; once more ends them at once"
  else
    rn_pending=''
    if [ -n "$rn_child" ]; then end_ranks "$rn_child"; fi
  fi
}

# USR1.
on_requeue() {
  rn_interrupted=1
  if [ -z "$rn_stop" ]; then rn_pending=USR1; fi
}

# wait_for_child: its status. `wait` returns early when a trap has run.
wait_for_child() {
  local status again=0 tries=0
  while :; do
    rn_interrupted=0
    { wait "$rn_child"; } 2>/dev/null # without bash's own words on a killed child
    status=$?
    # 127: it had been waited for already when the trap ran.
    if [ "$again" -eq 1 ] && [ "$status" -eq 127 ]; then status=$rn_last_status; fi
    rn_last_status=$status
    [ "$rn_interrupted" -eq 1 ] || return "$status"
    again=1
    # Asked before the ranks were there: tried again until they are.
    while [ -n "$rn_pending" ] && kill -0 "$rn_child" 2>/dev/null; do
      if ask_ranks "$rn_pending"; then
        rn_pending=''
      elif [ $((++tries)) -ge 50 ] && [ "${#RN_LAUNCH[@]}" -gt 0 ] && [ -z "$(rank_pids "$rn_child")" ]; then
        # No rank on this node. mpirun carries USR1 to the others, the only request that it carries.
        kill -s USR1 "$rn_child" 2>/dev/null
        rn_pending=''
      else
        sleep 0.2
      fi
    done
  done
}

# The exit code of a run that was asked to stop and left a checkpoint.
stop_code() { if [ "$rn_stop" = INT ]; then printf '130\n'; else printf '143\n'; fi; }

# What tells one failure.json from the next, clocks aside.
fingerprint() { { stat -c '%i %y %s' "$1" && cat "$1"; } 2>/dev/null | cksum; }

# lost_host STATUS RUN_DIR CONFIG_BEFORE: mpirun, over several hosts, ended a run that had begun, and no rank knew why:
# every failure of a rank leaves a failure.json from there on. mpirun's status is then its own, or that of ssh.
lost_host() {
  case $1 in 0 | 75 | 130 | 143) return 1 ;; esac
  [ -z "$rn_stop" ] && [ "${RN_SEVERAL_HOSTS:-0}" -eq 1 ] && [ ! -e "$2/failure.json" ] &&
    [ "$(fingerprint "$2/config.resolved.yaml")" != "$3" ]
}

report_lost_host() { # report_lost_host FAILURE
  (
    set -C # not over one that came after all
    printf '{\n  "code": 8,\n  "rank": -1,\n  "host": "%s",\n  "message": "%s",\n  "time": "%s"\n}\n' "$(hostname)" \
      'mpirun lost a host or its connection and ended the run' "$(date -u +%FT%TZ)" >"$1"
  ) 2>/dev/null
}

# run_once RUN_DIR COMMAND...: starts the ranks and returns the exit code of the contract.
run_once() {
  local run_dir=$1 failure=$1/failure.json before config status code watcher
  local signals=('--default-signal=INT,QUIT') environment=(${RN_LAUNCH_ENVIRONMENT[@]+"${RN_LAUNCH_ENVIRONMENT[@]}"})
  shift
  before=$(fingerprint "$failure")
  config=$(fingerprint "$run_dir/config.resolved.yaml")
  printf '+ %s\n' "$(printf '%q ' ${environment[@]+"${environment[@]}"} "$@")" >&2
  # In a session of its own it does not see the terminal's Ctrl-C. A shell without job control starts background
  # commands with INT ignored, which the ranks would inherit.
  # A batch system that cancels a job sends TERM to all its processes. mpirun would end the ranks within two seconds; the
  # ranks take it as the request that it is (mpirun unblocks it for them).
  case ${RN_LAUNCH[0]:-srun} in srun) ;; *) signals+=(--block-signal=TERM) ;; esac
  setsid env "${signals[@]}" ${environment[@]+"${environment[@]}"} "$@" </dev/null &
  rn_child=$!
  end_after_failure "$rn_child" "$failure" "$before" &
  watcher=$!
  wait_for_child
  status=$?
  rn_child=''
  { kill "$watcher" && wait "$watcher"; } 2>/dev/null
  rn_failure=''
  if lost_host "$status" "$run_dir" "$config"; then report_lost_host "$failure"; fi
  if [ "$status" -ne 0 ] && [ -e "$failure" ] && [ "$(fingerprint "$failure")" != "$before" ]; then
    rn_failure=$failure
    code=$(json_value "$failure" code)
    if [ -n "$code" ] && [ "$code" -gt 0 ]; then status=$code; fi
  elif [ "$status" -eq 75 ] && [ -n "$rn_stop" ]; then
    # Stopped by USR1 in place of INT or TERM, with a checkpoint all the same.
    status=$(stop_code)
  fi
  return "$status"
}

# A hang, a lost peer, or a rank that a signal killed; never a stop that was asked for.
may_restart() {
  [ -z "$rn_stop" ] || return 1
  case $1 in
    7 | 8) ;;
    75 | 130 | 143) return 1 ;;
    *) [ "$1" -ge 128 ] ;;
  esac
}

# What went wrong and where: code, step and phase of failure.json (not the collective: a start that resumes counts them
# anew); else the last checkpoint's step.
error_of() {
  if [ -n "$rn_failure" ]; then
    printf '%s at step %s %s\n' "$1" "$(json_value "$rn_failure" step)" "$(json_value "$rn_failure" phase)"
  else
    printf '%s after checkpoint %s\n' "$1" "$(readlink "$2/checkpoints/last" || printf 'none')"
  fi
}

# A requeued job may start while its first start still ends on another host, which holds the run folder's lock until then.
# After two minutes rn_dist says who holds it.
wait_for_folder() {
  local lock=$1/.lock waited=0
  if [ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || [ ! -e "$lock" ] || ! have flock; then return; fi
  until [ "$waited" -eq 120 ] || flock --nonblock "$lock" true; do
    if [ "$waited" -eq 0 ]; then say "the run folder is still in use by $(head -n 1 "$lock"): waiting"; fi
    waited=$((waited + 1))
    sleep 1
  done
}

# supervise RUN_DIR RESTARTS BINARY ARGUMENT...: ends the script with the exit code.
supervise() {
  local run_dir=$1 restarts=$2 count=0 status error last_error='' argument arguments=()
  rn_binary=$3
  shift 3
  rn_child='' rn_stop='' rn_pending='' rn_interrupted=0 rn_failure='' rn_last_status=0 rn_stop_time=0
  trap 'on_stop INT' INT
  trap 'on_stop TERM' TERM HUP
  trap on_requeue USR1
  trap '' USR2
  # mpirun gives ranks a pseudo terminal in any case; only this script sees what stdout really is.
  if [ -z "${RN_TERMINAL:-}" ]; then
    if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then RN_TERMINAL=1; else RN_TERMINAL=0; fi
    export RN_TERMINAL
    if [ -t 1 ] && have tput; then COLUMNS=$(tput cols) && export COLUMNS; fi
  fi

  arguments=("$@")
  wait_for_folder "$run_dir"
  if [ -n "$rn_pending" ]; then # asked to stop before it began
    if [ -n "$rn_stop" ]; then exit "$(stop_code)"; fi
    exit 75
  fi
  while :; do
    run_once "$run_dir" ${RN_LAUNCH[@]+"${RN_LAUNCH[@]}"} "$rn_binary" "${arguments[@]}"
    status=$?
    if [ "$count" -ge "$restarts" ] || ! may_restart "$status"; then break; fi
    error=$(error_of "$status" "$run_dir")
    if [ "$error" = "$last_error" ]; then
      say "the same error twice in a row ($error): not started again"
      break
    fi
    last_error=$error
    count=$((count + 1))
    say "ended with $error: restart $count of $restarts in ${RN_RESTART_DELAY:-5} s"
    sleep "${RN_RESTART_DELAY:-5}" &
    wait $!
    if [ -n "$rn_stop" ]; then
      status=$(stop_code)
      break
    fi
    # From now on the run's own checkpoints count, whatever it began with.
    arguments=()
    for argument in "$@"; do
      case $argument in run.overwrite=* | run.resume=*) ;; *) arguments+=("$argument") ;; esac
    done
    arguments+=(run.overwrite=false run.resume=auto)
  done
  if [ "$status" -ne 0 ] && [ -n "$rn_failure" ]; then say "exit $status; what happened stands in $rn_failure"; fi
  exit "$status"
}
