//! The command lines and scripts executed on other machines. Pure.
//!
//! The remote user may have any shell; it receives a single `sh -c` with quoted words. The scripts
//! therefore contain no single quotes.

use crate::quote::quote;
use phalanx_protocol::id::EngineId;
use phalanx_transport::EngineConnectionFile;
use phalanx_transport::connection::LocalSockets;
use std::collections::BTreeMap;
use std::path::Path;

/// Options for all connections: no password prompts, and detection of lost machines.
const OPTIONS: [&str; 6] = [
    "-o",
    "BatchMode=yes",
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ExitOnForwardFailure=yes",
];

/// Finds the engine's program and creates the job's folder.
const PREPARE: &str = r#"umask 077
wanted=$1 copy=$2 version=$3
copy="${XDG_CACHE_HOME:-$HOME/.cache}/phalanx/engines/$copy"
if [ -n "$wanted" ]; then engine=$wanted
elif [ -n "$version" ] && [ "$(phalanx-engine --version 2>/dev/null)" = "$version" ]; then engine=$(command -v phalanx-engine)
elif [ -x "$copy" ]; then touch "$copy"; engine=$copy
else engine=; fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/phalanx-ssh-XXXXXXXX") || exit 1
echo "phalanx-host $(uname -n)"
echo "phalanx-machine $(uname -s -m)"
echo "phalanx-copy $copy"
echo "phalanx-engine $engine"
echo "phalanx-folder $folder"
"#;

/// Writes stdin to a program's path, checks that it runs, and removes programs not used for 30
/// days.
const COPY: &str = r#"umask 077
copy=$1 new=$1.$$
mkdir -p "${copy%/*}" && cat > "$new" && chmod 700 "$new" || exit 1
"$new" --version > /dev/null || { rm -f "$new"; exit 1; }
mv -f "$new" "$copy" || exit 1
find "${copy%/*}" -type f -mtime +30 -exec rm -f {} +
"#;

/// Removes the folder of a job that was not started.
const FORGET: &str = r#"rm -r -f "$1""#;

/// Runs engines until stdin is closed. The first line of stdin is the connection file.
///
/// `cat`, which ends when stdin is closed, acts as the engines' parent, so that they end with it.
const RUN: &str = r#"umask 077
folder=$1 engine=$2 subcommand=$3
shift 3
trap "" HUP
IFS= read -r connection && printf "%s\n" "$connection" > "$folder/engine.json" || exit 1
unset connection
exec 3<&0
cat <&3 > /dev/null &
lifeline=$!
exec 3<&-
run() {
    "$engine" ${subcommand:+"$subcommand"} --file "$folder/engine.json" --id "$1" --parent-pid $lifeline < /dev/null
    echo "phalanx-ended $1 $?"
}
for id; do run "$id" & done
wait
rm -r -f "$folder"
"#;

/// The prefix of the line that reports the end of an engine.
const ENDED: &str = "phalanx-ended ";

/// A machine on which a job can be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreparedHost {
    /// The name that the machine has for itself.
    pub host: String,
    /// Its system and architecture.
    pub machine: String,
    /// The path to which the program would be copied.
    pub copy: String,
    /// The path of the program; empty if it is missing.
    pub engine: String,
    /// The folder for this job.
    pub folder: String,
}

/// Returns the arguments of `ssh` that run a script with these words.
fn remote(
    args: &[String],
    forwards: &[String],
    host: &str,
    script: &str,
    words: &[&str],
) -> Vec<String> {
    let mut line: Vec<String> = OPTIONS.map(str::to_owned).into();
    line.extend(args.iter().cloned());
    line.extend(
        forwards
            .iter()
            .flat_map(|forward| ["-R".to_owned(), forward.clone()]),
    );
    line.extend(["--".to_owned(), host.to_owned()]);
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    line.push(format!(
        "exec sh -c {} phalanx {}",
        quote(script),
        words.join(" ")
    ));
    line
}

/// Returns the arguments that prepare a machine. `wanted` is the program's path there, if the user
/// has given one; `version` is the output required of an installed program.
pub fn prepare(
    args: &[String],
    host: &str,
    wanted: &str,
    copy: &str,
    version: &str,
) -> Vec<String> {
    remote(args, &[], host, PREPARE, &[wanted, copy, version])
}

