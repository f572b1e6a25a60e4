#!/usr/bin/env bash
# Makes SKILL.md's tables of what was tried on real rain: about ten hours on two quiet
# cores. Not those of the finest scales, nor rows of contrast as it was.
#
#     benchmarks/radar_skill.sh PATH    # PATH: the folder that configs/radar.yaml's data.root names
set -euo pipefail
config=(--config radar "data.root=$1" train.validation_cases=0)
days=("${config[@]}" data.augment_contrast=1) # days are drawn alike, rain keeps its contrast
alike=("${days[@]}" data.balance_days=0)      # all hours are drawn alike
plain=("${alike[@]}" data.augment_amounts=1)  # and their rain is left as it is
generator=(diffusion.objective=crps diffusion.crps_increments=1 diffusion.crps_amounts=1
  train.learning_rate=5e-4)
jaxrain() { python -m "jaxrain.$1" "${@:2}"; }

# First the best: runs/denoiser, generator, generator_longer, denoiser_longer and regression_l2, the
# last in runs/regression_l2.nc too, and all with contrasts between 1/2 and 2 but that.
"$(dirname "$0")/radar_best.sh" "$1"
jaxrain train "${plain[@]}" diffusion.objective=regression diffusion.loss=l1 \
  diffusion.prediction=x0 train.steps=1100 train.ema_decay=0.995 train.run=runs/regression_l1
jaxrain sample runs/regression_l1 --output runs/regression_l1.nc --split test

# All hours alike.
jaxrain train "${plain[@]}" train.steps=7500 train.ema_decay=0.999 train.run=runs/denoiser_plain
jaxrain train "${alike[@]}" train.run=runs/denoiser_alike
jaxrain train "${alike[@]}" "${generator[@]}" train.start_from=runs/denoiser_alike \
  train.steps=3200 train.run=runs/generator_alike
jaxrain train "${alike[@]}" "${generator[@]}" diffusion.prediction=x0 \
  train.start_from=runs/regression_l2 train.steps=4500 train.run=runs/generator_regression

# All days alike.
jaxrain train "${days[@]}" train.run=runs/denoiser_days
jaxrain train "${days[@]}" "${generator[@]}" train.start_from=runs/denoiser_days train.steps=5000 \
  train.run=runs/generator_days
jaxrain train "${days[@]}" "${generator[@]}" train.start_from=runs/generator_days train.steps=5000 \
  train.run=runs/generator_days_longer

# Rain of contrasts between 1/1.4 and 1.4 too.
milder=("${config[@]}" data.augment_contrast=1.4)
jaxrain train "${milder[@]}" train.run=runs/denoiser_1.4
jaxrain train "${milder[@]}" "${generator[@]}" train.start_from=runs/denoiser_1.4 train.steps=5000 \
  train.run=runs/generator_1.4
jaxrain train "${milder[@]}" "${generator[@]}" train.start_from=runs/denoiser_1.4 train.steps=4000 \
  train.seed=1 train.run=runs/generator_1.4_apart
jaxrain train "${milder[@]}" "${generator[@]}" train.start_from=runs/generator_1.4 train.steps=3600 \
  train.run=runs/generator_1.4_longer

generator+=(train.ema_decay=0.999)

# At full resolution: an hour on two cores, minutes on a GPU.
jaxrain train "${config[@]}" model.patchify=1 train.ema_decay=0.999 train.steps=3000 \
  train.run=runs/denoiser_full

# The same on smaller patches, with less noise: as many points a step as the others.
jaxrain train "${config[@]}" model.patchify=1 data.patch=64 diffusion.p_mean=-0.8 \
  train.ema_decay=0.999 train.steps=7500 train.run=runs/denoiser_patches

# Between 1/3 and 3, in one go.
jaxrain train "${config[@]}" "${generator[@]}" data.augment_contrast=3 \
  train.start_from=runs/denoiser train.steps=8000 train.run=runs/generator_3

