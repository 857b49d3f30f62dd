#!/bin/bash
# Runs what needs a GPU, on a machine that needs nothing but its driver, from binaries that were
# built elsewhere (docs/cuda.md). Ends with a table.
# Usage: tools/gpu_check.sh --collect FOLDER  on the machine with the CUDA Toolkit: builds, and puts
#                                             the binaries, their libraries and what they read into
#                                             FOLDER; all but the kernels' only where LIBTORCH
#                                             names one for CUDA
#        tools/gpu_check.sh FOLDER            on the one with the GPU: runs them; LIBTORCH is
#                                             that machine's
# In the environment of the second, both optional:
#   DATA=/path                the folder above data/ and caldiff/ with the official files of IEMOCAP:
#                             trains the whole recipe
#   OFFICIAL_STEP_SECONDS=X   what a step of the official code takes on that GPU, IEMOCAP
# The exit status is 0 when everything ran on a GPU, nothing failed and no target was missed.
set -euo pipefail

readonly tests=(cuda_compile_test gated_aggregation_test group_sums_test hypergraph_mean_test)
readonly benchmark=kernels_benchmark
# What needs LibTorch: a step of every backbone on the GPU and on the processor,
readonly backbones=backbones_gpu_test
# the numbers of the official code,
readonly goldens=(calibration/calibration_golden_test dialogue_gcn/dialogue_gcn_golden_test
  dialogue_rnn/dialogue_rnn_golden_test gru/gru_test losses/losses_golden_test m3net/m3net_test
  mmgcn/mmgcn_golden_test)
# and benchmarks.
readonly operators=operators_benchmark step=step_benchmark
readonly recipe=iemocap_m3net_cmerc.textproto

usage() {
  sed -n 's/^# \{0,1\}//; 4,14p' "$0" >&2
  exit 2
}

# The C library, LibTorch with what it brings, and the driver belong to the other machine.
readonly theirs='/(ld-linux|lib(c|m|dl|rt|pthread|cuda))[-.]|/lib(torch|c10|caffe2|gomp|nccl|nv)'
readonly of_torch='/libcu(blas|dnn|fft|file|pti|rand|solver|sparse)'

