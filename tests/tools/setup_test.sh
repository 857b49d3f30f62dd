#!/bin/bash
# tools/setup.sh on systems whose packages are made up: what is missing and what has another version
# than the tested one. Nothing is installed: dpkg-query, apt-get and sudo are stand-ins.
set -euo pipefail

fail() {
  echo "setup_test: $*" >&2
  exit 1
}

setup=$PWD/tools/setup.sh
system=$TEST_TMPDIR/system
mkdir -p "$system"
cat > "$system/dpkg-query" << END
#!/bin/bash
cat "$system/packages"
END
for tool in apt-get sudo; do
  cat > "$system/$tool" << END
#!/bin/bash
echo "$tool \$*" >> "$system/calls"
exit 1
END
done
chmod +x "$system"/*

# A machine on which something was built before, so that no remark on the first build is made.
export HOME=$TEST_TMPDIR/home
mkdir -p "$HOME/.cache/cmerc-bazel"
export CMERC_OS_RELEASE=$TEST_TMPDIR/os-release
cat > "$CMERC_OS_RELEASE" << 'END'
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
VERSION_CODENAME=bookworm
END

# The packages of Debian 12, with other revisions than those that were tested.
cat > "$TEST_TMPDIR/debian12" << 'END'
installed bazel-bootstrap 4.2.3+ds-9
installed g++ 4:12.2.0-3
installed pkgconf 1.8.1-2
installed libtorch-dev 1.13.1+dfsg-4
installed libgloo-dev 0.0~git20220518.5b14351-3
installed libopenblas0-openmp 0.3.21+ds-4
installed libabsl-dev 20220623.1-1+deb12u3
installed libboost-dev 1.74.0.3
installed libhwy-dev 1.0.3-3
installed libprotobuf-dev 3.21.12-3+deb12u2
installed protobuf-compiler 3.21.12-3+deb12u2
installed zlib1g-dev 1:1.2.13.dfsg-1
installed libgtest-dev 1.12.1-0.2
installed libgmock-dev 1.12.1-0.2
installed libbenchmark-dev 1.7.1-1
installed dpkg-dev 1.21.22
installed libgrpc++-dev 1.51.1-3+b1
installed protobuf-compiler-grpc 1.51.1-3+b1
installed libcpp-httplib-dev 0.11.4+ds-1+deb12u1
installed clang-format 1:14.0-55.7~deb12u1
installed clang-tidy 1:14.0-55.7~deb12u1
installed python3 3.11.2-1+b1
installed curl 7.88.1-10+deb12u15
installed openssl 3.0.22-1~deb12u2
installed python3-grpcio 1.51.1-3+b1
installed python3-matplotlib 3.6.3-1+b1
installed python3-pandas 1.5.3+dfsg-2
installed python3-pytest 7.2.1-2
installed python3-torch 1.13.1+dfsg-4
installed python3-venv 3.11.2-1+b1
installed iproute2 6.1.0-3
installed munge 0.5.15-2+deb12u1
installed openmpi-bin 4.1.4-3+b1
installed slurm-client 22.05.8-4+deb12u3
installed slurmctld 22.05.8-4+deb12u3
installed slurmd 22.05.8-4+deb12u3
END

# What setup.sh says on a system with the packages of standard input, but for a remark on which
# `bazel` is found; its exit status is in $status.
said() {
  cat > "$system/packages"
  : > "$system/calls"
  status=0
  PATH=$system:$PATH bash "$setup" --test > "$TEST_TMPDIR/said" 2>&1 || status=$?
  sed --in-place "/warning: 'bazel' is /d" "$TEST_TMPDIR/said"
}

said < "$TEST_TMPDIR/debian12"
((status == 0)) || fail "failed where everything is there: $(< "$TEST_TMPDIR/said")"
[[ ! -s $TEST_TMPDIR/said ]] || fail "complains of tested versions: $(< "$TEST_TMPDIR/said")"
[[ ! -s $system/calls ]] || fail "called $(< "$system/calls")"

said < <(sed 's/^\(installed g++\) .*/\1 4:13.2.0-7/; s/\(libtorch-dev\) 1\.13\.1+dfsg-4/\1 2.0.1+dfsg-1/' \
  "$TEST_TMPDIR/debian12")
