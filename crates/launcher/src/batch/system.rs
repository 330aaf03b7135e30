//! The batch systems: their command lines and the output of their programs. Pure.

use super::template::TemplateValues;
use crate::job::Job;
use crate::quote;
use std::path::Path;

/// A batch system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSystem {
    /// Slurm.
    Slurm,
    /// OpenPBS and PBS Pro.
    Pbs,
    /// Grid Engine.
    Sge,
    /// LSF.
    Lsf,
    /// HTCondor.
    Htcondor,
}

/// The state of a job in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// The job is waiting or running; the system's own description.
    Known(String),
    /// The job has ended and is no longer in the queue.
    Gone,
    /// The state could not be determined.
    Unknown,
}

/// A command line.
pub type CommandLine = Vec<String>;

fn line(words: &[&str]) -> CommandLine {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl BatchSystem {
    /// Returns the template of its script.
    pub fn template(self) -> &'static str {
        match self {
            Self::Slurm => include_str!("templates/slurm.sh"),
            Self::Pbs => include_str!("templates/pbs.sh"),
            Self::Sge => include_str!("templates/sge.sh"),
            Self::Lsf => include_str!("templates/lsf.sh"),
            Self::Htcondor => include_str!("templates/htcondor.sub"),
        }
    }

    /// Returns the values of the template's placeholders for a job.
    pub fn values(self, job: &Job, output: &Path) -> TemplateValues {
        let command = job.command();
        let (program, arguments) = command.split_at(command.len().min(1));
        let arguments = match self {
            // Within double quotes, with single quotes around words that contain spaces.
            Self::Htcondor => {
                let words = arguments.iter().map(|word| word.to_string_lossy());
                let words = words.map(|word| word.replace('"', "\"\"").replace('\'', "''"));
                let quoted = words.map(|word| match word.contains(' ') {
                    true => format!("'{word}'"),
                    false => word,
                });
                quoted.collect::<Vec<_>>().join(" ")
            }
            _ => quote::line(arguments),
        };
        let program = program
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        let mut values = TemplateValues::from([
            ("n", job.ids.len().to_string()),
            ("cluster_id", job.cluster_id.clone()),
            ("folder", job.folder.display().to_string()),
            ("output", output.display().to_string()),
            ("command", quote::line(&command)),
            ("program", program.collect()),
            ("arguments", arguments),
        ]);
        // PBS does not accept an array of one job.
        if job.ids.len() > 1 {
            values.insert("array", format!("1-{}", job.ids.len()));
        }
        values
    }

    /// Returns the command that submits a script; LSF's reads it from stdin.
    pub fn submit(self, script: &Path, args: &[String]) -> CommandLine {
        let mut submit = match self {
            Self::Slurm => line(&["sbatch", "--parsable"]),
            Self::Pbs => line(&["qsub"]),
            Self::Sge => line(&["qsub", "-terse"]),
            Self::Lsf => line(&["bsub"]),
            Self::Htcondor => line(&["condor_submit", "-terse"]),
        };
        submit.extend(args.iter().cloned());
        if self != Self::Lsf {
            submit.push(script.display().to_string());
        }
        submit
    }

    /// Returns the job's id, from the output of that command.
    pub fn job_id(self, answer: &str) -> Option<String> {
        let last = answer.lines().rfind(|line| !line.trim().is_empty())?.trim();
        let id = match self {
            // `12` or, with several clusters, `12;name`.
            Self::Slurm => last.split(';').next()?,
            // `12.server`, `12[].server`.
            Self::Pbs => last,
            // `12`, for an array `12.1-4:1`.
            Self::Sge => last.split('.').next()?,
            // `Job <12> is submitted to queue <normal>.`
            Self::Lsf => answer.split_once("Job <")?.1.split_once('>')?.0,
            // `12.0 - 12.3`.
            Self::Htcondor => last.split('.').next()?,
        };
        let is_id = id.starts_with(|c: char| c.is_ascii_digit());
        is_id.then(|| id.to_owned())
    }

    /// Returns the command that cancels a job.
    pub fn cancel(self, id: &str) -> CommandLine {
        let program = match self {
            Self::Slurm => "scancel",
            Self::Pbs | Self::Sge => "qdel",
            Self::Lsf => "bkill",
            Self::Htcondor => "condor_rm",
        };
        line(&[program, id])
    }

    /// Returns the command that queries a job's state.
    pub fn query(self, id: &str) -> CommandLine {
        match self {
            Self::Slurm => line(&["squeue", "--noheader", "--jobs", id, "--format", "%T (%r)"]),
            Self::Pbs => line(&["qstat", id]),
            Self::Sge => line(&["qstat", "-j", id]),
            Self::Lsf => line(&["bjobs", "-noheader", "-o", "stat pend_reason", id]),
            Self::Htcondor => line(&["condor_q", id, "-af", "JobStatus", "HoldReason"]),
        }
    }

    /// Returns the state, from the success and the output of that command.
    pub fn state(self, succeeded: bool, printed: &str) -> JobState {
        let gone = match self {
            Self::Slurm => "Invalid job id",
            Self::Pbs if printed.contains("Unknown Job") => "Unknown Job",
            Self::Pbs => "Job has finished",
            Self::Sge => "do not exist",
            Self::Lsf => "is not found",
            Self::Htcondor => "no such job",
        };
        let lines: Vec<&str> = printed
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let over = |line: &&str| {
            self == Self::Lsf && (line.starts_with("DONE") || line.starts_with("EXIT"))
        };
        match succeeded {
            _ if printed.contains(gone) => JobState::Gone,
            false => JobState::Unknown,
            true if lines.iter().all(over) => JobState::Gone,
            true => JobState::Known(self.describe(&lines)),
        }
    }

    /// Describes the state of a job.
    fn describe(self, lines: &[&str]) -> String {
        let last = lines.last().copied().unwrap_or_default();
        match self {
            Self::Htcondor => {
                let (status, reason) = last.split_once(' ').unwrap_or((last, ""));
                let status = match status {
                    "1" => "idle",
                    "2" => "running",
                    "5" => "held",
                    other => other,
                };
                format!("{status} {}", reason.replace("undefined", ""))
                    .trim()
                    .to_owned()
            }
            // A page about the job, of which these lines say why it does not run.
            Self::Sge => {
                let names = ["job_state", "error reason", "scheduling info"];
                let is_state = |line: &&&str| names.iter().any(|name| line.starts_with(name));
                let states: Vec<String> = lines
                    .iter()
                    .filter(is_state)
                    .map(|line| spaced(line))
                    .collect();
                match states.is_empty() {
                    true => "it is in the queue".to_owned(),
                    false => states.join("; "),
                }
            }
            _ => spaced(last),
        }
    }
}

