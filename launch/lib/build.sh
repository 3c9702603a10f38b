# shellcheck shell=bash
# Setting up and building in one of the build folders. Sourced after common.sh.

# shellcheck source=launch/lib/python_env.sh
. "$RN_ROOT/launch/lib/python_env.sh"
# shellcheck source=launch/lib/system_packages.sh
. "$RN_ROOT/launch/lib/system_packages.sh"

# set_up cpu|cuda [tests]: all that a build of this flavour needs is there, and this process's environment finds it.
set_up() {
  local flavour=$1
  ensure_system_packages "${@:2}"
  do_without_ssh
  ensure_torch "$flavour"
  if [ "$flavour" = cuda ] && [ -z "${CUDAToolkit_ROOT:-}" ]; then use_toolkit_of_wheels; fi
  write_environment_file
}

# NVIDIA's wheels beside LibTorch hold the toolkit's headers and compiler, in the version of the libraries that will be
# loaded; a toolkit of the system need not be there, nor be of that version. CMake looks for unversioned library names.
use_toolkit_of_wheels() {
  local toolkit library
  toolkit=$(dirname "$RN_TORCH_DIR")/nvidia/cu13
  if [ ! -x "$toolkit/bin/nvcc" ]; then
    # An environment's LibTorch, without the compiler beside it.
    if have nvcc || [ -x /usr/local/cuda/bin/nvcc ]; then return; fi
    die 3 "the CUDA flavour with the LibTorch in $RN_TORCH_DIR needs a CUDA toolkit of its version" \
      '(CUDAToolkit_ROOT names its folder)'
  fi
  for library in "$toolkit"/lib/lib*.so.*; do ln -sfn "$(basename "$library")" "${library%%.so.*}.so"; done
  export CUDAToolkit_ROOT=$toolkit
}

# .deps/env.sh: for the user's own cmake and mpirun, where something lies in .deps/ that they would not find.
write_environment_file() {
  local name
  {
    printf '# Made by launch/setup: . .deps/env.sh before calling cmake, ninja or mpirun by hand.\n'
    for name in RN_TORCH_DIR CXX CUDAToolkit_ROOT OMPI_MCA_plm_rsh_agent $(unpacked_variables); do
      if [ -n "${!name:-}" ]; then printf 'export %s=%q\n' "$name" "${!name}"; fi
    done
    # shellcheck disable=SC2016  # for the one who reads the file
    if [ -d "$RN_DEPS/bin" ]; then printf 'export PATH=%q:$PATH\n' "$RN_DEPS/bin"; fi
  } >"$RN_DEPS/env.sh"
}

# A source with LibTorch's headers takes some 2 GiB to compile.
build_jobs() {
  local cores gib
  cores=$(core_count)
  gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null)
  gib=$((${gib:-4} / 2))
  if [ "$gib" -lt 1 ]; then gib=1; fi
  if [ "$gib" -lt "$cores" ]; then cores=$gib; fi
  printf '%s\n' "${RN_JOBS:-$cores}"
}

# has_tests FOLDER: whether it was configured with the test suite.
has_tests() {
  grep -q '^RN_BUILD_TESTS:BOOL=ON$' "$1/CMakeCache.txt" 2>/dev/null
}

# configure PRESET FOLDER [cmake options]: -U, since a cache keeps the libraries of a LibTorch that was used before.
configure() {
  local preset=$1 folder=$2
  shift 2
  run cmake --preset "$preset" -S "$RN_ROOT" -B "$folder" -U 'LibTorch_*' -U 'NCCL_*' -U 'CUDA*' -D "RN_TORCH_DIR=$RN_TORCH_DIR" \
    ${CUDAToolkit_ROOT:+-D "CUDAToolkit_ROOT=$CUDAToolkit_ROOT"} "$@"
}

# build FOLDER [target...]: ccache sees paths relative to the project, so that flavours and clones share what is equal.
build() {
  local folder=$1
  shift
  CCACHE_BASEDIR=$RN_ROOT CCACHE_NOHASHDIR=1 run cmake --build "$folder" -j "$(build_jobs)" ${1:+--target "$@"}
}
