# shellcheck shell=bash
# Compilers, tools and libraries from the system. What is missing comes from apt where root is to be had, else from
# wheels and unpacked Debian packages in .deps/, else the user is told what to install. Sourced after common.sh.

# shellcheck source=launch/lib/unpacked_packages.sh
. "$RN_ROOT/launch/lib/unpacked_packages.sh"

RN_MIN_CMAKE=3.25
RN_MIN_GCC=12

# What a build needs, and the packages that give it in apt, dnf and conda form.
RN_NEEDS='
compiler|g++ libc6-dev|gcc-c++ (RHEL: gcc-toolset-12)|gxx
cmake|cmake|cmake|cmake
ninja|ninja-build|ninja-build|ninja
mpi|libopenmpi-dev openmpi-bin openssh-client|openmpi-devel (then: module load mpi/openmpi-x86_64)|openmpi
python|python3 python3-venv|python3 python3-pip|python
yaml-cpp|libyaml-cpp-dev|yaml-cpp-devel|yaml-cpp
spdlog|libspdlog-dev|spdlog-devel|spdlog
json|nlohmann-json3-dev|json-devel|nlohmann_json
curl|libcurl4-openssl-dev ca-certificates|libcurl-devel|libcurl
openssl|libssl-dev|openssl-devel|openssl
zlib|zlib1g-dev|zlib-devel|zlib
png|libpng-dev|libpng-devel|libpng
jpeg|libjpeg-dev|libjpeg-turbo-devel|libjpeg-turbo
gtest|libgtest-dev|gtest-devel|gtest'

# packages_of NEED apt|dnf|conda
packages_of() {
  local column
  case $2 in apt) column=2 ;; dnf) column=3 ;; conda) column=4 ;; esac
  awk -F '|' -v need="$1" -v column="$column" '$1 == need { print $column }' <<<"$RN_NEEDS"
}

# compiler_fits COMPILER: GCC from 12 or clang from 17.
compiler_fits() {
  local probe
  # shellcheck disable=SC2086  # CXX may carry options
  probe=$(printf '#ifdef __clang__\nV __clang_major__ 17\n#else\nV __GNUC__ %s\n#endif\n' "$RN_MIN_GCC" |
    $1 -x c++ -E -P - 2>/dev/null | awk '$1 == "V" { print ($2 >= $3) }')
  [ "$probe" = 1 ]
}

# Sets and exports CXX to the first compiler that fits; status 1: none.
find_compiler() {
  local compiler
  for compiler in ${CXX:+"$CXX"} g++ c++ g++-14 g++-13 g++-12; do
    if compiler_fits "$compiler"; then
      export CXX=$compiler
      return
    fi
  done
  return 1
}

# The libraries whose headers the compiler does not see.
missing_libraries() {
  local header_of='yaml-cpp:yaml-cpp/yaml.h spdlog:spdlog/spdlog.h json:nlohmann/json.hpp curl:curl/curl.h
    openssl:openssl/evp.h zlib:zlib.h png:png.h jpeg:jerror.h gtest:gtest/gtest.h' entry
  for entry in $header_of; do
    printf '#if !__has_include(<%s>)\nMISSING %s\n#endif\n' "${entry#*:}" "${entry%%:*}"
  done | ${CXX:-g++} -std=c++20 ${CONDA_PREFIX:+-isystem "$CONDA_PREFIX/include"} -x c++ -E -P - 2>/dev/null |
    awk '$1 == "MISSING" { print $2 $3 $4 }'
}

open_mpi_found() { have mpicxx && mpirun --version 2>/dev/null | grep -q 'Open MPI\|OpenRTE'; }

# missing_needs [tests]: prints the needs of a build that this machine does not meet, one a line.
missing_needs() {
  local cmake_version
  # Without a compiler no header can be looked for: all are then reported as missing by apt's own check.
  if ! find_compiler; then printf 'compiler\n'; fi
  cmake_version=$({ cmake --version 2>/dev/null || true; } | awk 'NR == 1 { print $3 }')
  version_at_least "${cmake_version:-0}" "$RN_MIN_CMAKE" || printf 'cmake\n'
  have ninja || printf 'ninja\n'
  open_mpi_found || printf 'mpi\n'
  find_python >/dev/null || printf 'python\n'
  if [ -n "${CXX:-}" ] && have "${CXX%% *}"; then
    missing_libraries
  else
    printf '%s\n' yaml-cpp spdlog json curl openssl zlib png jpeg gtest
  fi | if [ "${1:-}" = tests ]; then cat; else grep -v '^gtest$' || true; fi
}

