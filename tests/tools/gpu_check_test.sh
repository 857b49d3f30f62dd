#!/bin/bash
# tools/gpu_check.sh with programs that only say what a test says.
set -euo pipefail

fail() {
  echo "gpu_check_test: $*" >&2
  exit 1
}

script=$PWD/tools/gpu_check.sh
folder=$TEST_TMPDIR/binaries
mkdir -p "$folder"
export TMPDIR=$TEST_TMPDIR
# Neither a sanitizer nor a GPU of this machine.
mkdir "$TEST_TMPDIR/bin"
printf '#!/bin/sh\necho "Some GPU, 1.0, 1 MiB"\n' > "$TEST_TMPDIR/bin/nvidia-smi"
printf '#!/bin/sh\nwhile [ "$1" != "1" ]; do shift; done; shift; exec "$@"\n' > "$TEST_TMPDIR/bin/compute-sanitizer"
chmod +x "$TEST_TMPDIR"/bin/*
PATH=$TEST_TMPDIR/bin:$PATH

# program NAME STATUS TEXT
program() {
  printf '#!/bin/sh\ncat << "END"\n%s\nEND\nexit %d\n' "$3" "$2" > "$folder/$1"
  chmod +x "$folder/$1"
}
for name in cuda_compile_test gated_aggregation_test group_sums_test hypergraph_mean_test; do
  program "$name" 0 "[  PASSED  ] 33 tests."
done
program kernels_benchmark 0 "GpuGroupSums 1 us"

# expect STATUS LINE...: of the script's output.
expect() {
  local wanted=$1 status=0 line
  shift
  "$script" "$folder" > "$TEST_TMPDIR/output" 2>&1 || status=$?
  [[ $status == "$wanted" ]] || fail "exit status $status, expected $wanted: $(cat "$TEST_TMPDIR/output")"
  for line in "$@"; do
    grep --quiet --extended-regexp "$line" "$TEST_TMPDIR/output" ||
      fail "no line like '$line' in: $(cat "$TEST_TMPDIR/output")"
  done
}

expect 0 '^Some GPU' '^gated_aggregation_test +passed +33 tests\.$' \
  '^group_sums_test, memcheck +passed' '^hypergraph_mean_test, racecheck +passed' \
  '^GpuGroupSums 1 us$' '^kernels_benchmark +passed'

program group_sums_test 1 "[  FAILED  ] 1 test"
expect 1 '^group_sums_test +FAILED' '^gated_aggregation_test +passed'

# A test that passes because it did nothing has not shown anything.
program group_sums_test 0 "place.h:1: Skipped
no GPU: no CUDA-capable device is detected
[  SKIPPED ] GroupSumsGpuTest.RunsTheSameTests (0 ms)
[  PASSED  ] 24 tests."
expect 1 '^group_sums_test +skipped +no GPU: no CUDA-capable device is detected$'

program kernels_benchmark 0 "Failed to match any benchmarks against regex: ^Gpu"
expect 1 '^kernels_benchmark +skipped +no GPU$'

program kernels_benchmark 0 "GpuGroupSums 1 us"
program group_sums_test 0 "[  PASSED  ] 33 tests."
program cmerc 0 "Test split, epoch 3"
program backbones_gpu_test 0 "[  PASSED  ] 6 tests."
expect 0 '^Test split, epoch 3$' '^every backbone +passed +6 tests\.$' '^cmerc train, cpu +passed +[0-9]+ s, above$' '^cmerc train, cuda +passed'
program backbones_gpu_test 0 "backbones_gpu_test.cc:1: Skipped
no GPU, or a LibTorch without CUDA
[  PASSED  ] 0 tests."
expect 1 '^every backbone +skipped +no GPU, or a LibTorch without CUDA$'
program backbones_gpu_test 0 "[  PASSED  ] 6 tests."
program cmerc 2 "cmerc: training.device: no GPU"
expect 1 '^cmerc: training.device: no GPU$' '^cmerc train, cuda +FAILED'

status=0
"$script" > "$TEST_TMPDIR/output" 2>&1 || status=$?
[[ $status == 2 ]] || fail "without a folder: exit status $status"
grep --quiet '^Usage: tools/gpu_check.sh' "$TEST_TMPDIR/output" || fail "it does not say how it is used"
