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

# The processes of this node's ranks, given the process that was started.
rank_pids() {
  local stat fields
  if [ "${#RN_LAUNCH[@]}" -eq 0 ]; then
    printf '%s\n' "$1"
    return
  fi
  for stat in /proc/[0-9]*/stat; do
    # "pid (name) state parent ...": the name may hold anything.
    { read -r fields <"$stat"; } 2>/dev/null || continue
    read -r _ parent _ <<<"${fields##*) }"
    [ "$parent" = "$1" ] || continue
    # mpirun's other children are the ssh connections to further hosts.
    stat=${stat%/stat}
    if [ "$(readlink "$stat/exe")" = "$rn_binary" ]; then printf '%s\n' "${stat#/proc/}"; fi
  done
}

# ask_ranks SIGNAL: any rank that knows spreads the stop by the vote, so the ranks of this node are enough. status 1:
# none is there yet.
ask_ranks() {
  local pids
  mapfile -t pids < <(rank_pids "$rn_child")
  [ "${#pids[@]}" -gt 0 ] && kill -s "$1" "${pids[@]}" 2>/dev/null
}

# The first INT or TERM is a request to the ranks; mpirun itself would kill them for it. The second ends the run.
on_stop() {
  rn_interrupted=1
  if [ -z "$rn_stop" ]; then
    rn_stop=$1
    rn_pending=$1
    say "asked to stop ($1): the ranks end this step and write a checkpoint; once more ends them at once"
  else
    rn_pending=''
    # mpirun ends its ranks with TERM, then KILL; a rank alone would take TERM for the same request again.
    if [ -n "$rn_child" ] && [ "${#RN_LAUNCH[@]}" -eq 0 ]; then
      kill -s KILL "$rn_child" 2>/dev/null
    elif [ -n "$rn_child" ]; then
      kill -s TERM "$rn_child" 2>/dev/null
    fi
  fi
}

on_requeue() {
  rn_interrupted=1
  # mpirun forwards USR1 to all ranks.
  if [ -n "$rn_child" ]; then kill -s "$1" "$rn_child" 2>/dev/null; fi
}

# wait_for_child: its status. `wait` returns early when a trap has run.
wait_for_child() {
  local status again=0 tries=0
  while :; do
    rn_interrupted=0
    wait "$rn_child"
    status=$?
    # 127: it had been waited for already when the trap ran.
    if [ "$again" -eq 1 ] && [ "$status" -eq 127 ]; then status=$rn_last_status; fi
    rn_last_status=$status
    [ "$rn_interrupted" -eq 1 ] || return "$status"
    again=1
    # Asked before mpirun had started the ranks: tried again until they are there.
    while [ -n "$rn_pending" ] && kill -0 "$rn_child" 2>/dev/null; do
      if ask_ranks "$rn_pending"; then
        rn_pending=''
      elif [ $((++tries)) -eq 50 ]; then
        # No rank on this node. mpirun carries USR1 to the others, the only request that it carries.
        on_requeue USR1
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

# run_once RUN_DIR COMMAND...: starts the ranks and returns the exit code of the contract.
run_once() {
  local failure=$1/failure.json before status code
  shift
  before=$(fingerprint "$failure")
  printf '+ %s\n' "$(printf '%q ' "$@")" >&2
  # In a session of its own it does not see the terminal's Ctrl-C. A shell without job control starts background
  # commands with INT ignored, which the ranks would inherit.
  setsid env --default-signal=INT,QUIT "$@" </dev/null &
  rn_child=$!
  wait_for_child
  status=$?
  rn_child=''
  rn_failure=''
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

# What went wrong and where: code and step, phase and collective of failure.json; else the last checkpoint's step.
error_of() {
  if [ -n "$rn_failure" ]; then
    printf '%s at step %s %s %s\n' "$1" "$(json_value "$rn_failure" step)" "$(json_value "$rn_failure" phase)" \
      "$(json_value "$rn_failure" collective)"
  else
    printf '%s after checkpoint %s\n' "$1" "$(readlink "$2/checkpoints/last" || printf 'none')"
  fi
}

# supervise RUN_DIR RESTARTS BINARY ARGUMENT...: ends the script with the exit code.
supervise() {
  local run_dir=$1 restarts=$2 count=0 status error last_error='' argument arguments=()
  rn_binary=$3
  shift 3
  rn_child='' rn_stop='' rn_pending='' rn_interrupted=0 rn_failure='' rn_last_status=0
  trap 'on_stop INT' INT
  trap 'on_stop TERM' TERM HUP
  trap 'on_requeue USR1' USR1
  trap 'on_requeue USR2' USR2
  # mpirun gives ranks a pseudo terminal in any case; only this script sees what stdout really is.
  if [ -z "${RN_TERMINAL:-}" ]; then
    if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then RN_TERMINAL=1; else RN_TERMINAL=0; fi
    export RN_TERMINAL
    if [ -t 1 ] && have tput; then COLUMNS=$(tput cols) && export COLUMNS; fi
  fi

  arguments=("$@")
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
