#!/bin/sh
# Prints, as Markdown: training-free solvers, closed-form fits and trained solvers by number of
# evaluations, with what making each of them took. Usage: tools/results_fit.sh PROGRAM FOLDER; the settings below can be
# given in the environment. What is already in FOLDER is not made again.
set -eu
gas=$1
out=$2
nfe=${NFE:-3,4,5,6,8,10}
test_seeds=${TEST_SEEDS:-50000-50767}
budget=${BUDGET:-16000}
gs_nfe=${GS_NFE:-4}
gs_iterations=${GS_ITERATIONS:-"1000 4000 10000"}
finish_iterations=${FINISH_ITERATIONS:-500}
batch=${BATCH:-16}

mkdir -p "$out"
cd "$out"
"$gas" teacher --states --seeds 0-319 --out training
"$gas" teacher --seeds 0-703 --out pairs
"$gas" teacher --seeds "$test_seeds" --out test

fit() { # name, options...
  name=$1
  shift
  [ -e "$name/solver.gas.json" ] || "$gas" fit --teacher training --nfe "$nfe" --out "$name" "$@"
  fits="$fits,$name/solver.gas.json"
}
fits=
fit scalar
fit bands --bands 25
fit start --start auto
fit bands-start --bands 25 --start auto
if [ "$budget" -gt 0 ]; then
  fit scalar-search --budget "$budget"
  fit bands-start-search --bands 25 --start auto --budget "$budget"
fi

train() { # name, iterations, step size, options...
  name=$1
  iterations=$2
  lr=$3
  shift 3
  [ -e "$name/solver.gas.json" ] || "$gas" train --teacher pairs --held-out 64 --nfe "$gs_nfe" --grid logsnr \
    --iterations "$iterations" --batch "$batch" --lr "$lr" --cosine --ema 0.97 --keep-activations --validate-every 0 \
    --out "$name" "$@"
  trained="$trained,$name/solver.gas.json"
}
trained=
for iterations in $gs_iterations; do train "gs-$iterations" "$iterations" 2e-2; done
if [ "$finish_iterations" -gt 0 ] && [ "$budget" -gt 0 ]; then
  train "finish-$finish_iterations" "$finish_iterations" 5e-3 --init bands-start-search/solver.gas.json
fi

"$gas" eval --teacher test --blocks 3 --nfe "$nfe" --grid logsnr --solver "dpmpp-3m,unipc-3-bh2,deis-3,ipndm-3$fits" \
  > untrained.md
cat untrained.md
if [ -n "$trained" ]; then
  echo
  "$gas" eval --teacher test --blocks 3 --nfe "$gs_nfe" --solver "${trained#,}" > trained.md
  cat trained.md
fi
