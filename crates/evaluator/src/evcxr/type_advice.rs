//! rustc's advice to name a type, with a type in it instead of its parameters and placeholders:
//! `HashMap<String, f64>` for `HashMap<K, V>`.

/// rustc's advice about a variable, before its name, and about a path.
const GIVE: &str = "consider giving `";
const SPECIFY: [&str; 2] = [
    "consider specifying the generic argument",
    "consider specifying the type argument",
];

/// The part of an advice that names the parameters, which the cell does not.
const NAMED: (&str, &str) = (", where the ", " specified");

/// The part if the type has placeholders instead.
const PLACEHOLDERS: &str = "where the placeholders";

/// The part before the one parameter that rustc names.
const PARAMETER: &str = "type parameter `";

/// The names of parameters of the standard library's types.
const PARAMETERS: [&str; 4] = ["T", "K", "V", "E"];

/// The usual name of a parameter that is a number.
const NUMBER: &str = "N";

/// Types for a value, and for a key or an error.
const VALUE: &str = "f64";
const KEY: &str = "String";

/// Returns an advice with types; others are unchanged.
pub(super) fn with_types(help: &str) -> String {
    with_types_if_any(help).unwrap_or_else(|| help.to_owned())
}

fn with_types_if_any(help: &str) -> Option<String> {
    let end = [": `", ":\n"]
        .iter()
        .filter_map(|end| help.find(end))
        .min()?;
    let (message, example) = help.split_at(end);
    let mut filler = Filler::default();
    let example = match message.split_once(GIVE) {
        Some((_, rest)) => {
            let name = rest.split('`').next()?;
            filler.has_placeholders = message.contains(PLACEHOLDERS);
            let named = message.split_once(PARAMETER);
            filler.named = named.and_then(|(_, rest)| rest.split('`').next());
            let at = declared(example, name)?;
            let (before, rest) = example.split_at(at);
            let (ty, after) = rest.split_at(end_of_type(rest));
            format!("{before}{}{after}", filler.fill(ty, None))
        }
        None if SPECIFY.iter().any(|advice| message.contains(advice)) => {
            filler.has_any_name = true;
            let mut text = String::new();
            let mut rest = example;
            while let Some((before, after)) = rest.split_once("::<") {
                let path = before.rsplit(|c| !is_word(c)).next();
                let (arguments, after) = after.split_at(end_of_type(after));
                text += before;
                text += "::<";
                text += &filler.fill(arguments, path);
                rest = after;
            }
            text + rest
        }
        None => return None,
    };
    let around = message
        .split_once(NAMED.0)
        .and_then(|(before, after)| Some((before, after.split_once(NAMED.1)?.1)));
    let message = match around {
        Some((before, after)) => format!("{before}{after}"),
        None => message.to_owned(),
    };
    // With a parameter in it, what is shown would not compile.
    let is_complete = filler.is_filled && !filler.is_incomplete;
    is_complete.then(|| match example.contains('\n') {
        true => format!("{message}, for instance{example}"),
        false => format!("{message}{example}, for instance"),
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the offset of the type of a variable in the line that declares it.
fn declared(line: &str, name: &str) -> Option<usize> {
    let declaration = format!("{name}: ");
    let mut found = line.match_indices(&declaration);
    let whole = found.find(|(at, _)| !line[..*at].ends_with(is_word));
    whole.map(|(at, _)| at + declaration.len())
}

/// Returns the end of the type, or of the types in a list, that a text begins with.
fn end_of_type(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' if depth == 0 => return at,
            '>' | ')' | ']' => depth -= 1,
            '=' | '`' | '\n' if depth == 0 => return at,
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Replaces parameters and placeholders by types.
#[derive(Default)]
struct Filler<'a> {
    has_placeholders: bool,
    /// The parameter that rustc names.
    named: Option<&'a str>,
    /// True if parameters may have any name of one letter.
    has_any_name: bool,
    is_filled: bool,
    /// True if a letter was left that may be a parameter too.
    is_incomplete: bool,
}

impl Filler<'_> {
    /// Fills in the arguments of a type, or of the list behind `path`.
    fn fill(&mut self, ty: &str, path: Option<&str>) -> String {
        let mut text = String::new();
        // The types whose arguments a word is in, each with the number of arguments before it.
        let mut around: Vec<(&str, usize)> = path.map(|path| (path, 0)).into_iter().collect();
        let mut rest = ty;
        let mut last = "";
        while let Some(c) = rest.chars().next() {
            let length = match rest.find(|c| !is_word(c)).unwrap_or(rest.len()) {
                0 => c.len_utf8(),
                length => length,
            };
            let (word, behind) = rest.split_at(length);
            match word {
                "<" => around.push((last, 0)),
                "[" => around.push(("", 0)),
                ">" | "]" => drop(around.pop()),
                "," => {
                    if let Some((_, arguments)) = around.last_mut() {
                        *arguments += 1;
                    }
                }
                _ => {}
            }
            let example = around
                .last()
                .and_then(|(of, number)| self.is_open(word).then(|| example(of, word, *number)));
            self.is_filled |= example.is_some();
            self.is_incomplete |= example.is_none() && is_letter(word);
            text += example.unwrap_or(word);
            last = word;
            rest = behind;
        }
        text
    }

    /// Returns true for a word that rustc leaves to the user.
    fn is_open(&self, word: &str) -> bool {
        match word {
            "_" => self.has_placeholders,
            NUMBER => false,
            _ => {
                is_letter(word)
                    && (self.has_any_name || self.named == Some(word) || PARAMETERS.contains(&word))
            }
        }
    }
}

/// Returns true for the name of a parameter, or of a type of the notebook with such a name.
fn is_letter(word: &str) -> bool {
    word.len() == 1 && word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Returns a type for an argument of the type `of`; floats are no keys.
fn example(of: &str, parameter: &str, number: usize) -> &'static str {
    let is_key = of.ends_with("Map") && number == 0;
    let is_item = of.ends_with("Set") || of.ends_with("Heap");
    match parameter {
        "K" | "E" => KEY,
        _ if is_key || is_item => KEY,
        _ => VALUE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_has_types_that_compile() {
        for (help, expected) in [
            (
                "consider specifying the generic argument: `None::<T>`",
                "consider specifying the generic argument: `None::<f64>`, for instance",
            ),
            (
                "consider specifying the generic arguments: `let h: HashMap<_, i32> = HashMap::<K, i32>::new();`",
                "consider specifying the generic arguments: `let h: HashMap<_, i32> = HashMap::<String, i32>::new();`, for instance",
            ),
            (
                "consider giving `x` an explicit type, where the type for type parameter `T` is specified: `let x: Option<T> = None;`",
                "consider giving `x` an explicit type: `let x: Option<f64> = None;`, for instance",
            ),
            (
                "consider giving `leer` an explicit type, where the placeholders `_` are specified: `let mut leer: Vec<_> = vec![];`",
                "consider giving `leer` an explicit type: `let mut leer: Vec<f64> = vec![];`, for instance",
            ),
            (
                "consider giving `l` an explicit type, where the placeholders `_` are specified: `let l: [_; 0] = [];`",
                "consider giving `l` an explicit type: `let l: [f64; 0] = [];`, for instance",
            ),
            (
                "consider giving `p` an explicit type, where the placeholders `_` are specified: `let p: (Vec<_>, _) = (vec![], 1);`",
                "consider giving `p` an explicit type: `let p: (Vec<f64>, _) = (vec![], 1);`, for instance",
            ),
            (
                "consider giving `h` an explicit type, where the type for type parameter `K` is specified: `let mut h: HashMap<K, V> = HashMap::new();`",
                "consider giving `h` an explicit type: `let mut h: HashMap<String, f64> = HashMap::new();`, for instance",
            ),
            (
                "consider giving `s` an explicit type, where the type for type parameter `T` is specified: `let s: BTreeSet<T> = BTreeSet::new();`",
                "consider giving `s` an explicit type: `let s: BTreeSet<String> = BTreeSet::new();`, for instance",
            ),
            // A type of the notebook, and a generic function on the same line.
            (
                "consider giving `r` an explicit type, where the type for type parameter `E` is specified: `fn f<T>() { let r: Result<Place, E> = Ok(Place); }`",
                "consider giving `r` an explicit type: `fn f<T>() { let r: Result<Place, String> = Ok(Place); }`, for instance",
            ),
            (
                "consider giving `größe` an explicit type, where the type for type parameter `T` is specified:\nlet größe: Vec<T> =\n    Vec::new();",
                "consider giving `größe` an explicit type, for instance:\nlet größe: Vec<f64> =\n    Vec::new();",
            ),
        ] {
            assert_eq!(with_types(help), expected);
        }
    }

    #[test]
    fn other_advice_stays() {
        for help in [
            "consider specifying the generic argument: `v.iter().collect::<Vec<_>>()`",
            "consider giving `c` an explicit type: `let c: Vec<_> = (1..2).collect();`",
            "consider giving `b` an explicit type, where the type for type parameter `V` is specified: `let b: BTreeMap<_, _> = BTreeMap::<String, _>::new();`",
            "consider giving this closure parameter an explicit type: `|x: /* Type */| x`",
            "consider giving `p` an explicit type, where the type for type parameter `A` is specified: `let p: Pair<A, B> = Pair::new();`",
            "consider giving `m` an explicit type, where the type for type parameter `T` is specified: `let m: Matrix<T, Const<R>, Const<C>, ArrayStorage<T, R, C>> = SMatrix::zeros();`",
            "consider specifying the generic argument: `v.first_chunk::<N>()`",
            "use `Vec<T>` here",
            "use this: `Vec<T>`",
        ] {
            assert_eq!(with_types(help), help);
        }
    }
}
