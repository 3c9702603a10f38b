#!/usr/bin/env bash
# usage: tests/slurm/slurm_test.sh CASE [BUILD_DIR]     one case of the job scripts on a real SLURM of two hosts
#        tests/slurm/slurm_test.sh list                 prints all cases
#
# Each case starts munged, slurmctld and two slurmd in a folder of its own and ends them. Ends with 0 if the case holds,
# with 77 where this machine cannot run it (no root, no SLURM). BUILD_DIR: with bin/rn_dist; default build.
# shellcheck disable=SC2016  # Markdown in what a case has seen
set -uo pipefail

root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
# shellcheck source=tests/hosts/hosts.sh
. "$root/tests/hosts/hosts.sh"
# shellcheck source=tests/slurm/cluster.sh
. "$root/tests/slurm/cluster.sh"

RN_BUILD_DIR=$(realpath "${2:-$root/build}")
export RN_BUILD_DIR OMP_NUM_THREADS=1 RN_MPIRUN_ARGS='--mca pml ob1 --mca btl self,vader,tcp'
unset NP HOSTS RESTARTS RN_LAUNCHER CUDA_VISIBLE_DEVICES
for name in $(compgen -e | grep '^SLURM_'); do unset "$name"; done

fail() {
  printf 'FAILED: %s\n' "$*"
  tail -n 40 ./*.out 2>/dev/null
  slurm scontrol show job 2>/dev/null
  exit 1
}

# The run that all cases start; far longer than any of them waits, until `ends_at` says otherwise. max_steps is no part
# of a run's identity.
ends_at() {
  sed -i "s/^  max_steps: .*/  max_steps: $1/" run.yaml
}
write_run() {
  cat >run.yaml <<YAML
run: {name: run, dir: $scratch/run}
model: {name: resnet9, width: 4, norm: group, group_norm_groups: 2}
data: {dataset: synthetic, synthetic_train: 512, synthetic_test: 64}
train:
  epochs: 1000000
  max_steps: 100000000
  global_batch: 16
  precision: fp32
  threads: 1
optimizer: {lr: 0.01}
schedule: {name: constant}
eval: {every_epochs: 1000000, batch: 64}
checkpoint: {every_epochs: 1000000, every_steps: 50}
report: {every_steps: 1, tensorboard: false}
YAML
}

# submit SCRIPT [ARGUMENT...]: sets job. Options for sbatch stand in the array `options`.
submit() {
  local script=$1
  shift
  # The project's folder is where users call sbatch; output goes to the case's folder.
  job=$(cd "$root" && slurm sbatch --parsable --output="$scratch/%j.out" ${options[@]+"${options[@]}"} \
    "slurm/$script" "$@") || fail 'sbatch refused the job'
}

# until_true SECONDS COMMAND...
until_true() {
  local limit=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$limit" ] || fail "not within its time: $*"
    sleep 0.2
  done
}

has_step() {
  local steps
  steps=$(grep -c '"event":"step"' "$run_folder/metrics.jsonl" 2>/dev/null)
  [ "${steps:-0}" -ge "$1" ]
}
has_rounds() {
  local rounds
  rounds=$(grep -c '"event":"round"' "$run_folder/metrics.jsonl" 2>/dev/null)
  [ "${rounds:-0}" -ge "$1" ]
}
has_resumed() { grep -q '"event":"run_start".*"resumed_from":[1-9]' "$run_folder/metrics.jsonl"; }
is_state() { [[ $(job_state "$job") =~ ^($1)$ ]]; }
has_ended() { is_state 'COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL'; }
restarted() { [ "$(job_field "$job" Restarts)" -eq "$1" ]; }
has_output() { grep -q -- "$1" "$scratch/$job.out"; }
expect() { "$@" || fail "does not hold: $*"; }
expect_not() { ! "$@" || fail "should not hold: $*"; }
checkpoint_step() { readlink "$run_folder/checkpoints/last" | sed 's/^0*\([0-9]\)/\1/'; }

# The job waits in the queue after a stop: from here it has 30 steps to go.
ends_soon() {
  stopped_at=$(checkpoint_step)
  [ -n "$stopped_at" ] || fail 'it left no checkpoint'
  last_step=$((stopped_at + 30))
  ends_at "$last_step"
}

# The weights are those of a run that was never stopped, byte for byte.
expect_bits_of_an_uninterrupted_run() {
  (cd "$root" && RN_MPIRUN_ARGS='' in_host n1 launch/run -n 2 "$scratch/run.yaml" run.dir="$scratch/whole") >whole.out 2>&1 ||
    fail "the uninterrupted run: $(tail -n 5 whole.out)"
  cmp "$scratch/run/model.safetensors" "$scratch/whole/model.safetensors" || fail 'the weights differ'
  seen "checkpoint at step $stopped_at, requeued, done at step $last_step; \`model.safetensors\` byte for byte that of an" \
    'uninterrupted run of 2 ranks on one host'
}

one_node=(--ntasks-per-node=2 --cpus-per-task=1)

