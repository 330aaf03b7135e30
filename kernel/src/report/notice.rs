//! What a cell is told on the way, while it goes on.

/// Something the user should know of that is no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The cell defines the types of these variables anew, so they were dropped before it ran.
    Dropped(Vec<String>),
    /// The types of these variables have changed with the dependencies, so they are gone.
    Lost(Vec<String>),
}

/// Tells it, in a line for stderr.
pub fn notice(notice: &Notice) -> String {
    let (what, names) = match notice {
        Notice::Dropped(names) => ("dropped, because this cell defines their types anew", names),
        Notice::Lost(names) => ("lost, because their types have changed", names),
    };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{what}: {}\n", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named() {
        let told = notice(&Notice::Dropped(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(
            told,
            "dropped, because this cell defines their types anew: `a`, `b`\n"
        );
    }
}
