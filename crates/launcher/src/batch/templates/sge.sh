#!/bin/sh
#$ -N phalanx-{cluster_id}
#$ -S /bin/sh
#$ -t 1-{n}
#$ -j y
#$ -o /dev/null
#$ -q {queue}
#$ -l h_rt={time}
exec >> "{output}" 2>&1
{setup}
exec {command}