case_time_limit_requeue_and_finish() {
  # 120 s before the end of a job of one minute is now, and SLURM looks every 30 s.
  options=("${one_node[@]}" --time=1)
  submit cpu_debug.sbatch "$scratch/run.yaml"
  until_true 90 has_output 'USR1: passed on'
  until_true 60 restarted 1
  expect has_output 'exit 75'
  seen '2 ranks by mpirun: USR1 before the limit, exit 75'
  ends_soon
  until_true 120 has_ended
  expect is_state COMPLETED
  expect restarted 1
  expect_bits_of_an_uninterrupted_run
}

cancelled_with() {
  options=("${one_node[@]}" "--export=ALL,RN_LAUNCHER=$1")
  submit cpu_debug.sbatch "$scratch/run.yaml"
  until_true 60 has_step 20
  slurm scancel "$job"
  until_true 40 has_output 'exit 143'
  until_true 10 is_state CANCELLED
  expect restarted 0
  expect test "$(checkpoint_step)" -ge 20
  sleep 8 # longer than a requeued job waits
  expect is_state CANCELLED
  seen "checkpoint at step $(checkpoint_step), exit 143, CANCELLED, never started again"
}
case_scancel_leaves_a_checkpoint_and_is_not_requeued() {
  cancelled_with mpirun
  seen 'SLURM sends TERM to every process of the job; mpirun, which would end the ranks for it within 2 s, runs with TERM blocked'
}
case_scancel_of_a_job_with_srun() {
  cancelled_with srun
  expect has_output 'forcing job termination'
  seen 'srun says "forcing job termination", but the ranks have until `KillWait`'
}

case_a_node_set_down_requeues_the_job_which_goes_on_elsewhere() {
  local node
  options=("${one_node[@]}")
  submit cpu_debug.sbatch "$scratch/run.yaml"
  until_true 60 has_step 20
  node=$(job_field "$job" BatchHost)
  slurm scontrol update "nodename=$node" state=down reason=test
  until_true 30 restarted 1
  until_true 60 is_state RUNNING
  expect_not test "$(job_field "$job" BatchHost)" = "$node"
  until_true 60 has_resumed
  slurm scancel "$job"
  until_true 40 has_ended
  seen "\`scontrol update state=down\` for $node: requeued by SLURM, resumed on $(job_field "$job" BatchHost) from the checkpoint"
}

case_a_node_that_loses_power_requeues_the_job_which_goes_on_elsewhere() {
  local pids
  options=("${one_node[@]}" --nodelist=n2)
  submit cpu_debug.sbatch "$scratch/run.yaml"
  until_true 60 has_step 60
  mapfile -t pids < <(pids_in_host n2 | grep -vx "${host_keeper[n2]}")
  kill -KILL "${pids[@]}"
  until_true 60 restarted 1
  slurm scontrol update "jobid=$job" 'reqnodelist=n1' || fail 'the job does not take the other node'
  ends_soon
  until_true 120 has_ended
  expect is_state COMPLETED
  expect test "$(job_field "$job" BatchHost)" = n1
  seen 'every process of the host killed at once, slurmd too: requeued after `SlurmdTimeout`, the lock of the dead processes on' \
    'the run folder taken over'
  expect_bits_of_an_uninterrupted_run
}

case_what_fails_for_good_is_not_requeued() {
  options=("${one_node[@]}")
  submit cpu_debug.sbatch "$scratch/run.yaml" data.dataset=cifar10 data.root=/no/such/folder
  until_true 60 has_ended
  expect is_state FAILED
  expect test "$(job_field "$job" ExitCode)" = 4:0
  expect restarted 0
  seen 'exit 4 (no data): FAILED with exit code 4:0, 0 restarts'
}

case_requeues_do_not_exceed_their_number() {
  options=("${one_node[@]}" --time=1 '--export=ALL,RN_MAX_REQUEUES=0')
  submit cpu_debug.sbatch "$scratch/run.yaml"
  until_true 120 has_ended
  expect is_state FAILED
  expect test "$(job_field "$job" ExitCode)" = 75:0
  expect restarted 0
  expect has_output 'not requeued: 0 requeues already'
  expect test "$(checkpoint_step)" -ge 1
  seen "\`RN_MAX_REQUEUES=0\`: exit 75, FAILED, checkpoint of step $(checkpoint_step) kept, 0 restarts"
}

case_a_stop_before_the_end_without_any_signal() {
  # A signal that the script does not know; the end of the job is enough.
  options=("${one_node[@]}" --time=1 --signal=B:URG@1)
  submit cpu_debug.sbatch "$scratch/run.yaml"
  until_true 120 restarted 1
  expect has_output 'exit 75'
  expect_not has_output 'passed on'
  expect_not is_state TIMEOUT
  seen "no signal at all: stopped before \`SLURM_JOB_END_TIME\` with a checkpoint of step $(checkpoint_step), exit 75, requeued"
  slurm scancel "$job"
}

