#!/usr/bin/env bash
# usage: run_test.sh CASE BUILD_DIR     one case of launch/run, with BUILD_DIR/bin/rn_dist as the program (a fake)
# CASE `list` prints all cases. Ends with 0 if the case holds.
set -uo pipefail

root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
export RN_BUILD_DIR=${2:-} RN_RESTART_DELAY=0
unset NP HOSTS RESTARTS CUDA_VISIBLE_DEVICES RN_MPIRUN RN_MPIRUN_ARGS RN_LAUNCHER
unset SLURM_JOB_ID SLURM_NTASKS SLURM_RESTART_COUNT SLURM_JOB_NUM_NODES

fail() {
  printf 'FAILED: %s\n' "$*"
  printf -- '--- output\n'
  cat output
  exit 1
}

# launch ARGUMENT...: sets status; what it printed is in the file output.
launch() {
  "$root/launch/run" "$@" >output 2>&1
  status=$?
}
expect_status() { [ "$status" -eq "$1" ] || fail "exit $status instead of $1"; }
expect_output() { grep -q -- "$1" output || fail "output lacks: $1"; }
expect_no_output() { ! grep -q -- "$1" output || fail "output has: $1"; }
expect_starts() { [ "$(wc -l <starts)" -eq "$1" ] || fail "$(wc -l <starts) starts instead of $1"; }

wait_for_ranks() {
  local i
  for ((i = 0; i < 200; ++i)); do
    [ "$(grep -c '^waiting' output)" -eq "$1" ] && break
    sleep 0.05
  done
}

# signalled COUNT SIGNAL ARGUMENT...: as launch, with SIGNAL sent COUNT times to launch/run once all ranks wait.
signalled() {
  local count=$1 signal=$2 ranks=$3 launcher i
  shift 3
  : >output # else the ranks of a run before seem to wait, and the signal comes before launch/run has begun
  # A background command of a script has INT ignored, which launch/run could not undo.
  env --default-signal=INT "$root/launch/run" -n "$ranks" "$@" >output 2>&1 &
  launcher=$!
  wait_for_ranks "$ranks"
  for ((i = 0; i < count; ++i)); do
    kill -s "$signal" "$launcher"
    sleep 0.5
  done
  wait "$launcher"
  status=$?
}

