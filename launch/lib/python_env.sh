# shellcheck shell=bash
# Python environments in .deps/ with pinned wheels. Sourced after common.sh.
#
# Their interpreters run with -I: pip takes what it finds through PYTHONPATH (modules of a cluster set it) for installed.

# The wheel of LibTorch is only unpacked for its C++ libraries, so the interpreter that runs pip need not be one that
# the wheel is made for: where it is not, pip is asked for the files of this version.
RN_WHEEL_PYTHON=3.12

# The first Python that can make virtual environments, newer than 3.11 where there is one; status 1: none.
find_python() {
  local python fallback=''
  for python in ${RN_PYTHON:+"$RN_PYTHON"} python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue
    if [ -z "${RN_PIP_WHEEL:-}" ]; then "$python" -c 'import ensurepip' 2>/dev/null || continue; fi
    if python_fits_wheel "$python"; then
      printf '%s\n' "$python"
      return
    fi
    fallback=${fallback:-$python}
  done
  [ -n "$fallback" ] && printf '%s\n' "$fallback"
}

python_fits_wheel() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }

# requirements_met VENV FILE: every pinned package of FILE is installed in VENV in that version.
requirements_met() {
  "$1/bin/python3" -I - "$2" <<'PY' 2>/dev/null
import platform, re, sys
from importlib import metadata

installed = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(): d.version for d in metadata.distributions()}
for line in open(sys.argv[1], encoding="utf-8"):
    pin, _, marker = line.partition(";")
    name, _, version = pin.split("#")[0].strip().partition("==")
    if not name or ("platform_system" in marker and platform.system() not in marker):
        continue
    if installed.get(re.sub(r"[-_.]+", "-", name).lower(), "").split("+")[0] != version:
        sys.exit(1)
PY
}

# ensure_venv NAME FILE [pip options]: .deps/NAME has what FILE pins. Quick when nothing is missing: a stamp holds the
# file's checksum. An environment without a stamp, or with an old one, is looked at and completed.
ensure_venv() {
  local venv=$RN_DEPS/$1 file=$2 python stamp sum
  shift 2
  stamp=$venv/rn-requirements.sha256
  sum=$(sha256sum <"$file")
  if [ -x "$venv/bin/python3" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then return; fi
  if ! "$venv/bin/python3" -c 'import sys' 2>/dev/null; then
    python=$(find_python) || die 3 'no Python 3.8 or newer with its venv module found (RN_PYTHON names one)'
    mkdir -p "$RN_DEPS"
    rm -rf "$venv"
    make_venv "$python" "$venv" || die 3 "$python could not make a virtual environment in $venv"
  fi
  if ! requirements_met "$venv" "$file"; then
    pip_install "$venv" "$file" "$@" || die 3 "pip could not install what ${file#"$RN_ROOT/"} pins." \
      'Without a network: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER_WITH_WHEELS, or RN_TORCH_DIR=.../site-packages/torch' \
      'of an installed PyTorch 2.11 to 2.15 (docs/install.md).'
  fi
  printf '%s\n' "$sum" >"$stamp"
}

# Without ensurepip (Debian's python3 without python3-venv), pip runs from its own wheel, which RN_PIP_WHEEL names.
make_venv() {
  if "$1" -c 'import ensurepip' 2>/dev/null; then
    run "$1" -I -m venv "$2"
  else
    run "$1" -I -m venv --without-pip "$2" &&
      run "$2/bin/python3" -I "$RN_PIP_WHEEL/pip" install --quiet --no-index "$RN_PIP_WHEEL"
  fi
}

pip_install() {
  local venv=$1 file=$2 foreign=()
  shift 2
  if grep -q '^torch==' "$file" && ! python_fits_wheel "$venv/bin/python3"; then
    foreign=(--target "$("$venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
      --python-version "$RN_WHEEL_PYTHON" --only-binary=:all: --upgrade
      --ignore-requires-python) # pip before 23 asks for it in spite of --python-version
  fi
  run "$venv/bin/python3" -I -m pip install --quiet --disable-pip-version-check "$@" ${foreign[@]+"${foreign[@]}"} -r "$file"
}

# torch_version DIR: the version of the LibTorch in DIR (site-packages/torch), empty if there is none.
torch_version() {
  sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\).*/\2/p' \
    "$1/include/torch/headeronly/version.h" 2>/dev/null | paste -sd .
}

# The torch folder of a Python or conda environment that is active and has a LibTorch the sources support.
active_torch_dir() {
  local prefix dir version
  for prefix in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}"; do
    [ -n "$prefix" ] || continue
    for dir in "$prefix"/lib/python3*/site-packages/torch; do
      version=$(torch_version "$dir")
      if [ -n "$version" ] && version_at_least "$version" 2.11 && ! version_at_least "$version" 2.16; then
        printf '%s\n' "$dir"
        return
      fi
    done
  done
}

# ensure_torch cpu|cuda: sets RN_TORCH_DIR to the LibTorch to build with, installing the pinned wheel where none is given.
ensure_torch() {
  local flavour=$1 venv=venv
  if [ -n "${RN_TORCH_DIR:-}" ]; then
    [ -n "$(torch_version "$RN_TORCH_DIR")" ] || die 3 "RN_TORCH_DIR=$RN_TORCH_DIR holds no LibTorch (site-packages/torch)"
    return
  fi
  RN_TORCH_DIR=$(active_torch_dir)
  if [ -z "$RN_TORCH_DIR" ]; then
    if [ "$flavour" = cuda ]; then venv='venv-cuda'; fi
    ensure_venv "$venv" "$RN_ROOT/launch/requirements-$flavour.txt" --no-deps
    RN_TORCH_DIR=$(echo "$RN_DEPS/$venv"/lib/python3*/site-packages/torch)
    [ -n "$(torch_version "$RN_TORCH_DIR")" ] || die 3 "the wheel left no LibTorch in $RN_DEPS/$venv; remove that folder and try again"
  else
    say "using the LibTorch $(torch_version "$RN_TORCH_DIR") of the active environment: $RN_TORCH_DIR"
  fi
}
