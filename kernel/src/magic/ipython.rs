//! Magics of IPython that Rust does not need or that have another name here.

/// Names of magics, and the hint for each group.
const COUNTERPARTS: &[(&[&str], &str)] = &[
    (
        &["time"],
        "`:time CODE` times a line, `:time` on a line of its own the cell below it; `%timeit` repeats it",
    ),
    (
        &["matplotlib", "pylab"],
        "plots need no set-up: `phalanx::svg`, `png`, `vega_lite` and `plotly` show them, and plotters draws them",
    ),
    (&["cd"], "`:cd FOLDER` changes the working folder"),
    (
        &["env", "set_env"],
        "`:env NAME=VALUE` sets a variable, `:env` shows those that are set",
    ),
    (
        &["lsmagic", "magic", "quickref"],
        "`:help` lists all magics and commands",
    ),
    (
        &["reset", "reset_selective"],
        "`:clear` forgets everything, `:restart` the variables alone",
    ),
    (
        &["prun", "lprun", "mprun", "memit"],
        "`%prof` shows where code spends its time, `%timeit` how much it takes",
    ),
    (
        &["debug", "pdb", "xmode", "tb"],
        "a panic reports its location in the cell; `gdb -p PID` debugs the process, with the PID from `std::process::id()`",
    ),
    (
        &["sh", "script", "system", "sx", "cmd"],
        "`!COMMAND` runs a command of the shell, `%%bash` a script",
    ),
    (
        &[
            "pwd", "ls", "cat", "mkdir", "rm", "cp", "mv", "man", "less", "more", "ll",
        ],
        "programs are run by `!`, as in `!ls`",
    ),
    (&["file"], "it is `%%writefile FILE`"),
    (
        &["pycat", "loadpy"],
        "`%load FILE` puts a file into the cell, `!cat FILE` shows it",
    ),
    (&["html", "HTML"], "call `phalanx::html(…)`"),
    (&["latex"], "call `phalanx::latex(…)`"),
    (
        &["markdown"],
        "call `phalanx::markdown(…)`, or make the cell a Markdown cell",
    ),
    (&["svg", "SVG"], "call `phalanx::svg(…)`"),
    (
        &["javascript", "js"],
        "call `phalanx::html(…)` with a `<script>`",
    ),
    (
        &["python", "python3", "pypy", "perl", "ruby"],
        "run the program in a `%%bash` cell",
    ),
    (
        &["capture"],
        "`phalanx::widgets::Output` captures what a cell shows",
    ),
    (
        &["history", "hist", "recall", "rerun"],
        "the frontend keeps the history: Ctrl-R in a console",
    ),
    (
        &["pinfo", "pinfo2", "pdoc", "psource", "pdef"],
        "`NAME?` shows the documentation of a name, `NAME??` its source",
    ),
    (
        &[
            "load_ext",
            "reload_ext",
            "autoreload",
            "config",
            "alias",
            "pprint",
            "precision",
            "gui",
        ],
        "nothing has to be set up for it here",
    ),
    (
        &["who_ls"],
        "`%who` shows the variables, `:vars` their types",
    ),
    (
        &["store"],
        "write values to a file with serde; a kernel keeps none from session to session",
    ),
];

/// Programs that install packages of Python.
const INSTALLERS: [&str; 7] = ["pip", "pip3", "conda", "mamba", "uv", "poetry", "install"];

/// Returns the hint for a magic of IPython; `behind` is the text after its name.
pub(super) fn counterpart(name: &str, behind: &str) -> Option<String> {
    if INSTALLERS.contains(&name) {
        return Some(add(installed(behind)));
    }
    let found = COUNTERPARTS.iter().find(|(names, _)| names.contains(&name));
    found.map(|(_, hint)| (*hint).to_owned())
}

/// Returns the hint for a line of the shell that installs a package of Python.
pub fn installs(line: &str) -> Option<String> {
    let (program, behind) = line.trim_start().split_once(' ')?;
    let is_install = behind
        .split_whitespace()
        .any(|word| matches!(word, "install" | "add"));
    (INSTALLERS.contains(&program) && is_install).then(|| {
        let hint = add(installed(behind));
        format!("{program} installs packages of Python; {hint}")
    })
}

/// Returns the package after `install`.
fn installed(behind: &str) -> Option<&str> {
    let words = behind.split_whitespace();
    let words = words.skip_while(|word| !matches!(*word, "install" | "add"));
    let mut names = words.skip(1).filter(|word| !word.starts_with('-'));
    let name = names.next()?.split(['=', '<', '>', '~', '[', ';']).next()?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

fn add(name: Option<&str>) -> String {
    format!("`:dep {}` adds a crate", name.unwrap_or("NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::magic::MagicName;

    #[test]
    fn existing_magics_have_no_counterpart() {
        for name in MagicName::ALL {
            assert_eq!(counterpart(name.as_str(), ""), None, "{name}");
        }
        assert!(counterpart("time", "").unwrap().contains(":time"));
    }

    #[test]
    fn python_packages_have_crates_as_counterparts() {
        let magic = |behind| counterpart("pip", behind).unwrap();
        assert_eq!(
            magic(" install -q polars==1.0"),
            "`:dep polars` adds a crate"
        );
        assert_eq!(magic(" list"), "`:dep NAME` adds a crate");
        assert_eq!(magic(""), "`:dep NAME` adds a crate");
        assert!(
            installs("pip install --upgrade 'a b'")
                .unwrap()
                .contains("`:dep NAME`")
        );
        assert!(
            installs("uv pip install polars")
                .unwrap()
                .contains("`:dep polars`")
        );
        assert_eq!(installs("pip list"), None);
        assert_eq!(installs("apt-get install gcc"), None);
    }
}