/// A line with one blank between its words.
fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::template::fill;
    use crate::job::tests::engines;

    const ALL: [BatchSystem; 5] = [
        BatchSystem::Slurm,
        BatchSystem::Pbs,
        BatchSystem::Sge,
        BatchSystem::Lsf,
        BatchSystem::Htcondor,
    ];

    fn script(system: BatchSystem, engines_wanted: u32, more: &[(&'static str, &str)]) -> String {
        let mut values = system.values(&engines(0..engines_wanted), Path::new("/shared/out"));
        values.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        fill(system.template(), &values)
    }

    #[test]
    fn every_script_starts_the_engines_and_has_no_key() {
        for system in ALL {
            let text = script(system, 4, &[]);
            assert!(text.contains("/opt/phalanx-engine"), "{text}");
            assert!(
                text.contains("--file '/shared/my files/engine.json' --ids 0-3"),
                "{text}"
            );
            assert!(text.contains("/shared/out"), "{text}");
            assert!(!text.contains("secret"), "{text}");
            // Lines of placeholders without a value are omitted.
            assert!(!text.contains("queue=") && !text.contains("-q "), "{text}");
        }
    }

    #[test]
    fn each_system_has_its_directives() {
        let more = [
            ("queue", "short"),
            ("time", "1:00:00"),
            ("setup", "module load gcc\nulimit -c 0"),
        ];
        for (system, directives) in [
            (
                BatchSystem::Slurm,
                &[
                    "#SBATCH --ntasks=4",
                    "#SBATCH --partition=short",
                    "#SBATCH --time=1:00:00",
                ][..],
            ),
            (
                BatchSystem::Pbs,
                &["#PBS -J 1-4", "#PBS -q short", "#PBS -l walltime=1:00:00"],
            ),
            (
                BatchSystem::Sge,
                &["#$ -t 1-4", "#$ -q short", "#$ -l h_rt=1:00:00"],
            ),
            (
                BatchSystem::Lsf,
                &[
                    "#BSUB -J phalanx-c1[1-4]",
                    "#BSUB -q short",
                    "#BSUB -W 1:00:00",
                ],
            ),
            (
                BatchSystem::Htcondor,
                &["queue 4", "PHALANX_RANK=$(Process)"],
            ),
        ] {
            let text = script(system, 4, &more);
            for directive in directives {
                assert!(text.contains(directive), "{text}");
            }
            let has_setup = text.contains("\nmodule load gcc\nulimit -c 0\n");
            assert_eq!(has_setup, system != BatchSystem::Htcondor, "{text}");
        }
        assert!(!script(BatchSystem::Pbs, 1, &[]).contains("-J"));
    }

    #[test]
    fn job_ids_are_read_from_what_is_printed() {
        for (system, answer, id) in [
            (BatchSystem::Slurm, "12\n", "12"),
            (BatchSystem::Slurm, "12;other\n", "12"),
            (BatchSystem::Pbs, "12[].server\n", "12[].server"),
            (BatchSystem::Sge, "12.1-4:1\n", "12"),
            (
                BatchSystem::Lsf,
                "Job <12> is submitted to queue <normal>.\n",
                "12",
            ),
            (BatchSystem::Htcondor, "12.0 - 12.3\n", "12"),
        ] {
            assert_eq!(system.job_id(answer).as_deref(), Some(id));
            assert_eq!(system.job_id("no luck\n"), None);
            assert_eq!(system.job_id(""), None);
        }
    }

    #[test]
    fn states_are_read_from_what_is_printed() {
        let known = |text: &str| JobState::Known(text.to_owned());
        for (system, succeeded, printed, state) in [
            (
                BatchSystem::Slurm,
                true,
                "PENDING (Resources)\n",
                known("PENDING (Resources)"),
            ),
            (BatchSystem::Slurm, true, "", JobState::Gone),
            (
                BatchSystem::Slurm,
                false,
                "slurm_load_jobs error: Invalid job id specified\n",
                JobState::Gone,
            ),
            (
                BatchSystem::Slurm,
                false,
                "Unable to contact slurm controller\n",
                JobState::Unknown,
            ),
            (
                BatchSystem::Pbs,
                true,
                "Job id  Name\n---- ----\n12.s  x   me 0 Q workq\n",
                known("12.s x me 0 Q workq"),
            ),
            (
                BatchSystem::Pbs,
                false,
                "qstat: 12.s Job has finished, use -x\n",
                JobState::Gone,
            ),
            (
                BatchSystem::Pbs,
                false,
                "qstat: Unknown Job Id 12.s\n",
                JobState::Gone,
            ),
            (
                BatchSystem::Sge,
                false,
                "Following jobs do not exist:\n12\n",
                JobState::Gone,
            ),
            (
                BatchSystem::Sge,
                true,
                "====\njob_number:     12\nscheduling info:    queue \"a\" is full\n",
                known("scheduling info: queue \"a\" is full"),
            ),
            (
                BatchSystem::Sge,
                true,
                "====\njob_number:     12\n",
                known("it is in the queue"),
            ),
            (
                BatchSystem::Lsf,
                true,
                "PEND New job is waiting;\n",
                known("PEND New job is waiting;"),
            ),
            (BatchSystem::Lsf, true, "EXIT -\nDONE -\n", JobState::Gone),
            (BatchSystem::Htcondor, true, "1 undefined\n", known("idle")),
            (BatchSystem::Htcondor, true, "", JobState::Gone),
        ] {
            assert_eq!(system.state(succeeded, printed), state, "{printed}");
        }
    }

    #[test]
    fn a_script_is_submitted_with_the_users_arguments() {
        let args = ["--account=x".to_owned()];
        let submit = BatchSystem::Slurm.submit(Path::new("/s/e.sh"), &args);
        assert_eq!(submit, ["sbatch", "--parsable", "--account=x", "/s/e.sh"]);
        assert_eq!(BatchSystem::Lsf.submit(Path::new("/s/e.sh"), &[]), ["bsub"]);
        assert_eq!(BatchSystem::Pbs.cancel("12[].s"), ["qdel", "12[].s"]);
    }
}
