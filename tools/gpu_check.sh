#!/usr/bin/env bash
# What can only be seen on a machine with a GPU: builds against the LibTorch found there, runs the tests of tests/device on the
# GPU, times networks by batch and dtype, samples, fits and trains, and prints one JSON object with times, memory and the
# largest differences to the CPU.
#
#   tools/gpu_check.sh [MINUTES]      stops by itself within MINUTES (8), most important things first
#
# In the environment: LIBTORCH (a folder as for `make LIBTORCH=`; default: the torch that python3 imports), DEVICE (cuda; with
# cpu it tries itself out), BUILD (build/gpu-check), JOBS (all cores), BATCHES (1,16,64,256).
# Packages that the machine lacks are taken from build/gpu-debs (tools/gpu_check_debs.sh), unpacked beside the build.
set -uo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-8}
device=${DEVICE:-cuda}
build=${BUILD:-build/gpu-check}
jobs=${JOBS:-$(nproc)}
batches=${BATCHES:-1,16,64,256}
deadline=$((SECONDS + minutes * 60 - 10))
work=$build/report
mkdir -p "$work"
results=$work/results
: > "$results"

# The lines of a file as JSON strings, or as they are where they are JSON objects.
json_lines() {
  awk '/^\{.*\}$/ { print; next }
       { gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, " "); gsub(/[[:cntrl:]]/, ""); print "\"" $0 "\"" }' "$1" |
    paste -sd, -
}

# step NAME SECONDS COMMAND...: runs it within the time given and the time left. What it printed is kept: JSON lines, one JSON
# object over several lines, or the last lines of a text.
step() {
  local name=$1 limit=$2 left=$((deadline - SECONDS)) began=$SECONDS status=0 log
  shift 2
  log=$work/$name.log
  if ((left < 5)); then
    echo "{\"step\": \"$name\", \"status\": \"out of time\"}" >> "$results"
    return 1
  fi
  echo "gpu_check: $name (at most $((limit < left ? limit : left)) s)" >&2
  timeout -k 5 $((limit < left ? limit : left)) "$@" > "$log" 2>&1 || status=$?
  local kept=$work/$name.kept
  if grep -q '^{.*}$' "$log"; then
    grep '^{.*}$' "$log" > "$kept"
    ((status == 0)) || grep -v '^{.*}$' "$log" | tail -5 >> "$kept"
  elif [[ $(head -c 2 "$log" | tr -d '\n') == "{" ]]; then
    tr -d '\n' < "$log" > "$kept"
    echo >> "$kept"
  else
    tail -n $((status == 0 ? 4 : 25)) "$log" > "$kept"
  fi
  echo "{\"step\": \"$name\", \"status\": $status, \"seconds\": $((SECONDS - began)), \"output\": [$(json_lines "$kept")]}" \
    >> "$results"
  return "$status"
}

# However it ends, what is known is printed.
report() {
  echo "{\"device\": \"$device\", \"minutes\": $minutes, \"seconds\": $SECONDS, \"steps\": ["
  paste -sd, "$results" | sed 's/,{"step"/,\n{"step"/g'
  echo "]}"
}
trap report EXIT
trap 'exit 1' INT TERM

libtorch=${LIBTORCH:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2> /dev/null)}
[[ $device == cpu ]] ||
  step machine 20 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader

prefix=
if compgen -G 'build/gpu-debs/*.deb' > /dev/null; then
  prefix=$PWD/$build/debs/usr
  [[ -d $prefix ]] || for deb in build/gpu-debs/*.deb; do dpkg-deb -x "$deb" "$build/debs"; done
fi
generator=()
command -v ninja > /dev/null && generator=(-G Ninja)
step configure 60 cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DGAS_LIBTORCH="$libtorch" \
  -DCMAKE_PREFIX_PATH="$prefix" || exit 1
# What compiles is used, even if something does not.
keep_going=(-k)
[[ ${#generator[@]} -eq 0 ]] || keep_going=(-k 0)
step build $((minutes * 40)) cmake --build "$build" -j "$jobs" --target device_tests gas gas_network_report -- \
  "${keep_going[@]}"

gas=$build/gas
network_report=$build/bench/gas_network_report
cifar10=$work/edm-cifar10.safetensors
export GAS_SOURCE_DIR=$PWD
# The fake device's own tests need a LibTorch 1 (tests/device/CMakeLists.txt).
step device_tests 90 env GAS_TEST_DEVICE="$device" "$build/tests/device/device_tests" --gtest_filter=-FakeDevice.*
step network_fashion 30 "$network_report" fashion "$device" "$batches" 20
step make_edm_cifar10 20 "$network_report" --make edm-cifar10 "$cifar10"
step network_edm_cifar10 60 "$network_report" "$cifar10" "$device" "$batches" 45

# on MODEL OPTIONS...: fifty iterations of GS in each dtype, a sampling and a fit.
on() {
  local name=$1 model=$2 dtype
  shift 2
  step "teacher_$name" 40 "$gas" teacher --model "$model" --device "$device" --seeds 0-63 --nfe 8 --states \
    --out "$work/teacher_$name"
  for dtype in float32 tf32 bfloat16; do
    [[ $device != cpu || $dtype != tf32 ]] || continue
    step "gs_${name}_$dtype" 40 "$gas" train --model "$model" --device "$device" --dtype "$dtype" --loss l2 \
      --teacher "$work/teacher_$name" --held-out 8 --nfe 4 --batch 16 --iterations "${ITERATIONS:-50}" --validate-every 0 \
      --out "$work/gs_${name}_$dtype"
  done
  step "sample_$name" 20 "$gas" sample --model "$model" --device "$device" --solver dpmpp-3m --nfe 6 --seeds 0-63 \
    --format grid --out "$work/$name.png"
  step "fit_$name" 40 "$gas" fit --model "$model" --device "$device" --teacher "$work/teacher_$name" --nfe 4 \
    --trajectories 48 --held-out 16 --out "$work/fit_$name"
}
rm -rf "$work"/teacher_* "$work"/gs_* "$work"/fit_*
on fashion fashion
on edm_cifar10 "$cifar10"
step bench 40 "$gas" bench --device "$device" --seconds 0.3 --json
exit 0
