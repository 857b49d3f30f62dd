#!/bin/bash
# Installs what the build needs from Debian 12's own packages, as root or through sudo.
# Does nothing, without network, when everything is there.
# Usage: tools/setup.sh [--lint] [--fuzz]
#   --lint: also what tools/lint.sh needs; --fuzz: also what tests/fuzz/run.sh needs
set -euo pipefail

# Each with the upstream version that this project is tested with: another one is a warning. No
# apt-get install NAME=VERSION: a Debian release keeps no revision that a security update replaced
# (docs/dependencies.md).
packages=(
  bazel-bootstrap=4.2.3  # the command bazel
  "g++=12.2.0"
  pkgconf=1.8.1
  libtorch-dev=1.13.1
  libopenblas0-openmp=0.3.21  # by name: LibTorch would take any BLAS, also a slow one
  libabsl-dev=20220623.1
  libhwy-dev=1.0.3
  libprotobuf-dev=3.21.12
  protobuf-compiler=3.21.12
  zlib1g-dev=1.2.13  # comes with libprotobuf-dev
  libgtest-dev=1.12.1
  libgmock-dev=1.12.1
  libbenchmark-dev=1.7.1
)

fail() {
  echo "tools/setup.sh: $1" >&2
  exit 1
}

for argument in "$@"; do
  case "$argument" in
    --lint) packages+=(clang-format=14.0 clang-tidy=14.0) ;;
    --fuzz) packages+=(clang=14.0 libclang-rt-14-dev=14.0.6) ;;
    *) fail "unknown argument '$argument'. Usage: tools/setup.sh [--lint] [--fuzz]" ;;
  esac
done

distribution="an unknown system"
codename=
if [[ -r /etc/os-release ]]; then
  distribution=$(. /etc/os-release && echo "${PRETTY_NAME:-$ID}")
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
fi
if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  fail "this is $distribution, but the packages come from Debian 12 with apt. Work in a Debian 12 \
container (docker run -it debian:12), or install Bazel 4.2, a C++17 compiler, pkg-config and the \
development files of LibTorch, OpenBLAS, Abseil, Protobuf, Highway, GoogleTest and Google Benchmark \
yourself and leave out tools/setup.sh."
fi

# NAME VERSION, a line for each that is installed.
installed_versions() {
  dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' "${packages[@]%%=*}" \
    2> /dev/null | sed --quiet 's/^installed //p' || true
}

# 1:1.2.13.dfsg-1 -> 1.2.13, without epoch, revision and what Debian adds.
upstream() {
  local version=${1#*:}
  version=${version%-*}
  version=${version%%[+~]*}
  echo "${version%.dfsg}"
}

installed=$(installed_versions)
missing=()
for package in "${packages[@]%%=*}"; do
  [[ $'\n'$installed$'\n' == *$'\n'"$package "* ]] || missing+=("$package")
done

if ((${#missing[@]} > 0)); then
  if [[ "$codename" != bookworm ]]; then
    fail "this is $distribution, but only Debian 12 (bookworm) is known to work. Work in a Debian 12 \
container (docker run -it debian:12), or install these packages or their like yourself and leave out \
tools/setup.sh: ${missing[*]}"
  fi
  as_root=(env DEBIAN_FRONTEND=noninteractive)
  if ((EUID != 0)); then
    if ! command -v sudo > /dev/null; then
      fail "there is no sudo. As root: apt-get update && \
apt-get install --no-install-recommends ${missing[*]}"
    fi
    as_root=(sudo "${as_root[@]}")
  fi
  quiet=()
  [[ -t 1 ]] || quiet=(-qq -o Dpkg::Use-Pty=0)
  # A machine that has just been started may be installing its updates.
  apt=("${as_root[@]}" apt-get "${quiet[@]}" -o DPkg::Lock::Timeout=300)
  echo "tools/setup.sh: installing ${missing[*]}"
  "${apt[@]}" update || fail "apt-get update failed: see above; is there a network?"
  "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" ||
    fail "apt-get install failed: see above; is there a network, and 2 GB of free disk space?"
  hash -r
  installed=$(installed_versions)
fi

differing=()
for package in "${packages[@]}"; do
  version=$(sed --quiet "s/^${package%%=*} //p" <<< "$installed" | head --lines=1)
  [[ "$(upstream "$version")" == "${package#*=}" ]] ||
    differing+=("${package%%=*} $version (tested: ${package#*=})")
done
if ((${#differing[@]} > 0)); then
  echo "tools/setup.sh: warning: other versions than those that this project is tested with:" >&2
  printf '  %s\n' "${differing[@]}" >&2
fi

if [[ "$(command -v bazel)" != /usr/bin/bazel ]]; then
  echo "tools/setup.sh: warning: 'bazel' is $(command -v bazel || echo 'not on the PATH'), not \
Debian's Bazel 4.2.3; if the build fails, write /usr/bin/bazel" >&2
fi