case_prints_the_command_and_starts_all_ranks() {
  launch -n 3 config.yaml fake.mode=exit:0
  expect_status 0
  expect_output '^+ .*mpirun -np 3 --bind-to none'
  expect_output 'rank 2 of 3'
}
case_one_rank_needs_no_mpirun() {
  launch -n 1 config.yaml
  expect_status 0
  expect_no_output mpirun
  expect_output 'rank 0 of 1'
}
case_a_dry_run_is_for_the_ranks_that_would_start() {
  launch -n 3 config.yaml --dry-run fake.mode=exit:0
  expect_status 0
  expect_output 'arguments config.yaml --dry-run=3 fake.mode=exit:0'
  expect_no_output mpirun
}
case_np_comes_from_the_environment() {
  NP=2 launch config.yaml
  expect_status 0
  expect_output 'rank 1 of 2'
}
case_auto_gives_a_rank_per_visible_gpu() {
  CUDA_VISIBLE_DEVICES=0,1 launch config.yaml
  expect_status 0
  expect_output 'rank 1 of 2'
}
case_passes_exit_codes_on() {
  local code ranks
  for ranks in 1 2; do
    for code in 0 1 2 3 4 5 6 7 8 75; do
      launch -n $ranks config.yaml fake.mode=exit:$code
      expect_status $code
    done
  done
}
case_bad_configuration_ends_before_any_rank() {
  launch -n 2 config.yaml fake.unknown=1
  expect_status 2
  expect_no_output mpirun
  [ "$(grep -c 'no such key' output)" -eq 1 ] || fail 'the error was not shown once'
}
case_bad_options_are_usage_errors() {
  local options
  for options in '-n 0' '-n x' '-n' '--restarts x' '--hosts /no/such/file' '--nonsense' ''; do
    # shellcheck disable=SC2086
    launch $options ${options:+config.yaml}
    expect_status 2
  done
}
case_a_killed_rank_gives_the_code_of_failure_json() {
  local ranks
  for ranks in 1 2; do
    rm -rf runs
    launch -n $ranks config.yaml fake.mode=report:8
    expect_status 8
    expect_output 'runs/fake/failure.json'
  done
}
case_an_old_failure_json_does_not_count() {
  mkdir -p runs/fake
  printf '{\n  "code": 5\n}\n' >runs/fake/failure.json
  launch -n 2 config.yaml fake.mode=kill
  expect_status 137
  launch -n 2 config.yaml fake.mode=exit:6
  expect_status 6
}
case_the_run_folder_may_have_blanks() {
  launch -n 2 config.yaml 'run.dir=my runs/a b' fake.mode=report:7
  expect_status 7
}
case_int_and_term_are_requests_to_the_ranks() {
  local ranks
  for ranks in 1 2; do
    signalled 1 INT $ranks config.yaml fake.mode=wait
    expect_status 130
    signalled 1 TERM $ranks config.yaml fake.mode=wait
    expect_status 143
  done
}
case_usr1_is_forwarded() {
  local ranks
  for ranks in 1 2; do
    signalled 1 USR1 $ranks config.yaml fake.mode=wait
    expect_status 75
  done
}
# Of this case: others run beside it.
expect_no_rank_left() {
  local exe
  for exe in /proc/[0-9]*/exe; do
    if [ "$(readlink "$exe")" = "$RN_BUILD_DIR/bin/rn_dist" ] && [ "$(readlink "${exe%exe}cwd")" = "$PWD" ]; then
      fail "a rank is left: $exe"
    fi
  done
}
case_a_second_stop_ends_the_run() {
  local ranks
  for ranks in 1 2; do
    signalled 2 INT $ranks config.yaml fake.mode=stuck
    case $status in 0 | 130 | 143) fail "exit $status claims a checkpoint" ;; esac
    expect_no_rank_left
  done
}
case_a_term_to_all_processes_is_a_request() {
  # As SLURM's scancel sends it: mpirun itself must not end the ranks for it.
  local pid launcher
  env RN_TEST_TREE="$scratch" "$root/launch/run" -n 2 config.yaml fake.mode=slow >output 2>&1 &
  launcher=$!
  wait_for_ranks 2
  kill -s TERM "$launcher" # and once more below: a job script passes its own on
  for pid in /proc/[0-9]*; do
    if { tr '\0' '\n' <"$pid/environ"; } 2>/dev/null | grep -qx "RN_TEST_TREE=$scratch"; then kill -s TERM "${pid#/proc/}"; fi
  done
  wait "$launcher"
  status=$?
  expect_status 143
}
case_a_request_waits_for_ranks_that_are_starting() {
  local signal launcher
  for signal in USR1:75 TERM:143; do
    env --default-signal=INT "$root/launch/run" -n 2 config.yaml fake.mode=wait fake.start_seconds=2 >output 2>&1 &
    launcher=$!
    sleep 1
    kill -s "${signal%:*}" "$launcher"
    wait "$launcher"
    status=$?
    expect_status "${signal#*:}"
  done
}
case_ranks_that_outlive_failure_json_are_ended() {
  local ranks started=$SECONDS
  for ranks in 1 2; do
    rm -rf runs
    RN_FAILURE_GRACE=2 launch -n $ranks config.yaml fake.mode=linger:7
    expect_status 7
    expect_output 'has not ended: ending it'
    expect_no_rank_left
  done
  [ $((SECONDS - started)) -lt 40 ] || fail "it took $((SECONDS - started)) s"
}
case_a_lost_host_is_a_lost_peer() {
  # mpirun then ends with a status of its own, or of ssh, and kills the ranks before they can know.
  printf 'a slots=1\nb slots=1\n' >hostfile
  printf '#!/bin/sh\nexit 255\n' >mpirun
  chmod +x mpirun
  RN_MPIRUN=./mpirun launch --hosts hostfile config.yaml
  expect_status 255 # the run had not begun: no host was reached
  printf '#!/bin/sh\nmkdir -p runs/fake\ndate >runs/fake/config.resolved.yaml\nexit 255\n' >mpirun
  RN_MPIRUN=./mpirun launch --hosts hostfile config.yaml
  expect_status 8
  grep -q '"code": 8' runs/fake/failure.json || fail 'no failure.json'
}
case_a_requeued_job_waits_for_the_folder() {
  local started=$SECONDS
  mkdir -p runs/fake
  echo 'process 7 on elsewhere' >runs/fake/.lock
  flock runs/fake/.lock sleep 4 &
  sleep 0.5
  SLURM_RESTART_COUNT=1 launch -n 1 config.yaml
  expect_status 0
  expect_output 'still in use by process 7 on elsewhere'
  [ $((SECONDS - started)) -ge 3 ] || fail 'it did not wait'
  SLURM_RESTART_COUNT=1 launch -n 1 config.yaml
  expect_status 0
  expect_no_output 'still in use'

  flock runs/fake/.lock sleep 4 &
  sleep 0.5
  SLURM_RESTART_COUNT=1 "$root/launch/run" -n 1 config.yaml fake.starts=starts >output 2>&1 &
  sleep 1
  kill -s USR1 $!
  wait $!
  status=$?
  expect_status 75
  [ ! -e starts ] || fail 'it started all the same'
}
case_srun_is_for_jobs_of_slurm() {
  RN_LAUNCHER=srun launch -n 2 config.yaml
  expect_status 2
  RN_LAUNCHER=ssh launch -n 2 config.yaml
  expect_status 2
}
case_restarts_after_lost_peers_until_it_succeeds() {
  launch -n 1 --restarts 1 config.yaml fake.mode=report:8 fake.starts=starts fake.succeed_at=2
  expect_status 0
  expect_starts 2
  expect_output 'restart 1 of 1'
}
case_restarts_do_not_exceed_their_number() {
  launch -n 1 --restarts 0 config.yaml fake.mode=report:8 fake.starts=starts
  expect_status 8
  expect_starts 1
}
case_the_same_error_at_the_same_step_twice_gives_up() {
  launch -n 1 --restarts 9 config.yaml fake.mode=report:7 fake.starts=starts
  expect_status 7
  expect_starts 2
  expect_output 'the same error twice in a row'
}
case_only_hangs_lost_peers_and_crashes_restart() {
  local code
  for code in 1 2 3 4 5 6 75; do
    rm -f starts
    launch -n 1 --restarts 3 config.yaml fake.mode=exit:$code fake.starts=starts
    expect_status $code
    expect_starts 1
  done
  rm -f starts
  launch -n 1 --restarts 3 config.yaml fake.mode=kill fake.starts=starts fake.succeed_at=2
  expect_status 0
  expect_starts 2
}
case_a_restart_never_overwrites_the_run() {
  launch -n 1 --restarts 1 config.yaml run.overwrite=true run.resume=never fake.mode=report:8 fake.starts=starts \
    fake.succeed_at=2
  expect_status 0
  grep -q 'run.overwrite=true' <(sed -n 1p starts) || fail 'the first start lacks what was asked'
  sed -n 2p starts | grep -q 'run.overwrite=false run.resume=auto' || fail 'the restart does not resume'
  sed -n 2p starts | grep -q 'run.overwrite=true\|resume=never' && fail 'the restart overwrites'
  true
}
case_a_stopped_run_is_not_restarted() {
  signalled 1 TERM 1 --restarts 3 config.yaml fake.mode=wait fake.starts=starts
  expect_status 143
  expect_starts 1
}

cases() { compgen -A function case_ | sed 's/^case_//'; }

if [ "${1:-}" = list ]; then
  cases
  exit
fi
cases | grep -qx -- "${1:-}" || { printf 'no case %s\n' "${1:-}" && exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit
touch output
"case_$1"
