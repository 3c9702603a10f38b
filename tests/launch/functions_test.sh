#!/usr/bin/env bash
# The small functions of launch/lib: tables of inputs and expected outputs.
set -uo pipefail

root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
# shellcheck source=launch/lib/common.sh
. "$root/launch/lib/common.sh"
# shellcheck source=launch/lib/build.sh
. "$root/launch/lib/build.sh"
# shellcheck source=launch/lib/mpirun_command.sh
. "$root/launch/lib/mpirun_command.sh"
# shellcheck source=launch/lib/supervise.sh
. "$root/launch/lib/supervise.sh"

failures=0
expect() { # expect EXPECTED COMMAND...
  local expected=$1 got
  shift
  got=$("$@" 2>/dev/null)
  if [ "$got" != "$expected" ]; then
    printf 'FAILED: %s gives "%s" instead of "%s"\n' "$*" "$got" "$expected"
    failures=$((failures + 1))
  fi
}
yes_or_no() { if "$@"; then echo yes; else echo no; fi; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

expect yes yes_or_no version_at_least 3.25 3.25
expect yes yes_or_no version_at_least 3.31.10 3.25
expect yes yes_or_no version_at_least 3.100 3.25
expect no yes_or_no version_at_least 3.9 3.25
expect no yes_or_no version_at_least 0 3.25

# What quickstart configures without tests stays without them in its second call.
for choice in ON OFF; do
  mkdir -p "$scratch/$choice"
  echo "RN_BUILD_TESTS:BOOL=$choice" >"$scratch/$choice/CMakeCache.txt"
done
expect yes yes_or_no has_tests "$scratch/ON"
expect no yes_or_no has_tests "$scratch/OFF"
expect no yes_or_no has_tests "$scratch/none"

# What only PYTHONPATH leads to is not in an environment.
mkdir -p "$scratch/venv/bin" "$scratch/modules/rn_pinned-1.0.dist-info"
ln -s "$(command -v python3)" "$scratch/venv/bin/python3"
printf 'Metadata-Version: 2.1\nName: rn-pinned\nVersion: 1.0\n' >"$scratch/modules/rn_pinned-1.0.dist-info/METADATA"
echo 'rn-pinned==1.0' >"$scratch/requirements.txt"
met() { PYTHONPATH=$1 yes_or_no requirements_met "$scratch/venv" "$scratch/requirements.txt"; }
expect no met "$scratch/modules"
expect no met ''

gpus() { CUDA_VISIBLE_DEVICES=$1 gpu_count; }
expect 0 gpus ''
expect 0 gpus -1
expect 1 gpus 3
expect 3 gpus 0,2,5
expect 2 gpus GPU-1a2b,GPU-3c4d

flavour() { RN_CUDA=$1 CUDA_VISIBLE_DEVICES=$2 default_flavour; }
expect cuda flavour ON ''
expect cpu flavour OFF 0,1
expect cuda flavour AUTO 0
expect cpu flavour AUTO ''
expect '' flavour perhaps ''

# Open MPI 5 refuses to start on the loopback alone.
loopback_words() {
  printf '#!/bin/sh\necho "mpirun (Open MPI) %s"\n' "$1" >"$scratch/mpirun"
  chmod +x "$scratch/mpirun"
  RN_MPIRUN=$scratch/mpirun SLURM_JOB_ID='' launch_command 2 '' "$scratch/bin/rn_dist"
  grep -c -- '--mca oob_tcp_if_include lo' <<<"${RN_LAUNCH[*]}"
}
expect 1 loopback_words 4.1.4
expect 0 loopback_words 5.0.11

printf 'a slots=4\n# b slots=9\n\nc slots=2 max_slots=8 # d\ne\n' >"$scratch/hosts"
expect 9 hostfile_ranks "$scratch/hosts" 3
printf '\n# nobody\n' >"$scratch/nobody"
expect 0 hostfile_ranks "$scratch/nobody" 3

cores() { (
  eval "core_count() { echo $1; }"
  CUDA_VISIBLE_DEVICES='' node_ranks
); }
expect 1 cores 1
expect 1 cores 7
expect 1 cores 15
expect 2 cores 16
expect 8 cores 64

# In a job of SLURM: launch_command's words, and whether the ranks may lie on several hosts.
in_job() { (
  # shellcheck disable=SC2034  # read by launch_command
  SLURM_JOB_ID=1 SLURM_JOB_NUM_NODES=$1 RN_LAUNCHER=$2 SLURM_JOB_GPUS=$3 SLURM_GPUS_ON_NODE='' RN_MPIRUN=true
  launch_command 4 '' /nowhere/bin/rn_dist
  echo "$RN_SEVERAL_HOSTS ${RN_LAUNCH[*]}"
); }
expect '0 srun --mpi=pmix --ntasks 4 -K1' in_job 1 srun ''
expect '1 srun --mpi=pmix --ntasks 4 -K1 --gpu-bind=none' in_job 2 srun 0,1
unset SLURM_JOB_ID
expect '' in_job 1 ssh ''

catching() { (
  trap : USR1
  yes_or_no catches "$BASHPID" USR1
); }
not_catching() {
  sleep 5 >/dev/null &
  yes_or_no catches $! USR1
  kill $!
}
expect yes catching
expect no not_catching
expect no yes_or_no catches 999999999 USR1

printf '{\n  "code": 8,\n  "step": -1,\n  "phase": "evaluate it",\n  "nothing": null\n}\n' >"$scratch/failure.json"
expect 8 json_value "$scratch/failure.json" code
expect -1 json_value "$scratch/failure.json" step
expect 'evaluate it' json_value "$scratch/failure.json" phase
expect '' json_value "$scratch/failure.json" nothing
expect '' json_value "$scratch/failure.json" absent
expect '' json_value "$scratch/no/such/file" code

expect 'libyaml-cpp-dev' packages_of yaml-cpp apt
expect 'gcc-c++ (RHEL: gcc-toolset-12)' packages_of compiler dnf
expect 'nlohmann_json' packages_of json conda

torch=$scratch/lib/python3.12/site-packages/torch
mkdir -p "$torch/include/torch/headeronly"
printf '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n#define TORCH_VERSION_PATCH 1\n' \
  >"$torch/include/torch/headeronly/version.h"
expect 2.13.1 torch_version "$torch"
expect '' torch_version "$scratch"
torch_of_conda() { VIRTUAL_ENV='' CONDA_PREFIX=$scratch active_torch_dir; }
expect "$torch" torch_of_conda
sed -i 's/MINOR 13/MINOR 10/' "$torch/include/torch/headeronly/version.h"
expect '' torch_of_conda # too old
sed -i 's/MINOR 10/MINOR 16/' "$torch/include/torch/headeronly/version.h"
expect '' torch_of_conda # not known to work

# Packages unpacked beside a system ("$installed") that has some of their files already.
mended() { (
  RN_UNPACKED=$scratch/unpacked
  mend_links
  cd "$RN_UNPACKED/$scratch" && cat "$1"
); }
installed=$scratch/installed
mkdir -p "$installed" "$scratch/unpacked/$installed" "$scratch/unpacked/elsewhere"
echo 'the library' >"$installed/libfmt.so.9.1.0"
ln -s libfmt.so.9.1.0 "$installed/libfmt.so.9"
ln -s libfmt.so.9 "$scratch/unpacked/$installed/libfmt.so"
echo 'the newer library' >"$scratch/unpacked/$installed/libz.so.1"
echo 'the older library' >"$installed/libz.so.1"
ln -s libz.so.1 "$scratch/unpacked/$installed/libz.so"
echo 'a header' >"$scratch/unpacked/elsewhere/mpi.h"
ln -s /elsewhere/mpi.h "$scratch/unpacked/$installed/mpi.h"
echo 'of the system' >"$installed/found"
ln -s "$installed/found" "$scratch/unpacked/$installed/absolute"
expect 'the library' mended installed/libfmt.so
expect 'the library' mended installed/libfmt.so.9.1.0
expect 'the newer library' mended installed/libz.so
expect 'a header' mended installed/mpi.h
expect 'of the system' mended installed/absolute

explained=$( (explain_missing compiler mpi) 2>&1)
for form in 'apt-get install.*g++.*openmpi-bin' 'dnf install.*gcc-c++.*openmpi-devel' 'conda-forge.*gxx.*openmpi'; do
  grep -q -- "$form" <<<"$explained" || { echo "FAILED: what is missing is not told as: $form" && failures=$((failures + 1)); }
done

[ "$failures" -eq 0 ] || exit 1
