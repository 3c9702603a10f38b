# shellcheck shell=bash
# Debian packages without root: downloaded by apt, unpacked into .deps/root, found by environment variables.
# Sourced by system_packages.sh.

RN_UNPACKED=$RN_DEPS/root

# The C library and the compiler's runtime are never unpacked: a process with two of them does not start.
RN_NEVER_UNPACKED='libc6|libc6-dev|libc-bin|libc-dev-bin|libc-l10n|libgcc-s1|libstdc++6|libcrypt1|libcrypt-dev'

# unpack_packages PACKAGE...: these and all they depend on that is not installed. status 1: not a Debian system, or no
# network.
unpack_packages() {
  local apt_home=$RN_DEPS/apt apt wanted archive
  have apt-get && have dpkg-deb || return 1
  mkdir -p "$apt_home/lists/partial" "$apt_home/archives/partial" "$RN_UNPACKED"
  apt=(apt-get -q -o "Dir::State=$apt_home" -o "Dir::State::status=/var/lib/dpkg/status" -o "Dir::Cache=$apt_home"
    -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1)
  run "${apt[@]}" update >&2 || return 1
  mapfile -t wanted < <("${apt[@]}" -s install --no-install-recommends "$@" |
    awk '$1 == "Inst" { print $2 }' | grep -vxE "$RN_NEVER_UNPACKED")
  [ "${#wanted[@]}" -gt 0 ] || return 1
  (cd "$apt_home/archives" && run "${apt[@]}" download "${wanted[@]}" >&2) || return 1
  for archive in "$apt_home"/archives/*.deb; do
    dpkg-deb -x "$archive" "$RN_UNPACKED" || return 1
    rm "$archive"
  done
  mend_links
  link_mpi
}

# Absolute links of a package mean the system's root; those that lead nowhere there are led into the unpacked one. A
# development package's libX.so is relative: where the library itself was installed before, all its names are linked.
mend_links() {
  local link target name
  find "$RN_UNPACKED" -type l | while read -r link; do
    target=$(readlink "$link")
    case $target in
      /*) if [ ! -e "$target" ] && [ -e "$RN_UNPACKED$target" ]; then ln -sfn "$RN_UNPACKED$target" "$link"; fi ;;
      *.so.*)
        [ -e "$link" ] && continue
        for name in "${link#"$RN_UNPACKED"}".*; do
          [ ! -e "$name" ] || [ -e "$RN_UNPACKED$name" ] || ln -s "$name" "$RN_UNPACKED$name"
        done
        ;;
    esac
  done
}

# Debian makes these names in a package's installation script, which unpacking does not run.
link_mpi() {
  local name
  [ -x "$RN_UNPACKED/usr/bin/orterun" ] || return 0
  mkdir -p "$RN_DEPS/bin"
  for name in mpirun mpiexec orterun; do ln -sf ../root/usr/bin/orterun "$RN_DEPS/bin/$name"; done
  for name in mpicc mpicxx; do ln -sf ../root/usr/bin/opal_wrapper "$RN_DEPS/bin/$name"; done
}

prepend() { # prepend VARIABLE FOLDER
  case ":${!1:-}:" in
    *":$2:"*) ;;
    *) export "$1=$2${!1:+:${!1}}" ;;
  esac
}

# Environment variables that make what lies in .deps/ found, for this process and its children.
use_unpacked_packages() {
  local arch wheel
  if [ -d "$RN_DEPS/bin" ]; then prepend PATH "$RN_DEPS/bin"; fi
  [ -d "$RN_UNPACKED/usr" ] || return 0
  arch=$(uname -m)-linux-gnu
  for wheel in "$RN_UNPACKED"/usr/share/python-wheels/pip-*.whl; do
    if [ -e "$wheel" ]; then export RN_PIP_WHEEL=$wheel; fi
  done
  prepend CMAKE_PREFIX_PATH "$RN_UNPACKED/usr"
  prepend CPLUS_INCLUDE_PATH "$RN_UNPACKED/usr/include"
  prepend CPLUS_INCLUDE_PATH "$RN_UNPACKED/usr/include/$arch"
  prepend LIBRARY_PATH "$RN_UNPACKED/usr/lib/$arch"
  prepend LD_LIBRARY_PATH "$RN_UNPACKED/lib/$arch"
  prepend LD_LIBRARY_PATH "$RN_UNPACKED/usr/lib/$arch"
  if [ -x "$RN_UNPACKED/usr/bin/orterun" ]; then relocate_open_mpi "$arch"; fi
}

relocate_open_mpi() {
  export OPAL_PREFIX=$RN_UNPACKED/usr
  export OPAL_LIBDIR=$RN_UNPACKED/usr/lib/$1/openmpi/lib
  export OPAL_INCLUDEDIR=$RN_UNPACKED/usr/lib/$1/openmpi/include
  export OPAL_DATADIR=$RN_UNPACKED/usr/share
  export OPAL_SYSCONFDIR=$RN_UNPACKED/etc
  export PMIX_INSTALL_PREFIX=$RN_UNPACKED/usr/lib/$1/pmix2
  # Plug-ins for networks whose libraries an installation script would have linked, and help texts, are looked for in
  # the system's folders: nothing that a run needs, so no warnings about it.
  export OMPI_MCA_mca_base_component_show_load_errors=0
  export PMIX_MCA_pcompress_base_silence_warning=1
}

# The names of the variables set above, if any.
unpacked_variables() {
  [ -d "$RN_UNPACKED/usr" ] || return 0
  printf '%s\n' CMAKE_PREFIX_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH \
    OPAL_PREFIX OPAL_LIBDIR OPAL_INCLUDEDIR OPAL_DATADIR OPAL_SYSCONFDIR PMIX_INSTALL_PREFIX \
    OMPI_MCA_mca_base_component_show_load_errors PMIX_MCA_pcompress_base_silence_warning
}
