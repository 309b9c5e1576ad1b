#!/usr/bin/env bash
# check.sh [STEP...]: what a change must pass beside `make test`. Runs the steps named, or all of these:
#   packages    installs what packages.txt and packages-check.txt list
#   format      clang-format on every file
#   layers      which folder may include which (tools/check_layers.sh)
#   banned      what our habits ban (tools/check_banned.sh)
#   host_sync   no waiting for the device in inner loops (tools/check_host_sync.sh)
#   tidy        clang-tidy on every file, names among its rules (.clang-tidy)
#   asan        the tests of label fast under address and undefined-behaviour sanitizers
#   fuzz        each fuzz target for GAS_FUZZ_SECONDS, default 30, from the same build
#   processors  the tests of label fast and the fit's with the instructions of lesser processors
#   wheel       the build on PyTorch's wheel and its tests of label fast
# and, if it is named, as it takes long to build and finds little that is new:
#   tsan        the tests of signals, progress, files, several writers and processes under the thread sanitizer
# Prints a line for each step: its name, seconds, and ok or FAILED with the end of its output, which is in
# build/check/STEP.log. A failure does not stop the steps after it; the status is 1 if there was any. JOBS is the number of
# processes side by side, by default one for each core.
set -uo pipefail
cd "$(dirname "$0")/.."

JOBS=${JOBS:-$(nproc)}
FUZZ_SECONDS=${GAS_FUZZ_SECONDS:-30}
USUAL_STEPS=(packages format layers banned host_sync tidy asan fuzz processors wheel)
ALL_STEPS=("${USUAL_STEPS[@]}" tsan)
logs=build/check

packages() {
  tools/install_packages.sh packages.txt && tools/install_packages.sh packages-check.txt
}

sources() { find src tests bench examples \( -name '*.h' -o -name '*.cc' \) -print0; }

format() { sources | xargs -0 clang-format --dry-run -Werror; }

layers() { tools/check_layers.sh; }

banned() { tools/check_banned.sh; }

host_sync() { tools/check_host_sync.sh; }

# The compile commands' files are units of a folder's files, so that LibTorch's headers are read once a folder. Nothing is
# compiled but the precompiled header; what is generated is made. A file of C stands in for the C library's functions, so its
# names are not ours.
tidy() {
  cmake --preset tidy &&
  cmake --build --preset tidy --target CMakeFiles/gas_core.dir/cmake_pch.hxx.pch embedded_hosts.cc || return 1
  sed -n 's/^ *"file": "\(.*\)",\?$/\1/p' build/tidy/compile_commands.json | grep -v -e cmake_pch -e '\.c$' |
    xargs -P "$JOBS" -n 1 clang-tidy --quiet -p build/tidy --warnings-as-errors='*'
}

# Leaks and odr checks of LibTorch's own libraries are not ours.
asan() {
  cmake --preset asan && cmake --build --preset asan -j "$JOBS" || return 1
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ctest --preset asan -j "$JOBS"
}

# What gets signals, shows progress, writes files, shares folders and asks processes. LibTorch and libgomp are not
# instrumented: with one thread they have no pool, and what they do inside is not looked at (tools/tsan.supp).
tsan() {
  local tests=(core:'Interrupt*:Progress*' io:'WriteFile.*:JsonLines.*:RunFolder.*' teacher:'SeveralWriters.*'
               models:'ProcessDenoiser.*:ProcessModel.*:ProcessPool.*') test folder
  cmake --preset tsan &&
  cmake --build --preset tsan -j "$JOBS" --target core_tests io_tests teacher_tests models_tests || return 1
  export TSAN_OPTIONS="halt_on_error=1:suppressions=$PWD/tools/tsan.supp" OMP_NUM_THREADS=1 GAS_SOURCE_DIR=$PWD
  for test in "${tests[@]}"; do
    folder=${test%%:*}
    "build/tsan/tests/$folder/${folder}_tests" --gtest_filter="${test#*:}" || return 1
  done
}

# One target; what it finds new is kept beside the seeds, what it crashes on in build/fuzz/crashes.
fuzz_one() {
  local reader=$1
  echo "== fuzz_$reader"
  TMPDIR=build/fuzz/tmp ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 OMP_NUM_THREADS=1 \
    "build/asan/tests/fuzz/fuzz_$reader" -max_total_time="$FUZZ_SECONDS" -timeout=20 -close_fd_mask=1 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/crashes/$reader-" "build/fuzz/corpus/$reader" 2>&1 | tail -n 40
}

fuzz() {
  cmake --preset asan && cmake --build --preset asan -j "$JOBS" --target fuzz_all || return 1
  mkdir -p build/fuzz/crashes build/fuzz/tmp
  build/asan/tests/fuzz/make_seeds build/fuzz/corpus || return 1
  cp tests/fixtures/formats/solver/*.gas.json build/fuzz/corpus/solver_file/
  mkdir -p build/fuzz/corpus/c_table && cp build/fuzz/corpus/solver_file/* build/fuzz/corpus/c_table/
  cp tests/fixtures/formats/teacher-1/manifest.json build/fuzz/corpus/manifest/
  cp tests/fixtures/pickles/*.pkl build/fuzz/corpus/pickle/
  cp tests/fixtures/pickles/*.p[kt]* build/fuzz/corpus/torch_file/
  cp tests/fixtures/edm_networks/*.pkl build/fuzz/corpus/model/
  cp tests/fixtures/*.yaml build/fuzz/corpus/yaml/
  mkdir -p build/fuzz/corpus/ldm_config && cp tests/fixtures/*_model.yaml build/fuzz/corpus/ldm_config/
  export -f fuzz_one
  export FUZZ_SECONDS
  sed -n 's/^gas_fuzz(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt |
    xargs -P "$JOBS" -I {} bash -o pipefail -c 'fuzz_one {}'
}

# Rounding depends on a processor's instructions; what is true must not.
processors() {
  make JOBS="$JOBS" build || return 1
  local status=0 setting
  for setting in ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2; do
    echo "== $setting"
    env "$setting" ctest --preset fast -j "$JOBS" || status=1
    env "$setting" ctest --preset release -j "$JOBS" -L slow -R '^fit/' || status=1
  done
  return $status
}

# Tests of label fast need neither the slow ones nor the optimiser.
wheel() {
  make LIBTORCH=wheel wheel && cmake --preset wheel && cmake --build --preset wheel -j "$JOBS" &&
  ctest --preset wheel -j "$JOBS"
}

# run STEP: prints its line. bash -e does not reach into a function whose status is tested, so the steps say themselves where
# they end.
run() {
  local step=$1 log=$logs/$1.log begin=$SECONDS status=0
  printf '%-11s' "$step"
  "$step" > "$log" 2>&1 || status=$?
  if [[ $status -eq 0 ]]; then
    printf '%5d s  ok\n' $((SECONDS - begin))
    return 0
  fi
  printf '%5d s  FAILED, the end of %s:\n' $((SECONDS - begin)) "$log"
  tail -n 30 "$log" | sed 's/^/  /'
  return 1
}

for step in "$@"; do
  [[ " ${ALL_STEPS[*]} " == *" $step "* ]] || { echo "check.sh: no step $step; steps are ${ALL_STEPS[*]}" >&2; exit 2; }
done

mkdir -p "$logs"
failed=()
for step in "${@:-${USUAL_STEPS[@]}}"; do
  run "$step" || failed+=("$step")
done
[[ ${#failed[@]} -eq 0 ]] || { echo "FAILED: ${failed[*]}"; exit 1; }