# How to become root without being asked for a password; status 1: not possible.
root_prefix() {
  if [ -n "${RN_NO_ROOT:-}" ] && [ "$RN_NO_ROOT" != 0 ]; then return 1; fi
  if [ "$(id -u)" -eq 0 ]; then return 0; fi
  if have sudo && sudo -n true 2>/dev/null; then
    printf 'sudo\n'
    return 0
  fi
  return 1
}

apt_install() {
  local prefix
  prefix=$(root_prefix) || return 1
  have apt-get || return 1
  local apt=(${prefix:+"$prefix"} env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  if ! run "${apt[@]}" install -y --no-install-recommends "$@" >&2; then
    # A fresh machine has no package lists, an old one may have stale ones.
    run "${apt[@]}" update >&2 || true
    run "${apt[@]}" install -y --no-install-recommends "$@" >&2
  fi
}

apt_install_needs() {
  local need names packages=()
  for need in "$@"; do
    read -ra names <<<"$(packages_of "$need" apt)"
    packages+=("${names[@]}")
  done
  apt_install "${packages[@]}" || return 1
  # Ubuntu 22.04's g++ is 11; the next ones stand beside it.
  if ! find_compiler; then apt_install g++-12 || return 1; fi
}

# cmake and ninja are to be had from PyPI without root, and newer than some distributions have them.
tools_from_wheels() {
  local tool
  ensure_venv venv-tools "$RN_ROOT/launch/requirements-tools.txt"
  mkdir -p "$RN_DEPS/bin"
  for tool in cmake ctest ninja; do ln -sf "../venv-tools/bin/$tool" "$RN_DEPS/bin/$tool"; done
}

explain_missing() {
  local need form line
  {
    printf 'error: this machine lacks what the build needs: %s\n' "$*"
    printf 'Install it in one of these ways, then run the same command again:\n'
    for form in apt dnf conda; do
      line=''
      for need in "$@"; do line="$line $(packages_of "$need" "$form")"; done
      case $form in
        apt) printf '  sudo apt-get install%s\n' "$line" ;;
        dnf) printf '  sudo dnf install%s\n' "$line" ;;
        conda) printf '  conda install -c conda-forge%s\n' "$line" ;;
      esac
    done
    printf 'The compiler is GCC %s or newer (CXX names it), CMake %s or newer, MPI is Open MPI 4 or 5.\n' \
      "$RN_MIN_GCC" "$RN_MIN_CMAKE"
    printf 'On a cluster: module load the compiler and Open MPI. See docs/install.md.\n'
  } >&2
  exit 3
}

# Sets `missing` of the caller to what missing_needs prints.
look_for_missing() {
  local lines
  lines=$(missing_needs "$@")
  read -ra missing -d '' <<<"$lines" || true
}

# ensure_system_packages [tests]
ensure_system_packages() {
  local missing
  use_unpacked_packages
  look_for_missing "$@"
  if [ "${#missing[@]}" -gt 0 ] && root_prefix >/dev/null && have apt-get; then
    say "missing: ${missing[*]}"
    apt_install_needs "${missing[@]}" || warn 'apt could not install all of it'
    look_for_missing "$@"
  fi
  if [ "${#missing[@]}" -gt 0 ] && [[ " ${missing[*]} " != *' compiler '* ]]; then
    say "missing, taken into .deps/ without root: ${missing[*]}"
    take_without_root "${missing[@]}" || true
    use_unpacked_packages
    look_for_missing "$@"
  fi
  if [ "${#missing[@]}" -gt 0 ]; then explain_missing "${missing[@]}"; fi
  find_compiler  # the probes above ran in subshells
}

take_without_root() {
  local need names packages=() tools=()
  for need in "$@"; do
    case $need in
      python) if have python3; then packages+=(python3-pip-whl); fi ;;
      cmake | ninja) tools+=("$need") ;;
      *) read -ra names <<<"$(packages_of "$need" apt)" && packages+=("${names[@]}") ;;
    esac
  done
  if [ "${#packages[@]}" -gt 0 ]; then unpack_packages "${packages[@]}" || return 1; fi
  use_unpacked_packages
  if [ "${#tools[@]}" -gt 0 ]; then tools_from_wheels; fi
}
