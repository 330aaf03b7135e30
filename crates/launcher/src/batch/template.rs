//! The template of a batch script, which users can edit. Pure.

use std::collections::BTreeMap;

/// The values of a template's placeholders, by name; one without a value is absent.
pub type TemplateValues = BTreeMap<&'static str, String>;

/// All placeholders.
pub const PLACEHOLDERS: [&str; 11] = [
    "n",
    "array",
    "cluster_id",
    "folder",
    "output",
    "queue",
    "time",
    "setup",
    "command",
    "program",
    "arguments",
];

/// Fills in a template. `{name}` is replaced by the value of a placeholder; a line with a
/// placeholder that has no value is omitted. Other braces are left alone, such as those of a shell:
/// `${HOME}`, `{ echo; }`.
pub fn fill(template: &str, values: &TemplateValues) -> String {
    let lines = template.lines().filter_map(|line| fill_line(line, values));
    lines.map(|line| line + "\n").collect()
}

fn fill_line(line: &str, values: &TemplateValues) -> Option<String> {
    let mut filled = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        match placeholder(from).filter(|_| !before.ends_with('$')) {
            Some(name) => {
                filled.push_str(values.get(name)?);
                rest = &from[name.len() + 2..];
            }
            None => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    Some(filled)
}

/// Returns the name of the placeholder at the start of a text.
fn placeholder(text: &str) -> Option<&'static str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    PLACEHOLDERS.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_and_a_shells_braces_stay() {
        let template = "#SBATCH --ntasks={n}\n#SBATCH --partition={queue}\n{setup}\n{ cd ${n}; }\nsrun {command} {more}\n";
        let values = [("n", "4".to_owned()), ("command", "engine".to_owned())];
        let filled = fill(template, &values.into());
        assert_eq!(
            filled,
            "#SBATCH --ntasks=4\n{ cd ${n}; }\nsrun engine {more}\n"
        );
    }
}
