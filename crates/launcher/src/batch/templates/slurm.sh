#!/bin/sh
#SBATCH --job-name=phalanx-{cluster_id}
#SBATCH --ntasks={n}
#SBATCH --output="{output}"
#SBATCH --open-mode=append
#SBATCH --partition={queue}
#SBATCH --time={time}
{setup}
# An engine that ends takes no other with it.
exec srun --kill-on-bad-exit=0 {command}
