#!/bin/sh
#BSUB -J phalanx-{cluster_id}[1-{n}]
#BSUB -o /dev/null
#BSUB -q {queue}
#BSUB -W {time}
exec >> "{output}" 2>&1
{setup}
exec {command}
