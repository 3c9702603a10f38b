# shellcheck shell=bash
# Steps of launch/test that are no ctest entries, each counted as one test. Sourced after common.sh and build.sh.

RN_TEST_LOGS=$RN_ROOT/build/test-logs
RN_CHECKS=$RN_TEST_LOGS/checks.tsv
RN_DOCUMENTED_FUZZING=1000000 # runs of a fuzzer, from which on the table in docs/reliability.md is made

start_checks() {
  rm -rf "$RN_TEST_LOGS"
  mkdir -p "$RN_TEST_LOGS"
  : >"$RN_CHECKS"
}

record_check() { printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >>"$RN_CHECKS"; }

# check NAME COMMAND...: runs it with its output in a log, which is shown at the end if it fails. Status 77: skipped.
check() {
  local name=$1 log status
  log=$RN_TEST_LOGS/${name//[^A-Za-z0-9.-]/_}.log
  shift
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  if [ "$status" -eq 0 ]; then
    say "  passed  $name"
    record_check "$name" passed
  elif [ "$status" -eq 77 ]; then
    say "  skipped $name: $(tail -n 1 "$log")"
    record_check "$name" skipped
  else
    say "  FAILED  $name"
    record_check "$name" failed "$log"
    return 1
  fi
}

# The project's own files: tracked ones, and new ones that git does not ignore.
project_files() { git -C "$RN_ROOT" ls-files --cached --others --exclude-standard -- "$@" | sort -u; }

clang_format_check() {
  local formatter files
  cd "$RN_ROOT" || return
  formatter=$(command -v clang-format-19 || printf '%s\n' "$RN_DEPS/venv-test/bin/clang-format")
  mapfile -t files < <(project_files '*.cpp' '*.h' '*.cu' '*.cuh' | while read -r file; do [ -e "$file" ] && echo "$file"; done)
  "$formatter" --version && "$formatter" --dry-run -Werror "${files[@]}"
}

# Not on every machine, and not needed to use the program: skipped where it is missing.
shellcheck_check() {
  cd "$RN_ROOT" || return
  shellcheck -x launch/setup launch/run launch/quickstart launch/test launch/gpu-check launch/lib/*.sh .ci/run tests/launch/*.sh \
    slurm/*.sbatch slurm/lib.sh tests/slurm/*.sh tests/hosts/*.sh tests/hosts/enter_host
}

static_checks() {
  check clang-format clang_format_check || true
  if have shellcheck; then
    check shellcheck shellcheck_check || true
  elif [ -n "${CI:-}" ] && apt_install shellcheck >/dev/null 2>&1; then
    check shellcheck shellcheck_check || true
  else
    record_check shellcheck skipped
  fi
}

# build_for_tests NAME PRESET FOLDER: status 1: it did not build.
build_for_tests() {
  local name=$1 preset=$2 folder=$3
  say "building $name in ${folder#"$RN_ROOT/"} (log: ${RN_TEST_LOGS#"$RN_ROOT/"}/)"
  check "$name: configure" configure "$preset" "$folder" -D RN_BUILD_TESTS=ON || return 1
  # shellcheck disable=SC2086  # several targets
  check "$name: build" build "$folder" ${RN_TEST_TARGETS:-}
}

# test_build NAME PRESET FOLDER [ctest options]: configures, builds and runs the tests of one build folder; status 1: it
# did not build.
test_build() {
  local folder=$3
  build_for_tests "$1" "$2" "$3" || return 1
  shift 3
  run_ctest "$folder" "$@"
}

# run_ctest FOLDER [options]: what fails is counted from the results, so its status does not matter.
run_ctest() {
  local folder=$1 results=$1/test-results
  shift
  rm -rf "$results"
  mkdir -p "$results"
  ctest --test-dir "$folder" --show-only=json-v1 "$@" >"$results/ctest.json"
  run ctest --test-dir "$folder" -j "${RN_TEST_JOBS:-2}" --output-junit "$results/ctest.xml" --no-tests=error "$@" \
    </dev/null || true
  RN_TESTED+=("$folder")
}

# fuzz_build RUNS: the readers under libFuzzer with the address and undefined behaviour sanitizers; a target counts as
# one test. Skipped where clang 19 is missing and cannot be had.
fuzz_build() {
  local folder=$RN_ROOT/build-fuzz target seed=() coverage_log=()
  if ! have clang++-19 || ! have llvm-cov-19; then
    apt_install clang-19 libclang-rt-19-dev llvm-19 >/dev/null 2>&1 || true
  fi
  if ! have clang++-19 || ! have llvm-cov-19; then
    record_check fuzzing skipped
    return
  fi
  # A short pass does the same every time; a long one goes where none has been.
  if [ "$1" -ge "$RN_DOCUMENTED_FUZZING" ]; then
    coverage_log=(--log "$RN_TEST_LOGS/fuzzing.jsonl")
  else
    seed=(--seed 1)
  fi
  say "building fuzzers in ${folder#"$RN_ROOT/"}"
  check 'fuzzing: configure' configure cpu-fuzz "$folder" &&
    check 'fuzzing: build' build "$folder" rn_fuzzers || return
  for target in $(python3 "$RN_ROOT/tools/fuzz.py" --list); do
    check "fuzzing: $target, $1 runs" python3 "$RN_ROOT/tools/fuzz.py" --build "$folder" --runs "$1" \
      ${seed[@]+"${seed[@]}"} "$target" || true
  done
  check 'fuzzing: line coverage of the readers' python3 "$RN_ROOT/tools/fuzz.py" --build "$folder" --coverage \
    ${coverage_log[@]+"${coverage_log[@]}"} || true
}

# ratio_guard FOLDER: the eager peer on the PyTorch of the build's own wheel. Skipped where that cannot be imported, or
# where the record is of another kind of processor.
ratio_guard() {
  ensure_venv venv-guard "$RN_ROOT/bench/peers/requirements-guard.txt" --no-deps
  check 'guard: step-bf16' beside_pytorch "$1" step-bf16 || true
}

beside_pytorch() { # beside_pytorch FOLDER ROW
  local python=$RN_DEPS/venv-guard/bin/python3 wheels=${RN_TORCH_DIR%/torch}
  PYTHONPATH=$wheels "$python" -c 'import torch, torchvision' || {
    echo "no PyTorch for $python in $wheels"
    return 77
  }
  PYTHONPATH=$wheels "$RN_ROOT/bench/compare" --guard "$RN_ROOT/docs/results/performance/compare.json" "$2" --rounds 1 --steps 10 \
    --build "$1" --python "$python"
}

# all_faults FOLDER: what ctest leaves out of tests/faults, in parts that run side by side, since the runs mostly wait for
# deadlines and for mpirun; and the crash points of checkpoints.
all_faults() {
  local parts=4 part log=$RN_TEST_LOGS/faults.jsonl
  for ((part = 0; part < parts; ++part)); do
    check "faults: part $((part + 1)) of $parts" env RN_POINT_LOG="$log" GTEST_TOTAL_SHARDS=$parts \
      GTEST_SHARD_INDEX="$part" "$1/bin/faults_test" --gtest_filter='-Fast/*' &
  done
  wait
  check 'faults: rn_dist' env RN_POINT_LOG="$log" "$1/bin/app_faults_test" || true
  check 'faults: checkpoints' env RN_POINT_LOG="$RN_TEST_LOGS/crashes.jsonl" "$1/bin/io_test" \
    --gtest_filter='*Checkpoint*' || true
}

# The tables of docs/reliability.md for which this run has left a log.
reliability_tables() { check 'docs/reliability.md' python3 "$RN_ROOT/tools/reliability_tables.py" "$RN_TEST_LOGS" || true; }

# all_cases NAME SCRIPT FOLDER PACKAGE...: every case of a script of tests/slurm or tests/hosts, with what it needs from
# apt where that is to be had; else it says what is missing and skips.
all_cases() {
  local name=$1 script=$2 folder=$3 case
  shift 3
  if root_prefix >/dev/null && have apt-get; then
    dpkg --status "$@" >/dev/null 2>&1 || apt_install "$@" >/dev/null 2>&1 || true
  fi
  for case in $("$script" list); do
    check "$name: ${case//_/ }" env RN_POINT_LOG="$RN_TEST_LOGS/$name.jsonl" "$script" "$case" "$folder" || true
  done
}

# smoke NAME FOLDER: the built program starts, and trains a few steps on 1 and 2 ranks.
smoke() {
  local name=$1 folder=$2 scratch ranks
  scratch=$(mktemp -d)
  check "$name: --version" "$folder/bin/rn_dist" --version || true
  for ranks in 1 2; do
    check "$name: debug run on $ranks rank(s)" env RN_BUILD_DIR="$folder" "$RN_ROOT/launch/run" -n "$ranks" \
      "$RN_ROOT/configs/debug.yaml" "run.dir=$scratch/$ranks" || true
  done
  rm -rf "$scratch"
}