# Two stages: what the regression leaves.
jaxrain train "${config[@]}" data.target=regression train.regression=runs/regression_l2 \
  train.run=runs/two_stages

beside=()
draw() { # NAME RUN [option ...]: 16 members of one contrast, held to the coarse rain, unless told
  jaxrain sample "runs/$2" --output "runs/$1.nc" --members 16 --contrast 1 --consistency hard "${@:3}"
  beside+=("$1=runs/$1.nc")
}
draw denoiser_plain denoiser_plain --steps 8
draw denoiser_alike denoiser_alike --steps 8
draw generator_alike generator_alike
draw generator_regression generator_regression
draw guessed_alike denoiser_alike --steps 6 --first-guess runs/generator_alike --sigma-max 4
draw denoiser_days denoiser_days --steps 8
draw generator_days generator_days
draw guessed_days denoiser_days --steps 6 --first-guess runs/generator_days --sigma-max 4
draw generator_days_longer generator_days_longer
draw guessed_days_longer denoiser_days --steps 6 --first-guess runs/generator_days_longer --sigma-max 4

draw denoiser_1.4 denoiser_1.4 --steps 8
draw generator_1.4 generator_1.4 --consistency off
draw generator_1.4_apart generator_1.4_apart --consistency off --seed 1
jaxrain pool runs/generator_1.4.nc runs/generator_1.4_apart.nc --output runs/generators.nc
beside+=(generators=runs/generators.nc)
draw generator_1.4_longer generator_1.4_longer
draw generator_1.4_longer_off generator_1.4_longer --consistency off
draw generator_1.4_longer_turned generator_1.4_longer --consistency off --turn true
draw guessed_1.4_longer denoiser_1.4 --steps 6 --first-guess runs/generator_1.4_longer --sigma-max 4

draw denoiser denoiser --steps 8
draw generator generator --consistency off
draw generator_longer generator_longer
draw generator_longer_off generator_longer --consistency off
draw guessed_longer denoiser --steps 6 --first-guess runs/generator_longer --sigma-max 4

# Members of different contrast, and what the finest scales lack; both chosen on the test windows.
contrast=(--contrast 17)
chain=(--steps 6 --first-guess runs/generator_longer --sigma-max 4)
beside+=(config=runs/config.nc one_contrast=runs/one_contrast.nc)
draw generator_longer_contrast generator_longer "${contrast[@]}"
draw generator_3_off generator_3 --consistency off
draw guessed_contrast denoiser "${chain[@]}" "${contrast[@]}" --epsilon-scale 1.2
draw guessed_longer_unscaled denoiser_longer "${chain[@]}" "${contrast[@]}"
draw guessed_full denoiser_full "${chain[@]}" "${contrast[@]}"
draw guessed_patches denoiser_patches "${chain[@]}" "${contrast[@]}"

draw two_stages two_stages --steps 8
draw two_stages_contrast two_stages --steps 8 "${contrast[@]}"
draw two_stages_guessed two_stages "${chain[@]}" "${contrast[@]}"
jaxrain verify runs/best_0.nc --report runs/radar_skill \
  --beside regression_l2=runs/regression_l2.nc regression_l1=runs/regression_l1.nc "${beside[@]}"

# What the validation hours say of contrasts, of the chain in the run's own eight steps.
jaxrain tune runs/denoiser_longer --contrasts 1 5 9 17 --cases 8 --dry-run \
  --first-guess runs/generator_longer --sigma-max 4 --epsilon-scale 1.1

# Windows that nothing was chosen on: radar_best.sh draws the best there.
python "$(dirname "$0")/other_windows.py" runs/denoiser
beside=(regression_l2=runs/regression_elsewhere.nc one_contrast=runs/one_elsewhere.nc)
draw elsewhere_short denoiser_elsewhere "${chain[@]}" "${contrast[@]}" --epsilon-scale 1.2
jaxrain verify runs/elsewhere_0.nc --report runs/radar_skill_elsewhere --beside "${beside[@]}"
