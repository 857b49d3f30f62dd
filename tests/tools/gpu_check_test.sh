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
# csv NAME COUNTERS LINE...: a benchmark of that name whose CSV holds these lines.
csv() {
  local header=name,iterations,real_time,cpu_time,time_unit,error_occurred,error_message
  program "$1" 0 "$(printf '%s\n' "$header,$2" "${@:3}")"
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

# Without what is built with LibTorch.
expect 1 '^Some GPU' '^gated_aggregation_test +passed +33 tests\.$' \
  '^group_sums_test, memcheck +passed' '^hypergraph_mean_test, racecheck +passed' \
  '^GpuGroupSums 1 us$' '^kernels_benchmark +passed' '^all with LibTorch +skipped +collected without'

program cmerc 0 "Test split, epoch 3"
program backbones_gpu_test 0 "[  PASSED  ] 6 tests."
goldens="calibration_golden_test dialogue_gcn_golden_test dialogue_rnn_golden_test gru_test
  losses_golden_test m3net_test mmgcn_golden_test"
for name in $goldens; do
  cat > "$folder/$name" << 'END'
#!/bin/sh
[ "$CMERC_GOLDEN_DEVICE" = cuda ] && [ -d tests/golden/data ] && echo "[  PASSED  ] 5 tests."
END
  chmod +x "$folder/$name"
done
mkdir -p "$folder/tests/golden/data"

# operators SPEED SHARE: what the kernels are beside the operators in the gated aggregation.
operators() {
  csv operators_benchmark '"peak_MB"' \
    '"GpuGatedAggregation/1x110/Kernels/real_time",9,10,10,us,,,1' \
    '"GpuGatedAggregation/1x110/Operators/real_time",9,50,50,us,,,2' \
    '"GpuGatedAggregation/1x10000/Kernels/real_time",9,1000,1e+03,us,,,100' \
    "\"GpuGatedAggregation/1x10000/Operators/real_time\",9,$((1000 * $1)),1,us,,,$((100 * $2))" \
    '"GpuGroupSums/1x110/Kernels/real_time",9,20,20,us,,,3' \
    '"GpuGroupSums/1x110/Operators/real_time",9,10,10,us,,,3'
}
# steps MEGABYTES: of the long conversation.
steps() {
  csv step_benchmark '"peak_MB","s_per_step"' \
    '"GpuStep/Iemocap/real_time",9,0.04,0.04,s,,,1000,0.01' \
    '"GpuStep/IemocapOfficial/real_time",9,0.08,0.08,s,,,2000,0.02' \
    "\"GpuLongConversation/10000/real_time\",9,0.5,0.5,s,,,$1,0.5"
}
operators 4 5
steps 3000
export OFFICIAL_STEP_SECONDS=0.5 DATA=$TEST_TMPDIR/official
mkdir "$DATA"

expect 0 '^Test split, epoch 3$' '^every backbone +passed +6 tests\.$' '^m3net_test +passed +5 tests\.$' \
  '^cmerc train, cpu +passed +[0-9]+ s, above$' '^cmerc train, cuda +passed' \
  '^GatedAggregation/1x110, speed +passed +5 x .*, 10 us; target: 2 x$' \
  '^GatedAggregation/1x110, memory +passed +0\.5 .*, 1 MB$' \
  '^GatedAggregation/1x10000, speed +passed +4 x .*; target: 2 x$' \
  '^GatedAggregation/1x10000, memory +passed +0\.2 .*, 100 MB; target: 0\.25$' \
  '^GroupSums/1x110, speed +passed +0\.5 x' \
  '^Step/Iemocap +passed +10 ms, 1 GB$' '^LongConversation/10000 +passed +500 ms, 3 GB; target: 8 GB$' \
  '^step against the official code +passed +25 x as fast; target: 20 x$' \
  '^recipe, IEMOCAP +passed +[0-9]+ s, above; target: 60 s$' \
  '^recipe, IEMOCAP, cuda_graphs: true +passed' '^recipe, IEMOCAP, precision: BF16 cuda_graphs: true +passed'
for name in $goldens; do grep --quiet "^$name  *passed" "$TEST_TMPDIR/output" || fail "no $name"; done

# Targets.
operators 1 3
steps 9000
OFFICIAL_STEP_SECONDS=0.1 expect 1 '^GatedAggregation/1x110, speed +passed' \
  '^GatedAggregation/1x10000, speed +missed +1 x .*; target: 2 x$' \
  '^GatedAggregation/1x10000, memory +missed +0\.333 ' \
  '^LongConversation/10000 +missed +500 ms, 9 GB; target: 8 GB$' \
  '^step against the official code +missed +5 x as fast; target: 20 x$'
csv operators_benchmark '"peak_MB"' '"GpuGroupSums/1x110/Kernels/real_time",,,,,true,"out of memory, sorry"'
expect 1 '^GroupSums/1x110 +FAILED +an error, above$'
csv operators_benchmark '"peak_MB"' '"CpuGroupSums/1x110/Kernels/real_time",9,20,20,us,,,3'
expect 1 '^operators_benchmark +skipped +no GPU$'
printf '#!/bin/sh\necho "cuda: this machine has no GPU" >&2\nexit 1\n' > "$folder/step_benchmark"
expect 1 '^step_benchmark +skipped +cuda: this machine has no GPU$'
printf '#!/bin/sh\necho "a kernel cannot start" >&2\nexit 1\n' > "$folder/step_benchmark"
expect 1 '^step_benchmark +FAILED' '^a kernel cannot start$'
operators 4 5
steps 3000
expect 0

# What is not given is skipped by name.
OFFICIAL_STEP_SECONDS='' DATA='' expect 1 '^recipe, IEMOCAP +skipped +DATA is not given$' \
  '^step against the official code +skipped +OFFICIAL_STEP_SECONDS is not given$'
DATA=$TEST_TMPDIR/nowhere expect 1 '^recipe, IEMOCAP +FAILED +DATA=.*/nowhere is no folder$'

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
program backbones_gpu_test 0 "backbones_gpu_test.cc:1: Skipped
no GPU, or a LibTorch without CUDA
[  PASSED  ] 0 tests."
expect 1 '^every backbone +skipped +no GPU, or a LibTorch without CUDA$'
program backbones_gpu_test 0 "[  PASSED  ] 5 tests.
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] One/Test"
expect 0 '^every backbone +passed +5 tests\. 1 test skipped$'
program cmerc 2 "cmerc: training.device: no GPU"
expect 1 '^cmerc: training.device: no GPU$' '^cmerc train, cuda +FAILED'

status=0
"$script" > "$TEST_TMPDIR/output" 2>&1 || status=$?
[[ $status == 2 ]] || fail "without a folder: exit status $status"
grep --quiet '^Usage: tools/gpu_check.sh' "$TEST_TMPDIR/output" || fail "it does not say how it is used"
