#!/bin/sh
# Makes docs/results-fit.md's tables: training-free solvers, closed-form fits and trained solvers by number of evaluations,
# with what making each of them took, on the embedded model and on an exact mixture. Usage: tools/results_fit.sh PROGRAM
# FOLDER; the settings below can be given in the environment. What is already in FOLDER is not made again.
set -eu
gas=$(realpath "$1")
out=$2
nfe=${NFE:-3,4,5,6,8,10}
test_seeds=${TEST_SEEDS:-50000-50767}
budget=${BUDGET:-76800}  # at 4 evaluations a tenth of what 4000 iterations of GS cost
gs_nfe=${GS_NFE:-4}
gs_iterations=${GS_ITERATIONS:-"1000 4000 10000"}  # ascending: one run that is continued
finish_iterations=${FINISH_ITERATIONS:-500}
batch=${BATCH:-16}
threads=${THREADS:-0}
train_dtype=${TRAIN_DTYPE:-bfloat16}
mixture_budget=${MIXTURE_BUDGET:-400000}

mkdir -p "$out"
cd "$out"
"$gas" teacher --threads "$threads" --states --seeds 0-319 --out training
"$gas" teacher --threads "$threads" --states --seeds 0-1399 --out pairs
"$gas" teacher --threads "$threads" --seeds "$test_seeds" --out test

# fit NAME OPTIONS...: a closed-form fit to the data in $data, at every nfe.
fit() {
  name=$1
  shift
  [ -e "$name/solver.gas.json" ] || "$gas" fit --threads "$threads" --teacher "$data" --nfe "$nfe" --out "$name.part" "$@"
  [ -e "$name/solver.gas.json" ] || mv "$name.part" "$name"
  fits="$fits,$name/solver.gas.json"
}

# train NAME ITERATIONS STEP-SIZE OPTIONS...: trained at $gs_nfe; a run folder of this name is continued.
train() {
  name=$1
  iterations=$2
  lr=$3
  shift 3
  case "$*" in *--init*) ;; *) set -- --grid logsnr "$@" ;; esac  # a solver file brings its own times
  "$gas" train --threads "$threads" --dtype "$train_dtype" --teacher pairs --held-out 64 --nfe "$gs_nfe" \
    --iterations "$iterations" --batch "$batch" --lr "$lr" --activations keep --validate-every 500 --out "$name" "$@"
}

fits=
data=training
fit scalar --budget 0
fit bands --budget 0 --bands 25
fit quick --effort quick
if [ "$budget" -gt 0 ]; then
  data=pairs
  fit searched --budget "$budget" --trajectories 1336 --dtype "$train_dtype"
  fit scalar-searched --bands 1 --start 1 --budget "$budget" --trajectories 1336 --dtype "$train_dtype"
fi

trained=
for iterations in $gs_iterations; do
  if [ ! -e "gs-$iterations/solver.gas.json" ]; then
    train gs-run "$iterations" 5e-3
    mkdir -p "gs-$iterations"
    cp gs-run/solver.gas.json "gs-$iterations/"
  fi
  trained="$trained,gs-$iterations/solver.gas.json"
done
for start in searched scalar-searched; do
  [ "$finish_iterations" -gt 0 ] && [ "$budget" -gt 0 ] || continue
  finish=$start-gs-$finish_iterations
  [ -e "$finish/solver.gas.json" ] ||
    train "$finish" "$finish_iterations" 2e-3 --cosine --ema 0.97 --init "$start/solver.gas.json"
  trained="$trained,$finish/solver.gas.json"
done

echo "### fashion"
echo
"$gas" eval --threads "$threads" --teacher test --blocks 3 --nfe "$nfe" --grid logsnr \
  --solver "dpmpp-3m,unipc-3-bh2,deis-3,ipndm-3$fits"
if [ -n "$trained" ]; then
  echo
  "$gas" eval --threads "$threads" --teacher test --blocks 3 --nfe "$gs_nfe" --solver "${trained#,}"
fi

# The mixture: its teacher is exact to the digits shown, and its network costs nothing.
mkdir -p mixture
cd mixture
mixture() { "$gas" teacher --model mixture --solver dpmpp-3m --nfe 100 "$@"; }
mixture --states --seeds 0-2559 --out training > teacher.log
mixture --seeds "$test_seeds" --out test >> teacher.log
fits=
for method in scalar search; do
  [ "$method" = scalar ] && options="--budget 0" || options="--budget $mixture_budget"
  # shellcheck disable=SC2086 # a list of options
  [ -e "$method/solver.gas.json" ] ||
    "$gas" fit --model mixture --teacher training --trajectories 2048 --held-out 512 --nfe "$nfe" \
      --out "$method" $options >> teacher.log
  fits="$fits,$method/solver.gas.json"
done
trained=
for iterations in $gs_iterations; do
  if [ ! -e "gs-$iterations/solver.gas.json" ]; then
    "$gas" train --model mixture --teacher training --held-out 512 --nfe "$gs_nfe" --grid logsnr --iterations "$iterations" \
    --batch 64 --lr 5e-3 --activations keep --validate-every 0 --out gs-run >> teacher.log
    mkdir -p "gs-$iterations"
    cp gs-run/solver.gas.json "gs-$iterations/"
  fi
  trained="$trained,gs-$iterations/solver.gas.json"
done
echo
echo "### mixture"
echo
"$gas" eval --model mixture --teacher test --blocks 3 --nfe "$nfe" --grid logsnr \
  --solver "dpmpp-3m,unipc-3-bh2,deis-3,ipndm-3$fits"
[ -z "$trained" ] || { echo; "$gas" eval --model mixture --teacher test --blocks 3 --nfe "$gs_nfe" --solver "${trained#,}"; }
