#!/bin/bash
# Runs what needs a GPU, on a machine that needs nothing but its driver, from binaries that were
# built elsewhere (docs/cuda.md). Ends with a table.
# Usage: tools/gpu_check.sh --collect FOLDER  on the machine with the CUDA Toolkit: builds, and puts
#                                             the binaries and their libraries into FOLDER;
#                                             `cmerc` too where LIBTORCH names one for CUDA
#        tools/gpu_check.sh FOLDER            on the one with the GPU: runs them; LIBTORCH is
#                                             that machine's, for `cmerc`
# The exit status is 0 when everything ran on a GPU and nothing failed.
set -euo pipefail

readonly tests=(cuda_compile_test gated_aggregation_test group_sums_test hypergraph_mean_test)
readonly benchmark=kernels_benchmark
# A step of every backbone on the GPU and on the processor, which the goldens are checked on.
readonly backbones=backbones_gpu_test

usage() {
  sed -n 's/^# \{0,1\}//; 4,8p' "$0" >&2
  exit 2
}

# The C library, LibTorch with what it brings, and the driver belong to the other machine.
readonly theirs='/(ld-linux|lib(c|m|dl|rt|pthread|cuda))[-.]|/lib(torch|c10|caffe2|gomp|nccl|nv)'
readonly of_torch='/libcu(blas|dnn|fft|file|pti|rand|solver|sparse)'

# copy BINARY FOLDER: with the other libraries it needs.
copy() {
  local library
  install -m 755 "$1" "$2"
  ldd "$1" | awk '$3 ~ /^\// { print $3 }' |
    grep --extended-regexp --invert-match "$theirs|$of_torch" |
    while read -r library; do install -D "$library" "$2/lib/${library##*/}"; done
}

collect() {
  local folder=$1 binary script
  script=$(realpath "$0")
  mkdir -p "$folder"
  folder=$(realpath "$folder")
  cd "$(dirname "$script")/.."
  # One file each, without the libraries of this project.
  bazel build --dynamic_mode=off "${tests[@]/#///tests/kernels:}" "//benchmarks/kernels:$benchmark"
  for binary in "${tests[@]/#/bazel-bin/tests/kernels/}" "bazel-bin/benchmarks/kernels/$benchmark"; do
    copy "$binary" "$folder"
  done
  if [[ -n ${LIBTORCH:-} ]]; then
    bazel build --config=cuda //bin:cmerc
    bazel build --config=cuda --dynamic_mode=off "//tests/conformance:$backbones"
    copy "bazel-bin/tests/conformance/$backbones" "$folder"
    copy bazel-bin/bin/cmerc "$folder"
    copy bazel-bin/bin/cmerc_engine "$folder"
    cp config/examples/quickstart.textproto "$folder"
  fi
  install -m 755 "$script" "$folder"
  du -sh "$folder"
}

rows=()
failed=0

# Adds a line to the table. What is not "passed" fails.
row() {
  rows+=("$(printf '%-34s %-8s %s' "$1" "$2" "$3")")
  [[ $2 == passed ]] || failed=1
}

# run NAME COMMAND...: a GoogleTest binary.
run() {
  local name=$1 log=$logs/${1// /_}.log missing
  shift
  if ! "$@" > "$log" 2>&1; then
    tail -n 20 "$log"
    row "$name" FAILED "see $log"
  elif missing=$(grep --max-count=1 -i '^no gpu\|without a CUDA' "$log"); then
    row "$name" skipped "$missing"
  else
    row "$name" passed "$(sed -n 's/^\[  PASSED  \] //p' "$log")"
  fi
}

# The quickstart on both, for their seconds and scores.
train() {
  local device log
  for device in cpu cuda; do
    log=$logs/train_$device.log
    SECONDS=0
    if LD_LIBRARY_PATH=$LD_LIBRARY_PATH:${LIBTORCH:-}/lib ./cmerc train --config=quickstart.textproto \
      --output="$logs/train_$device" --set="training { device: '$device' }" > "$log" 2>&1; then
      cat "$log"
      row "cmerc train, $device" passed "$SECONDS s, above"
    else
      tail -n 5 "$log"
      row "cmerc train, $device" FAILED "see $log"
    fi
  done
}

check() {
  local folder=$1 test tool
  cd "$folder" || exit 2
  export LD_LIBRARY_PATH=$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  logs=$(mktemp -d)
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null ||
    echo "nvidia-smi finds no GPU"
  for test in "${tests[@]}"; do run "$test" "./$test"; done
  if sanitizer=$(type -P compute-sanitizer || type -P /usr/local/cuda/bin/compute-sanitizer); then
    for tool in memcheck racecheck; do
      # The sanitizer is slow, and sizes beyond two tiles show nothing new.
      for test in "${tests[@]:1}"; do
        run "$test, $tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "./$test" \
          --gtest_filter='*Gpu*-*2000*'
      done
    done
  else
    row compute-sanitizer skipped "it is not on this machine"
  fi
  if [[ -x cmerc ]]; then
    LD_LIBRARY_PATH=$LD_LIBRARY_PATH:${LIBTORCH:-}/lib \
      run "every backbone" "./$backbones"
    train
  fi
  if "./$benchmark" --benchmark_filter=^Gpu > "$logs/benchmark.log" 2>&1; then
    if grep --quiet '^Gpu' "$logs/benchmark.log"; then
      cat "$logs/benchmark.log"
      row "$benchmark" passed "above"
    else
      row "$benchmark" skipped "no GPU"
    fi
  else
    tail -n 20 "$logs/benchmark.log"
    row "$benchmark" FAILED "see $logs/benchmark.log"
  fi
  echo
  printf '%s\n' "${rows[@]}"
  exit "$failed"
}

case $#:${1:-} in
  2:--collect) collect "$2" ;;
  1:-*) usage ;;
  1:*) check "$1" ;;
  *) usage ;;
esac
