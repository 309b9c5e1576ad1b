#!/bin/sh
# Makes docs/results-fashion.md's tables: teacher, training-free solvers, closed-form fit, GS and GAS on the embedded model,
# and ablations at 4 evaluations. Usage: tools/results_fashion.sh PROGRAM FOLDER; the settings below can be given in the
# environment. What is already in FOLDER is not made again; tools/results_fit.sh fills the same folder with the fits.
set -eu
gas=$(realpath "$1")
out=$2
nfe=${NFE:-"3 4 5 6 8 10"}
test_seeds=${TEST_SEEDS:-50000-50767}
gs_iterations=${GS_ITERATIONS_EACH:-500}
gas_iterations=${GAS_ITERATIONS:-300}
ablation_iterations=${ABLATION_ITERATIONS:-300}
batch=${BATCH:-16}
threads=${THREADS:-0}
dtype=${TRAIN_DTYPE:-bfloat16}
data=pairs held_out=64

mkdir -p "$out"
cd "$out"
"$gas" teacher --threads "$threads" --states --seeds 0-1399 --out pairs
"$gas" teacher --threads "$threads" --seeds "$test_seeds" --out test

# train NAME NFE OPTIONS...
train() {
  name=$1
  steps=$2
  shift 2
  case "$*" in *--init*) ;; *) set -- --grid logsnr "$@" ;; esac  # a solver file brings its own times
  [ -e "$name/solver.gas.json" ] ||
    "$gas" train --threads "$threads" --dtype "$dtype" --teacher "$data" --held-out "$held_out" --nfe "$steps" \
      --batch "$batch" --cosine --ema 0.97 --activations keep --validate-every 0 --out "$name" "$@"
}
evaluate() { # NFE SOLVERS
  "$gas" eval --threads "$threads" --teacher test --blocks 3 --nfe "$1" --solver "$2"
  echo
}

for n in $nfe; do
  train "gs/$n" "$n" --iterations "$gs_iterations" --lr 1e-2
  # As many iterations more, without and with an adversary.
  train "gs-more/$n" "$n" --init "gs/$n/solver.gas.json" --iterations "$gas_iterations" --lr 3e-3
  train "gas/$n" "$n" --init "gs/$n/solver.gas.json" --iterations "$gas_iterations" --lr 3e-3 --method gas \
    --adversarial-weight 0.01
done
for n in $nfe; do
  echo "### $n evaluations"
  echo
  fit=
  for name in scalar-search bands-start-search; do
    [ -e "$name/solver.gas.json" ] && fit="$fit,$name/solver.gas.json"
  done
  evaluate "$n" "dpmpp-3m,unipc-3-bh2,deis-3,ipndm-3$fit,gs/$n/solver.gas.json,gs-more/$n/solver.gas.json,gas/$n/solver.gas.json"
done

# Ablations at 4 evaluations, from the same start.
from="--init gs/4/solver.gas.json --iterations $gas_iterations --lr 3e-3 --method gas"
ablations=
ablate() { # NAME OPTIONS...
  name=$1
  shift
  train "ablation/$name" 4 "$@"
  ablations="$ablations,ablation/$name/solver.gas.json"
}
# shellcheck disable=SC2086 # lists of options
{
  ablate non-saturating $from --adversarial-weight 0.01 --adversarial-loss non-saturating
  ablate weight-0.001 $from --adversarial-weight 0.001
  ablate weight-0.1 $from --adversarial-weight 0.1
  ablate r3gan $from --adversarial-weight 0.01 --discriminator r3gan
}
for kind in theory lms lms-pc times; do
  ablate "$kind" --parametrization "$kind" --iterations "$ablation_iterations" --lr 1e-2
done
for size in 350 700 1336; do
  held_out=$((1400 - size))
  ablate "samples-$size" --iterations "$ablation_iterations" --lr 1e-2
done
"$gas" teacher --threads "$threads" --seeds 0-4999 --out pairs-5000
data=pairs-5000 held_out=64
ablate samples-4936 --iterations "$ablation_iterations" --lr 1e-2
echo "### ablations at 4 evaluations"
echo
evaluate 4 "${ablations#,}"
