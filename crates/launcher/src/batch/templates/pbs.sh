#!/bin/sh
#PBS -N phalanx-{cluster_id}
#PBS -J {array}
#PBS -j oe
#PBS -o /dev/null
#PBS -q {queue}
#PBS -l walltime={time}
# What the system collects it shows at the end only.
exec >> "{output}" 2>&1
{setup}
exec {command}
