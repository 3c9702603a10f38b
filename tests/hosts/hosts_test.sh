#!/usr/bin/env bash
# usage: tests/hosts/hosts_test.sh CASE [BUILD_DIR]     one case of a run over two hosts (namespaces of this machine)
#        tests/hosts/hosts_test.sh list                 prints all cases
# RN_KEEP=1 keeps the folder with the run.
#
# Ends with 0 if the case holds, with 77 where this machine cannot run it. BUILD_DIR: with bin/rn_dist; default build.
# shellcheck disable=SC2016  # Markdown in what a case has seen
set -uo pipefail

root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
# shellcheck source=tests/hosts/hosts.sh
. "$root/tests/hosts/hosts.sh"

RN_BUILD_DIR=$(realpath "${2:-$root/build}")
export RN_BUILD_DIR OMP_NUM_THREADS=1
unset NP HOSTS RESTARTS RN_LAUNCHER RN_MPIRUN_ARGS CUDA_VISIBLE_DEVICES
for name in $(compgen -e | grep '^SLURM_'); do unset "$name"; done

fail() {
  printf 'FAILED: %s\n' "$*"
  tail -n 40 ./*.out 2>/dev/null
  exit 1
}
expect() { "$@" || fail "does not hold: $*"; }
expect_not() { ! "$@" || fail "should not hold: $*"; }
until_true() { # until_true SECONDS COMMAND...
  local limit=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$limit" ] || fail "not within its time: $*"
    sleep 0.2
  done
}

write_run() { # write_run STEPS
  cat >run.yaml <<YAML
run: {name: run}
model: {name: resnet9, width: 4, norm: group, group_norm_groups: 2}
data: {dataset: synthetic, synthetic_train: 256, synthetic_test: 64}
train:
  epochs: 1000000
  max_steps: $1
  global_batch: 16
  precision: fp32
  threads: 1
optimizer: {lr: 0.01}
schedule: {name: constant}
eval: {every_epochs: 1000000, batch: 64}
checkpoint: {every_epochs: 1000000}
report: {every_steps: 1, tensorboard: false}
YAML
}

# two_hosts RANKS ARGUMENT...: a run with half of the ranks on each host, as launch/run would start it by ssh; its output
# is in two.out. Ends with its status.
two_hosts() {
  local ranks=$1 host
  shift
  for host in alpha beta; do printf '%s slots=%d\n' "$host" $((ranks / 2)); done >hostfile
  OMPI_MCA_plm_rsh_agent=$root/tests/hosts/enter_host RN_HOSTS_FOLDER=$scratch \
    RN_MPIRUN_ARGS='--mca pml ob1 --mca btl self,vader,tcp --mca btl_tcp_if_include eth0 --mca btl_base_verbose 30' \
    in_host alpha "$root/launch/run" -n "$ranks" --hosts hostfile run.yaml run.dir="$scratch/two" "$@" >two.out 2>&1
}
one_host() { # one_host RANKS ARGUMENT...
  local ranks=$1
  shift
  in_host alpha "$root/launch/run" -n "$ranks" run.yaml run.dir="$scratch/one" "$@" >one.out 2>&1
}
same_bits() { cmp "$scratch/two/model.safetensors" "$scratch/one/model.safetensors"; }

has_step() {
  local steps
  steps=$(grep -c '"event":"step"' "$scratch/two/metrics.jsonl" 2>/dev/null)
  [ "${steps:-0}" -ge "$1" ]
}

# The ranks that live on a host. The other processes there are mpirun's daemon, which outlives a cut for minutes.
ranks_on() {
  local pid
  for pid in $(pids_in_host "$1"); do
    if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$RN_BUILD_DIR/bin/rn_dist" ]; then printf '%s\n' "$pid"; fi
  done
}
no_rank_left() { [ -z "$(ranks_on alpha)$(ranks_on beta)" ]; }

relay() { # relay OPTION...: the bad network in place of the cable
  local host
  [ -c /dev/net/tun ] || skip 'needs /dev/net/tun'
  python3 "$root/tests/hosts/relay.py" "${host_keeper[alpha]}" "${host_keeper[beta]}" "$@" >relay.log 2>&1 &
  relay=$!
  until_true 10 grep -q ready relay.log
  for host in alpha beta; do
    in_host "$host" ip addr add "$(host_address "$host")/24" dev eth0
    in_host "$host" ip link set eth0 up
  done
}
end_relay() {
  kill -TERM "$relay" 2>/dev/null
  wait "$relay"
  cat relay.log
}

# The host has a network of its own, so that what listens there is this run's.
listening() { in_host alpha ss --no-header --listening --tcp --numeric --processes; }
case_a_run_on_one_host_listens_on_the_loopback_only() {
  local launcher
  write_run 100000
  join_hosts alpha beta
  in_host alpha "$root/launch/run" -n 2 run.yaml run.dir="$scratch/two" >two.out 2>&1 &
  launcher=$!
  until_true 60 has_step 10
  listening >sockets
  cat sockets
  expect grep -q mpirun sockets
  expect_not grep -q rn_dist sockets
  expect_not grep -qv ' \(127\.0\.0\.1\|\[::1\]\):' sockets
  kill -TERM "$launcher"
  wait "$launcher"
  expect test $? -eq 143
  seen "rn_dist listens nowhere; mpirun's $(grep -c mpirun sockets) sockets are on 127.0.0.1 and ::1"
}

case_ranks_of_two_hosts_talk_over_tcp_and_train_as_on_one() {
  write_run 20
  join_hosts alpha beta
  # Where a pooling's maximum or a ReLU is undecided to the last bit, another order of a sum decides it otherwise, and the
  # runs part: with this seed none is.
  expect two_hosts 4 run.seed=1
  expect grep -q 'btl:tcp: now connected to 10\.77\.0\.[12]\|btl: tcp: attempting to connect() to .* address 10\.77\.0\.[12]' two.out
  expect grep -q '"hosts\?":' two/metrics.jsonl
  expect one_host 4 run.seed=1
  # Four numbers summed as (a + b) + (c + d) here and ((a + b) + c) + d there.
  python3 "$root/tests/hosts/compare_weights.py" two/model.safetensors one/model.safetensors 1e-5 >compared 2>&1 ||
    fail "$(cat compared)"
  seen "2 ranks on each host, Open MPI's log shows its TCP connections to the other"
  seen "after 20 steps against 4 ranks on one host: $(cat compared) (another order of the sum)"
}

case_a_strict_run_of_two_hosts_gives_the_bits_of_one_host() {
  write_run 20
  join_hosts alpha beta
  expect two_hosts 4 run.deterministic=strict train.shards=4
  expect one_host 2 run.deterministic=strict train.shards=4
  expect same_bits
  seen '`run.deterministic: strict`: 4 ranks on two hosts and 2 ranks on one give the same bytes'
}

case_one_rank_per_host_gives_the_bits_of_one_host() {
  write_run 20
  join_hosts alpha beta
  expect two_hosts 2
  expect one_host 2
  expect same_bits
  seen 'the same bytes, strict or not: a sum of two'
}

case_a_slow_and_lossy_network_changes_no_bit() {
  write_run 15
  relay --delay 20 --loss 0.01 --mbit 100
  expect two_hosts 2
  expect one_host 2
  expect same_bits
  end_relay >counts
  seen "20 ms each way, 1 % of the packets lost, 100 Mbit/s: done, the same bytes ($(grep packets counts | paste -sd ';' | sed 's/;/; /'))"
}

case_a_cut_of_ten_seconds_is_survived() {
  local launcher
  write_run 60
  relay --delay 5 --mbit 100
  two_hosts 2 &
  launcher=$!
  until_true 60 has_step 10
  kill -USR1 "$relay"
  sleep 10
  kill -USR2 "$relay"
  wait "$launcher" || fail "it ended with $?"
  expect one_host 2
  expect same_bits
  end_relay
  seen 'the run waits, goes on, and ends with the same bytes'
}

case_a_cut_for_good_ends_every_rank() {
  local launcher status started cut cut_at
  write_run 100000
  relay --delay 5 --mbit 100
  two_hosts 4 dist.init_deadline_seconds=12 dist.data_deadline_seconds=6 dist.step_deadline_seconds=6 \
    dist.eval_deadline_seconds=6 dist.checkpoint_deadline_seconds=6 &
  launcher=$!
  until_true 60 has_step 10
  kill -USR1 "$relay"
  started=$SECONDS cut_at=$(date +%s)
  until_true 60 no_rank_left
  cut=$((SECONDS - started))
  expect test -s "$scratch/two/failure.json"
  # What the ranks across the cut do is known through the run folder: they wait too.
  expect grep -q 'those of the other nodes wait too: the network between the nodes is cut' "$scratch/two/failure.json"
  expect grep -q 'rank [0-3] on \(alpha\|beta\) (pid [0-9]*): phase .* waiting in ' two.out
  expect_not grep -q 'last heard of [0-9]' two.out
  until_true 30 not_running "$launcher"
  wait "$launcher"
  status=$?
  cat "$scratch/two/failure.json"
  [ "$status" -eq 7 ] || [ "$status" -eq 8 ] || fail "exit $status"
  seen "\`failure.json\` $(($(stat -c %Y "$scratch/two/failure.json") - cut_at)) s after the cut (longest deadline 12 s, and 10 s)," \
    'naming the collective and the network, with what the ranks of the other host were doing: their rows came through the' \
    "run folder; no rank left on either host after $cut s; \`launch/run\` ended mpirun, which waited for the other host, after" \
    "$((SECONDS - started)) s: exit $status"
}

# Not a rank but its whole host stands still, its own watchdogs too: those of the other host must name it.
case_a_host_that_is_stopped_is_named_by_the_other() {
  local launcher status pids started
  write_run 100000
  join_hosts alpha beta
  two_hosts 4 dist.init_deadline_seconds=12 dist.data_deadline_seconds=6 dist.step_deadline_seconds=6 \
    dist.eval_deadline_seconds=6 dist.checkpoint_deadline_seconds=6 &
  launcher=$!
  until_true 60 has_step 10
  mapfile -t pids < <(pids_in_host beta | grep -vx "${host_keeper[beta]}")
  kill -STOP "${pids[@]}"
  started=$SECONDS
  until_true 60 test -s "$scratch/two/failure.json"
  cat "$scratch/two/failure.json"
  seen "\`failure.json\` by the other host $((SECONDS - started)) s after the stop (deadline 6 s):" \
    "\"$(sed -n 's/^  "message": "\(.*\)",*$/\1/p' "$scratch/two/failure.json")\""
  expect grep -q '"host": "beta"' "$scratch/two/failure.json"
  expect grep -q '"message": "rank [23] on beta (pid [0-9]*) has not moved for .* in phase .*step' "$scratch/two/failure.json"
  expect grep -q 'Its host was last heard of .* ago' "$scratch/two/failure.json"
  until_true 60 not_running "$launcher"
  wait "$launcher"
  status=$?
  expect test "$status" -eq 7
  seen "exit $status"
}
not_running() { ! kill -0 "$1" 2>/dev/null; }

case_a_host_that_dies_ends_the_run() {
  local launcher status pids
  write_run 100000
  join_hosts alpha beta
  two_hosts 4 &
  launcher=$!
  until_true 60 has_step 10
  mapfile -t pids < <(pids_in_host beta | grep -vx "${host_keeper[beta]}")
  kill -KILL "${pids[@]}"
  until_true 60 not_running "$launcher"
  wait "$launcher"
  status=$?
  expect no_rank_left
  cat "$scratch/two/failure.json"
  expect test "$status" -eq 8
  seen 'all processes of a host killed at once: exit 8 with a `failure.json` by `launch/run`, since mpirun ends the other' \
    'ranks before they can know why'
}

cases() { compgen -A function case_ | sed 's/^case_//'; }

if [ "${1:-}" = list ]; then
  cases
  exit
fi
cases | grep -qx -- "${1:-}" || { printf 'no case %s\n' "${1:-}" && exit 2; }
need_namespaces
[ -x "$RN_BUILD_DIR/bin/rn_dist" ] || skip "$RN_BUILD_DIR/bin/rn_dist is not built"
scratch=$(mktemp -d)
export TMPDIR=$scratch # Open MPI leaves its folders there when a host dies
cd "$scratch" || exit
relay=''
clean_up() {
  log_case tests/hosts/hosts_test.sh "$case" "$1"
  if [ -n "$relay" ]; then kill -KILL "$relay" && wait "$relay"; fi 2>/dev/null
  hosts_down
  [ -n "${RN_KEEP:-}" ] || rm -rf "$scratch"
}
case=$1
trap 'clean_up $?' EXIT
hosts_up "$scratch" alpha beta
"case_$case"
