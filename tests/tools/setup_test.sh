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

# The packages of Debian 12, with other revisions than those that were tested.
cat > "$TEST_TMPDIR/debian12" << 'END'
installed bazel-bootstrap 4.2.3+ds-9
installed g++ 4:12.2.0-3
installed pkgconf 1.8.1-2
installed libtorch-dev 1.13.1+dfsg-4
installed libopenblas0-openmp 0.3.21+ds-4
installed libabsl-dev 20220623.1-1+deb12u3
installed libprotobuf-dev 3.21.12-3+deb12u2
installed protobuf-compiler 3.21.12-3+deb12u2
installed zlib1g-dev 1:1.2.13.dfsg-1
installed libgtest-dev 1.12.1-0.2
installed libgmock-dev 1.12.1-0.2
installed libbenchmark-dev 1.7.1-1
installed clang-format 1:14.0-55.7~deb12u1
installed clang-tidy 1:14.0-55.7~deb12u1
END

# What setup.sh says on a system with the packages of standard input, but for a remark on which
# `bazel` is found; its exit status is in $status.
said() {
  cat > "$system/packages"
  : > "$system/calls"
  status=0
  PATH=$system:$PATH bash "$setup" --lint > "$TEST_TMPDIR/said" 2>&1 || status=$?
  sed --in-place "/warning: 'bazel' is /d" "$TEST_TMPDIR/said"
}

said < "$TEST_TMPDIR/debian12"
((status == 0)) || fail "failed where everything is there: $(< "$TEST_TMPDIR/said")"
[[ ! -s $TEST_TMPDIR/said ]] || fail "complains of tested versions: $(< "$TEST_TMPDIR/said")"
[[ ! -s $system/calls ]] || fail "called $(< "$system/calls")"

said < <(sed 's/^\(installed g++\) .*/\1 4:13.2.0-7/; s/1\.13\.1+dfsg-4/2.0.1+dfsg-1/' \
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
echo "PASSED"