# copy BINARY FOLDER: with the other libraries it needs.
copy() {
  local library
  install --strip -m 755 "$1" "$2"
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
    local i targets with_torch=("tests/conformance/$backbones" "${goldens[@]/#/tests/golden/}"
      "benchmarks/kernels/$operators" "benchmarks/training/$step" bin/cmerc bin/cmerc_engine)
    for ((i = 0; i < ${#with_torch[@]}; ++i)); do
      targets[i]="//${with_torch[i]%/*}:${with_torch[i]##*/}"
    done
    bazel build --config=cuda --dynamic_mode=off "${targets[@]}"
    for binary in "${with_torch[@]}"; do copy "bazel-bin/$binary" "$folder"; done
    cp config/examples/quickstart.textproto "config/examples/$recipe" "$folder"
    # Where the tests look for them.
    cp --recursive --parents tests/golden/data tests/golden/*/data "$folder"
  fi
  install -m 755 "$script" "$folder"
  du -sh "$folder"
}

rows=()
failed=0

# row NAME STATUS FIGURE [TARGET]: adds a line to the table. What is not "passed" fails.
row() {
  rows+=("$(printf '%-50s %-8s %s' "$1" "$2" "$3${4:+; target: $4}")")
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
    row "$name" passed \
      "$(sed -n 's/^\[  PASSED  \] //p; s/^\[  SKIPPED \] \(.*\), listed below:$/\1 skipped/p' "$log" | paste -s -d ' ')"
  fi
}

# measure NAME COMMAND...: a benchmark that writes CSV, to $logs/NAME.csv. Fails if it has no line
# of a GPU.
measure() {
  local name=$1 log=$logs/$1.log missing
  shift
  if "$@" --benchmark_filter=^Gpu --benchmark_format=csv > "$logs/$name.csv" 2> "$log"; then
    cat "$logs/$name.csv"
    if grep --quiet '^"Gpu' "$logs/$name.csv"; then return; fi
    row "$name" skipped "no GPU"
  elif missing=$(grep --max-count=1 'no GPU\|without CUDA' "$log"); then
    row "$name" skipped "$missing"
  else
    tail -n 20 "$log"
    row "$name" FAILED "see $log"
  fi
  return 1
}

# column CSV NAME COLUMN: of the benchmark of that name; nothing if it has none.
column() {
  awk -F , -v name="$2/real_time" -v column="$3" '
    { gsub(/"/, "") }
    $1 == "name" { for (i = 1; i <= NF; ++i) if ($i == column) at = i }
    $1 == name && at { print $at }' "$1"
}

# The value of an arithmetic expression, to three digits.
calculate() {
  awk "BEGIN { printf \"%.3g\", $1 }"
}

# judge NAME CONDITION FIGURE TARGET: a row whose target is met if CONDITION, of awk, holds.
judge() {
  if awk "BEGIN { exit !($2) }"; then
    row "$1" passed "$3" "$4"
  else
    row "$1" missed "$3" "$4"
  fi
}

# Layers of our kernels beside those of LibTorch's operators. The targets are those of the gated
# aggregation; only in the longest conversation are its gates most of a layer's memory.
compare() {
  local csv=$1 names name time memory speed share
  mapfile -t names < <(sed -n 's,^"Gpu\(.*\)/Kernels/real_time".*,\1,p' "$csv")
  for name in "${names[@]}"; do
    time=$(column "$csv" "Gpu$name/Kernels" real_time)
    memory=$(column "$csv" "Gpu$name/Kernels" peak_MB)
    speed=$(column "$csv" "Gpu$name/Operators" real_time)
    share=$(column "$csv" "Gpu$name/Operators" peak_MB)
    if [[ -z $time || -z $memory || -z $speed || -z $share ]]; then
      row "$name" FAILED "an error, above"
      continue
    fi
    speed=$(calculate "$speed / $time")
    share=$(calculate "$memory / $share")
    time="$speed x that of operators, $(calculate "$time") us"
    memory="$share of operators', $(calculate "$memory") MB"
    case $name in
      GatedAggregation/*) judge "$name, speed" "$speed >= 2" "$time" "2 x" ;;
      *) row "$name, speed" passed "$time" ;;
    esac
    case $name in
      GatedAggregation/1x10000) judge "$name, memory" "$share <= 0.25" "$memory" 0.25 ;;
      *) row "$name, memory" passed "$memory" ;;
    esac
  done
}

# Training steps, and the conversation of 10 000 utterances.
steps() {
  local csv=$1 names name seconds memory figure official
  mapfile -t names < <(sed -n 's,^"Gpu\(.*\)/real_time".*,\1,p' "$csv")
  for name in "${names[@]}"; do
    seconds=$(column "$csv" "Gpu$name" s_per_step)
    memory=$(column "$csv" "Gpu$name" peak_MB)
    if [[ -z $seconds || -z $memory ]]; then
      row "$name" FAILED "an error, above"
      continue
    fi
    figure="$(calculate "$seconds * 1000") ms, $(calculate "$memory / 1000") GB"
    case $name in
      LongConversation/10000) judge "$name" "$memory <= 8000" "$figure" "8 GB" ;;
      *) row "$name" passed "$figure" ;;
    esac
  done
  name="step against the official code"
  official=$(column "$csv" GpuStep/IemocapOfficial s_per_step)
  if [[ -z ${OFFICIAL_STEP_SECONDS:-} ]]; then
    row "$name" skipped "OFFICIAL_STEP_SECONDS is not given"
  elif [[ -n $official ]]; then
    judge "$name" "$OFFICIAL_STEP_SECONDS / $official >= 20" \
      "$(calculate "$OFFICIAL_STEP_SECONDS / $official") x as fast" "20 x"
  fi
}

# train NAME ARGUMENTS...: `cmerc train` in this folder; says its seconds in $SECONDS.
train() {
  local name=$1 log=$logs/${1//[ ,:]/_}.log
  shift
  SECONDS=0
  if ! "$folder/cmerc" train "$@" --output="$logs/run_${name//[ ,:]/_}" > "$log" 2>&1; then
    tail -n 5 "$log"
    row "$name" FAILED "see $log"
    return 1
  fi
  cat "$log"
}

# The quickstart on both, for their seconds and scores, and the recipe of IEMOCAP on the GPU, as it is
# and with more of what a GPU can do.
train_all() {
  local device more name
  for device in cpu cuda; do
    if train "cmerc train, $device" --config=quickstart.textproto \
      --set="training { device: '$device' }"; then
      row "cmerc train, $device" passed "$SECONDS s, above"
    fi
  done
  for more in '' 'cuda_graphs: true' 'precision: BF16 cuda_graphs: true'; do
    name="recipe, IEMOCAP${more:+, $more}"
    if [[ -z $data ]]; then
      row "$name" skipped "DATA is not given"
    elif ! cd "$data"; then
      row "$name" FAILED "DATA=$data is no folder"
    else
      if train "$name" --config="$folder/$recipe" --set="training { device: 'cuda' $more }"; then
        judge "$name" "$SECONDS <= 60" "$SECONDS s, above" "60 s"
      fi
      cd "$folder"
    fi
  done
}

# Everything that is built with LibTorch.
check_with_torch() {
  local golden
  export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:${LIBTORCH:-}/lib
  run "every backbone" "./$backbones"
  for golden in "${goldens[@]##*/}"; do CMERC_GOLDEN_DEVICE=cuda run "$golden" "./$golden"; done
  if measure "$operators" "./$operators"; then compare "$logs/$operators.csv"; fi
  if measure "$step" "./$step" --device=cuda; then steps "$logs/$step.csv"; fi
  train_all
}

check() {
  local test tool
  data=${DATA:+$(realpath --canonicalize-missing "$DATA")}
  cd "$1" || exit 2
  folder=$PWD
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
  if [[ -x cmerc ]]; then
    check_with_torch
  else
    row "all with LibTorch" skipped "collected without LIBTORCH"
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