/// Returns the arguments that copy a program.
pub fn copy(args: &[String], host: &str, to: &str) -> Vec<String> {
    remote(args, &[], host, COPY, &[to])
}

/// Returns the arguments that remove a job's folder.
pub fn forget(args: &[String], host: &str, folder: &str) -> Vec<String> {
    remote(args, &[], host, FORGET, &[folder])
}

/// Returns the arguments that run engines, with the controller's sockets forwarded.
pub fn run(
    args: &[String],
    host: &str,
    prepared: &PreparedHost,
    subcommand: &str,
    forwards: &[String],
    ids: &[EngineId],
) -> Vec<String> {
    let ids: Vec<String> = ids.iter().map(EngineId::to_string).collect();
    let mut words = vec![prepared.folder.as_str(), &prepared.engine, subcommand];
    words.extend(ids.iter().map(String::as_str));
    remote(args, forwards, host, RUN, &words)
}

/// Parses the output of [`prepare`]; `None` if it is incomplete.
pub fn prepared(answer: &str) -> Option<PreparedHost> {
    // Startup files of the remote shell may print as well.
    let value = |name: &str| {
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.trim().to_owned())
    };
    let prepared = PreparedHost {
        host: value("phalanx-host")?,
        machine: value("phalanx-machine")?,
        copy: value("phalanx-copy")?,
        engine: value("phalanx-engine")?,
        folder: value("phalanx-folder")?,
    };
    (!prepared.folder.is_empty()).then_some(prepared)
}

/// Returns the sockets on the other machine, by the controller's ports, and the forwarding
/// arguments: each to the controller's Unix socket if it has one, else to its port.
pub fn forwards(
    connection: &EngineConnectionFile,
    folder: &str,
) -> Result<
    (Vec<String>, BTreeMap<u16, std::path::PathBuf>),
    phalanx_transport::socket::EndpointError,
> {
    let mut forwards = Vec::new();
    let mut paths = BTreeMap::new();
    for port in connection.ports() {
        let there = format!("{folder}/{port}");
        let here = match connection.endpoint(port)? {
            phalanx_transport::Endpoint::Ipc(path) => path.display().to_string(),
            phalanx_transport::Endpoint::Tcp { host, port } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            phalanx_transport::Endpoint::Tcp { host, port } => format!("{host}:{port}"),
            other => other.to_string(),
        };
        forwards.push(format!("{there}:{here}"));
        paths.insert(port, Path::new(&there).to_owned());
    }
    Ok((forwards, paths))
}

/// Returns the connection file for engines on the other machine, whose ports are sockets there.
pub fn connection(
    connection: &EngineConnectionFile,
    host: &str,
    paths: BTreeMap<u16, std::path::PathBuf>,
) -> EngineConnectionFile {
    EngineConnectionFile {
        phalanx_sockets: Some(LocalSockets {
            host: host.to_owned(),
            paths,
        }),
        ssh: String::new(),
        ..connection.clone()
    }
}

/// Parses a line that reports the end of an engine; returns its id and exit code.
pub fn ended(line: &str) -> Option<(EngineId, i32)> {
    let (id, code) = line.strip_prefix(ENDED)?.split_once(' ')?;
    Some((EngineId(id.parse().ok()?), code.trim().parse().ok()?))
}

/// Describes an exit code of a shell as a status.
pub fn status(code: i32) -> String {
    match code {
        129.. => format!("signal: {}", code - 128),
        _ => format!("exit status: {code}"),
    }
}