((status == 0)) || fail "other versions are an error: $(< "$TEST_TMPDIR/said")"
[[ $(< "$TEST_TMPDIR/said") == "tools/setup.sh: warning: other versions than those that this \
project is tested with:
  g++ 4:13.2.0-7 (tested: 12.2.0)
  libtorch-dev 2.0.1+dfsg-1 (tested: 1.13.1)" ]] || fail "said: $(< "$TEST_TMPDIR/said")"

# What is missing is installed, or the message names it; the stand-ins cannot install.
said < <(sed '/zlib1g-dev/d; s/^installed pkgconf/config-files pkgconf/' "$TEST_TMPDIR/debian12")
((status == 1)) || fail "exit status $status although packages are missing"
grep --quiet 'pkgconf zlib1g-dev' "$TEST_TMPDIR/said" ||
  fail "does not name what is missing: $(< "$TEST_TMPDIR/said")"

# What one can do without is tried, and no error.
said < <(sed '/pandas/d' "$TEST_TMPDIR/debian12")
((status == 0)) || fail "exit status $status without pandas: $(< "$TEST_TMPDIR/said")"
grep --quiet 'apt-get' "$system/calls" || fail "did not try to install pandas"
[[ $(tail --lines=1 "$TEST_TMPDIR/said") == "tools/setup.sh: warning: goes on without \
python3-pandas: the tests that need it skip themselves" ]] || fail "said: $(< "$TEST_TMPDIR/said")"

# Before the first build it says how long that takes.
rm -r "$HOME/.cache"
said < "$TEST_TMPDIR/debian12"
((status == 0)) || fail "failed before the first build: $(< "$TEST_TMPDIR/said")"
grep --quiet '^tools/setup.sh: the first build .* about [0-9]* minutes on [0-9]* processors' \
  "$TEST_TMPDIR/said" || fail "does not say how long a build takes: $(< "$TEST_TMPDIR/said")"
mkdir -p "$HOME/.cache/cmerc-bazel"

# Debian 13 has other versions.
cat > "$CMERC_OS_RELEASE" << 'END'
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
VERSION_CODENAME=trixie
END
cat > "$TEST_TMPDIR/debian13" << 'END'
installed bazel-bootstrap 4.2.3+ds-11
installed g++ 4:14.2.0-1
installed pkgconf 1.8.1-4
installed libtorch-dev 2.6.0+dfsg-7
installed libgloo-dev 0.0~git20240626.2dc3f15-1
installed libopenblas0-openmp 0.3.29+ds-3
installed libabsl-dev 20240722.0-4
installed libboost-dev 1.83.0.2+b2
installed libhwy-dev 1.2.0-2+b2
installed libprotobuf-dev 3.21.12-11+deb13u1
installed protobuf-compiler 3.21.12-11+deb13u1
installed zlib1g-dev 1:1.3.dfsg+really1.3.1-1+b1
installed libgtest-dev 1.16.0-1
installed libgmock-dev 1.16.0-1
installed libbenchmark-dev 1.9.1-1
installed dpkg-dev 1.22.22
installed libgrpc++-dev 1.51.1-4.1+b7
installed protobuf-compiler-grpc 1.51.1-4.1+b7
installed libcpp-httplib-dev 0.18.7-1
installed python3 3.13.5-1
installed curl 8.14.1-2+deb13u7
installed openssl 3.5.9-1~deb13u1
installed python3-grpcio 1.51.1-6
installed python3-matplotlib 3.10.1+dfsg1-4
installed python3-pandas 2.2.3+dfsg-9
installed python3-pytest 8.3.5-2
installed python3-torch 2.6.0+dfsg-7
installed python3-venv 3.13.5-1
installed iproute2 6.15.0-1
installed munge 0.5.16-1
installed openmpi-bin 5.0.7-1
installed slurm-client 24.11.5-4
installed slurmctld 24.11.5-4
installed slurmd 24.11.5-4
END
said < "$TEST_TMPDIR/debian13"
((status == 0)) || fail "failed on Debian 13: $(< "$TEST_TMPDIR/said")"
[[ ! -s $TEST_TMPDIR/said ]] || fail "complains of Debian 13's versions: $(< "$TEST_TMPDIR/said")"
said < <(sed '/libtorch-dev/d' "$TEST_TMPDIR/debian13")
grep --quiet 'installing libtorch-dev' "$TEST_TMPDIR/said" ||
  fail "does not install on Debian 13: $(< "$TEST_TMPDIR/said")"

# On other systems nothing is installed.
printf 'PRETTY_NAME="Some Linux 1"\nVERSION_CODENAME=one\n' > "$CMERC_OS_RELEASE"
said < /dev/null
((status == 1)) || fail "exit status $status on another system"
[[ ! -s $system/calls ]] || fail "on another system it called $(< "$system/calls")"
grep --quiet 'this is Some Linux 1, but only Debian 12 (bookworm) and 13 (trixie)' \
  "$TEST_TMPDIR/said" || fail "does not say which systems are known: $(< "$TEST_TMPDIR/said")"
echo "PASSED"