two_nodes_with() {
  options=(--nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --gpus-per-node=1 --time=10 "--export=ALL,RN_LAUNCHER=$1")
  submit multi_node.sbatch "$scratch/run.yaml"
  until_true 90 has_step 20
  expect test "$(job_field "$job" NodeList)" = 'n[1-2]'
  slurm scancel --batch --signal=USR1 "$job"
  until_true 60 restarted 1
  expect has_output 'exit 75'
  seen "a rank on each host, by $1: USR1, exit 75"
  ends_soon
  until_true 120 has_ended
  expect is_state COMPLETED
  expect_bits_of_an_uninterrupted_run
}
case_two_nodes_with_mpirun() { two_nodes_with mpirun; }
case_two_nodes_with_srun() { two_nodes_with srun; }

# The nodes' GPUs are none, so the ranks train on the CPU.
case_one_node_with_gpus_that_all_ranks_see() {
  local launcher
  ends_at 5
  for launcher in mpirun srun; do
    options=("${one_node[@]}" --gpus-per-node=2 "--export=ALL,RN_LAUNCHER=$launcher")
    submit one_node.sbatch "$scratch/run.yaml" "run.dir=$scratch/$launcher"
    until_true 90 has_ended
    expect is_state COMPLETED
    expect test -s "$launcher/model.safetensors"
  done
  expect has_output 'srun .* --gpu-bind=none'
  expect cmp mpirun/model.safetensors srun/model.safetensors
  seen '`one_node.sbatch` on nodes with made-up GPUs, by mpirun and by `srun --gpu-bind=none`: done, the same bytes'
}

case_a_sweep_runs_every_pair() {
  options=(--array=0-3 --cpus-per-task=1 '--export=ALL,LR=0.01 0.02,SEEDS=1 2')
  ends_at 5
  submit sweep.sbatch "$scratch/run.yaml" "run.name=sweep"
  sweep=$root/runs/$job # where the script puts them
  until_true 180 all_ended
  local lr seed
  for lr in 0.01 0.02; do
    for seed in 1 2; do
      expect test -s "$sweep/lr$lr-seed$seed/model.safetensors"
    done
  done
  expect test "$(sha256sum "$sweep"/*/model.safetensors | cut -c1-64 | sort -u | wc -l)" -eq 4
  seen 'array of 4 tasks over 2 learning rates and 2 seeds: 4 run folders, 4 different models'
}
case_a_federated_run_is_requeued() {
  options=("${one_node[@]}" --gpus-per-node=2 --time=10)
  local words=(configs/federated/fedavg.yaml data.dataset=synthetic data.synthetic_train=400 data.synthetic_test=50
    federated.rounds=100000 federated.clients=10 federated.cohort=4 train.threads=1 eval.every_epochs=100000
    "run.dir=$run_folder")
  submit federated.sbatch "${words[@]}"
  until_true 60 has_rounds 2
  slurm scancel --batch --signal=USR1 "$job"
  until_true 60 restarted 1
  until_true 60 has_resumed
  slurm scancel "$job"
  until_true 40 has_output 'exit 143'
  until_true 10 is_state CANCELLED
  seen '`federated.sbatch`: USR1 between rounds, exit 75, requeued, resumed after round' \
    "$(grep -o '"resumed_from":[0-9]*' "$run_folder/metrics.jsonl" | tail -n 1 | cut -d: -f2); scancel: exit 143"
}

case_a_task_of_a_sweep_is_requeued() {
  options=(--array=3-3 --cpus-per-task=1 '--export=ALL,LR=0.01 0.02,SEEDS=1 2')
  submit sweep.sbatch "$scratch/run.yaml" "run.name=sweep"
  sweep=$root/runs/$job
  run_folder=$sweep/lr0.02-seed2
  until_true 60 has_step 20
  slurm scancel --batch --signal=USR1 "${job}_3"
  until_true 60 restarted 1
  ends_soon
  until_true 120 all_ended
  expect has_resumed
  expect test -s "$run_folder/model.safetensors"
  seen "one task of an array: USR1 at step $stopped_at, exit 75, requeued alone, resumed, done at step $last_step"
}
all_ended() { [ -z "$(slurm squeue --noheader)" ]; }

cases() { compgen -A function case_ | sed 's/^case_//'; }

if [ "${1:-}" = list ]; then
  cases
  exit
fi
cases | grep -qx -- "${1:-}" || { printf 'no case %s\n' "${1:-}" && exit 2; }
need_slurm
[ -x "$RN_BUILD_DIR/bin/rn_dist" ] || skip "$RN_BUILD_DIR/bin/rn_dist is not built"
scratch=$(mktemp -d)
export TMPDIR=$scratch # Open MPI leaves its folders there when a host dies
cd "$scratch" || exit
run_folder=$scratch/run
sweep=''
case=$1
trap 'log_case tests/slurm/slurm_test.sh "$case" $?; cluster_down; rm -rf "$scratch" ${sweep:+"$sweep"}' EXIT
cluster_up "$scratch"
write_run
"case_$case"
