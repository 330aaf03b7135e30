//! The rank of this process among those started by one command. Pure.

/// The variables that contain the rank, and the number of the first process. MPI's come first:
/// processes started by `mpiexec` in a Slurm job inherit the rank of the script.
const VARIABLES: [(&str, usize); 9] = [
    ("PHALANX_RANK", 0),
    ("OMPI_COMM_WORLD_RANK", 0),
    ("PMIX_RANK", 0),
    ("PMI_RANK", 0),
    ("SLURM_PROCID", 0),
    ("PBS_ARRAY_INDEX", 1),
    ("PBS_ARRAYID", 1),
    ("SGE_TASK_ID", 1),
    ("LSB_JOBINDEX", 1),
];

/// Returns the rank, counted from 0; `None` if no variable is set.
pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    VARIABLES.iter().find_map(|(name, first)| {
        // SGE sets `undefined` outside of job arrays, LSF sets 0.
        let number: usize = variable(name)?.trim().parse().ok()?;
        number.checked_sub(*first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_system_that_started_the_process() {
        for (variables, rank) in [
            (vec![("SLURM_PROCID", "3")], Some(3)),
            (
                vec![("SLURM_PROCID", "0"), ("OMPI_COMM_WORLD_RANK", "2")],
                Some(2),
            ),
            (vec![("PBS_ARRAY_INDEX", "1")], Some(0)),
            (vec![("SGE_TASK_ID", "undefined")], None),
            (vec![("LSB_JOBINDEX", "0")], None),
            (vec![("LSB_JOBINDEX", "4")], Some(3)),
            (vec![], None),
        ] {
            let value = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(of(value), rank, "{variables:?}");
        }
    }
}
