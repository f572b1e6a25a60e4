#!/usr/bin/env bash
# Makes README's table of what was tried on real rain: about four hours on two quiet cores.
#
#     benchmarks/radar_skill.sh PATH    # PATH: the folder that configs/radar.yaml's data.root names
set -euo pipefail
config=(--config radar "data.root=$1" data.augment=true sample.tile=256 train.validation_cases=0)
jaxrain() { python -m "jaxrain.$1" "${@:2}"; }

jaxrain prepare --config radar "data.root=$1"
jaxrain train "${config[@]}" train.steps=7500 train.ema_decay=0.999 train.run=runs/denoiser
for loss in l2 l1; do
  jaxrain train "${config[@]}" diffusion.objective=regression diffusion.loss=$loss \
    diffusion.prediction=x0 train.steps=1100 train.ema_decay=0.995 train.run=runs/regression_$loss
  jaxrain sample runs/regression_$loss --output runs/regression_$loss.nc --split test
done
jaxrain train "${config[@]}" diffusion.objective=crps train.start_from=runs/denoiser \
  train.steps=600 train.learning_rate=3e-4 train.ema_decay=0.99 train.run=runs/one_step_short
jaxrain train "${config[@]}" diffusion.objective=crps train.start_from=runs/one_step_short \
  train.steps=1300 train.learning_rate=5e-4 train.ema_decay=0.995 train.run=runs/one_step

jaxrain train "${config[@]}" diffusion.objective=crps diffusion.prediction=x0 \
  diffusion.crps_increments=1 diffusion.crps_amounts=1 data.augment_amounts=2 \
  train.start_from=runs/regression_l2 train.steps=4500 train.learning_rate=5e-4 \
  train.ema_decay=0.998 train.run=runs/one_step_amounts

jaxrain train "${config[@]}" data.augment_amounts=2 train.run=runs/denoiser_amounts
jaxrain train "${config[@]}" diffusion.objective=crps \
  diffusion.crps_increments=1 diffusion.crps_amounts=1 data.augment_amounts=2 \
  train.start_from=runs/denoiser_amounts train.steps=3200 train.learning_rate=5e-4 \
  train.run=runs/generator

for held in off hard; do
  jaxrain sample runs/denoiser_amounts --output runs/denoiser_amounts_$held.nc --members 16 \
    --steps 8 --consistency $held
  jaxrain sample runs/generator --output runs/generator_$held.nc --members 16 --consistency $held
  jaxrain sample runs/denoiser_amounts --output runs/guessed_$held.nc --members 16 --steps 6 \
    --first-guess runs/generator --sigma-max 4 --consistency $held
  jaxrain sample runs/one_step_amounts --output runs/one_step_amounts_$held.nc --members 16 \
    --consistency $held
  jaxrain sample runs/denoiser --output runs/denoiser_$held.nc --members 16 --steps 8 \
    --consistency $held
  jaxrain sample runs/one_step_short --output runs/one_step_short_$held.nc --members 16 \
    --consistency $held
  jaxrain sample runs/one_step --output runs/one_step_$held.nc --members 16 --consistency $held
done
jaxrain verify runs/guessed_hard.nc --report runs/radar_skill --beside \
  regression_l2=runs/regression_l2.nc regression_l1=runs/regression_l1.nc \
  denoiser=runs/denoiser_off.nc denoiser_hard=runs/denoiser_hard.nc \
  one_step_short=runs/one_step_short_off.nc one_step_short_hard=runs/one_step_short_hard.nc \
  one_step=runs/one_step_off.nc one_step_hard=runs/one_step_hard.nc \
  one_step_amounts=runs/one_step_amounts_off.nc one_step_amounts_hard=runs/one_step_amounts_hard.nc \
  denoiser_amounts_hard=runs/denoiser_amounts_hard.nc generator=runs/generator_off.nc \
  generator_hard=runs/generator_hard.nc guessed=runs/guessed_off.nc