/// Returns the output without lines that report the ends of engines.
pub fn without_markers(printed: &str) -> String {
    let lines = printed.lines().filter(|line| !line.starts_with(ENDED));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::engines;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn scripts_survive_any_shells_quoting() {
        for script in [PREPARE, COPY, FORGET, RUN] {
            assert!(!script.contains('\''), "{script}");
        }
    }

    #[test]
    fn a_command_line_has_the_users_options_and_never_the_key() {
        let args = ["-p".to_owned(), "2222".to_owned()];
        let job = engines([3, 4]);
        let prepared = PreparedHost {
            folder: "/tmp/x y".to_owned(),
            engine: "/opt/engine".to_owned(),
            ..PreparedHost::default()
        };
        let (forwards, paths) = forwards(&job.connection, &prepared.folder).unwrap();
        assert_eq!(forwards[0], "/tmp/x y/1:127.0.0.1:1");
        assert_eq!((forwards.len(), paths.len()), (8, 8));
        let line = run(&args, "me@node", &prepared, "", &forwards, &job.ids);
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        assert_eq!(words[6..10], ["-p", "2222", "-R", "/tmp/x y/1:127.0.0.1:1"]);
        assert_eq!(words[words.len() - 3..words.len() - 1], ["--", "me@node"]);
        assert!(words[words.len() - 1].ends_with("phalanx '/tmp/x y' /opt/engine '' 3 4"));
        assert!(!line.join(" ").contains("secret"), "{line:?}");
    }

    #[test]
    fn the_answer_is_found_among_what_a_login_prints() {
        let answer = "Welcome!\nphalanx-host n1\nphalanx-machine Linux x86_64\nphalanx-copy /c/e\n\
            phalanx-engine \nphalanx-folder /tmp/f\n";
        let found = prepared(answer).unwrap();
        assert_eq!((found.host.as_str(), found.engine.as_str()), ("n1", ""));
        assert_eq!(prepared("Welcome!\n"), None);
    }

    #[test]
    fn the_end_of_an_engine_is_read() {
        let ended = |line| ended(line).map(|(id, code)| (id.0, status(code)));
        assert_eq!(
            ended("phalanx-ended 3 1"),
            Some((3, "exit status: 1".to_owned()))
        );
        assert_eq!(
            ended("phalanx-ended 3 137"),
            Some((3, "signal: 9".to_owned()))
        );
        assert_eq!(ended("hello"), None);
        assert_eq!(without_markers("one\nphalanx-ended 3 1\ntwo"), "one\ntwo");
    }

    /// Runs a script like the remote shell.
    fn shell(line: &[String]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line.last().unwrap()]);
        command
    }

    #[test]
    fn engines_end_with_the_input_and_their_folder_goes() {
        let folder = tempfile::tempdir().unwrap();
        let engine = folder.path().join("engine");
        // Prints its connection file and waits for the end of its parent; number 1 ends by itself.
        let script = "#!/bin/sh\ncat $2; [ $4 = 1 ] && exit 3\nwhile kill -0 $6 2>/dev/null; do sleep 0.01; done\n";
        std::fs::write(&engine, script).unwrap();
        let chmod = Command::new("chmod").arg("700").arg(&engine).status();
        assert!(chmod.unwrap().success());
        let jobs = folder.path().join("job");
        std::fs::create_dir(&jobs).unwrap();
        let prepared = PreparedHost {
            folder: jobs.display().to_string(),
            engine: engine.display().to_string(),
            ..PreparedHost::default()
        };
        let line = run(&[], "node", &prepared, "", &[], &[EngineId(0), EngineId(1)]);
        let mut child = shell(&line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{{\"key\": \"secret\"}}").unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut ends: Vec<_> = text.lines().filter_map(ended).collect();
        ends.sort();
        assert_eq!(ends.len(), 2, "{text}");
        assert!(text.contains("phalanx-ended 1 3"), "{text}");
        assert_eq!(
            without_markers(&text).matches("secret").count(),
            2,
            "{text}"
        );
        assert!(!jobs.exists());
    }

    #[test]
    fn a_program_is_copied_where_it_is_missing_and_found_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let ask = |wanted: &str, version: &str| {
            let output = shell(&prepare(&[], "node", wanted, "abc", version))
                .env("XDG_CACHE_HOME", &home)
                .env("TMPDIR", &home)
                .output()
                .unwrap();
            prepared(&String::from_utf8(output.stdout).unwrap()).unwrap()
        };
        let missing = ask("", "no such version");
        assert_eq!(missing.engine, "");
        assert!(Path::new(&missing.folder).is_dir());
        let put = |program: &str| {
            let mut child = shell(&copy(&[], "node", &missing.copy))
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            write!(child.stdin.take().unwrap(), "{program}").unwrap();
            child.wait().unwrap().success()
        };
        assert!(
            !put("#!/bin/sh\nexit 1\n"),
            "one that does not run is not kept"
        );
        assert_eq!(ask("", "").engine, "");
        assert!(put("#!/bin/sh\nexit 0\n"));
        assert_eq!(ask("", "").engine, missing.copy);
        assert_eq!(ask("/opt/engine", "").engine, "/opt/engine");
    }
}
