#!/usr/bin/env bash
# From the files of configs/radar.yaml to README's table of what is wanted of its ensembles, and to
# the windows that nothing was chosen on: about two and a half hours on two quiet cores. Killed and started
# again it goes on; ensembles that are there are not drawn again.
#
#     benchmarks/radar_best.sh PATH    # PATH: the folder that configs/radar.yaml's data.root names
set -euo pipefail
here=$(dirname "$0")
config=(--config radar "data.root=$1" train.validation_cases=0)
generator=(diffusion.objective=crps diffusion.crps_increments=1 diffusion.crps_amounts=1
  train.learning_rate=5e-4 train.ema_decay=0.999)
chain=(--first-guess runs/generator_longer --sigma-max 4 --steps 6)
contrast=(--contrast 17 --epsilon-scale 1.1)
jaxrain() { python -m "jaxrain.$1" "${@:2}"; }
train() { # RUN [setting ...]
  local began=$SECONDS
  jaxrain train "${config[@]}" "train.run=runs/$1" "${@:2}"
  echo "runs/$1: $((SECONDS - began)) s"
}
draw() { # NAME RUN [option ...]
  [ -e "runs/$1.nc" ] || jaxrain sample "runs/$2" --output "runs/$1.nc" --split test "${@:3}"
}

jaxrain prepare --config radar "data.root=$1"
train denoiser
train generator "${generator[@]}" train.start_from=runs/denoiser train.steps=5000
train generator_longer "${generator[@]}" train.start_from=runs/generator train.steps=3000
train denoiser_longer diffusion.p_mean=-0.8 train.start_from=runs/denoiser train.ema_decay=0.999 \
  train.steps=5000

# The regression that the ensembles are to beat, of rain as it is.
train regression_l2 diffusion.objective=regression diffusion.loss=l2 diffusion.prediction=x0 \
  data.augment_contrast=1 data.augment_amounts=1 data.balance_days=0 \
  train.steps=1100 train.ema_decay=0.995
draw regression_l2 regression_l2

draw config denoiser
draw one_contrast denoiser_longer "${chain[@]}" --contrast 1 --members 16
reports=()
for seed in 0 1 2 3; do
  draw best_$seed denoiser_longer "${chain[@]}" "${contrast[@]}" --members 16 --seed $seed
  jaxrain verify runs/best_$seed.nc --report runs/best_$seed --beside regression=runs/regression_l2.nc \
    one_contrast=runs/one_contrast.nc config=runs/config.nc
  reports+=("runs/best_$seed/scores.json")
done

# Windows that nothing was chosen on.
[ -e runs/denoiser_longer_elsewhere ] ||
  python "$here/other_windows.py" runs/regression_l2 runs/denoiser_longer
draw regression_elsewhere regression_l2_elsewhere
draw one_elsewhere denoiser_longer_elsewhere "${chain[@]}" --contrast 1 --members 16
for seed in 0 1; do
  draw elsewhere_$seed denoiser_longer_elsewhere "${chain[@]}" "${contrast[@]}" --members 16 --seed $seed
  jaxrain verify runs/elsewhere_$seed.nc --report runs/elsewhere_$seed \
    --beside regression=runs/regression_elsewhere.nc one_contrast=runs/one_elsewhere.nc
done

# The cascade: the generator's members, drawn anew inside blocks of 5 x 5 points.
blocks=(data.coarsen=5 data.store=data/blocks)
jaxrain prepare "${config[@]}" "${blocks[@]}"
train texture "${blocks[@]}" data.patch=64 model.patchify=1 diffusion.p_mean=-0.4 train.ema_decay=0.999 \
  train.steps=4500
refined=()
for seed in 0 1 2 3; do
  draw guess_$seed generator_longer --contrast 17 --members 16 --seed $seed
  [ -e runs/refined_$seed.nc ] || jaxrain refine runs/guess_$seed.nc runs/texture --steps 6 \
    --sigma-max 20 --contrast 3 --epsilon-scale 1.1 --output runs/refined_$seed.nc
  jaxrain verify runs/refined_$seed.nc --report runs/refined_$seed \
    --beside regression=runs/regression_l2.nc
  refined+=("runs/refined_$seed/scores.json")
done

echo "The twelve windows:"
python "$here/radar_wanted.py" "${reports[@]}"
echo "The same of the cascade:"
python "$here/radar_wanted.py" "${refined[@]}"
echo "Windows that nothing was chosen on:"
python "$here/radar_wanted.py" runs/elsewhere_{0,1}/scores.json
