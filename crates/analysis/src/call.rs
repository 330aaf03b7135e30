//! The call whose arguments surround a position, for the signature of its function.

use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxKind, SyntaxToken, T};

/// Returns the end of the name that a query at an offset is about: that of the innermost function,
/// method or macro called around it, unless the offset is at a name itself.
pub(crate) fn subject(source: &str, offset: usize) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let (before, behind) = source.split_at_checked(offset).unwrap_or((source, ""));
    let mut name = before.trim_end_matches(is_name).len()..before.len();
    name.end += behind.len() - behind.trim_start_matches(is_name).len();
    let name = source.get(name).unwrap_or_default();
    if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return offset;
    }
    callee(source, offset).unwrap_or(offset)
}

/// Returns the end of the name of the function that is called around an offset. The call may be
/// incomplete, so its brackets are counted instead of parsed.
fn callee(source: &str, offset: usize) -> Option<usize> {
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    let tokens = parsed.tree().syntax().descendants_with_tokens();
    let tokens = tokens.filter_map(|element| element.into_token());
    let tokens = tokens.filter(|token| !token.kind().is_trivia());
    let before = tokens.take_while(|token| usize::from(token.text_range().end()) <= offset);
    let before: Vec<SyntaxToken> = before.collect();
    let mut depth = 0_usize;
    for (at, token) in before.iter().enumerate().rev() {
        match token.kind() {
            T![')'] | T![']'] | T!['}'] => depth += 1,
            T!['('] | T!['['] | T!['{'] if depth > 0 => depth -= 1,
            // The statements of a block are not arguments.
            T!['{'] if !is_macro(before.get(..at)?) => return None,
            T!['('] | T!['['] | T!['{'] => {
                if let Some(name) = called(before.get(..at)?, token.kind()) {
                    return Some(name.text_range().end().into());
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns true if a macro's bracket follows.
fn is_macro(before: &[SyntaxToken]) -> bool {
    matches!(before, [.., name, mark] if name.kind() == SyntaxKind::IDENT && mark.kind() == T![!])
}

/// Returns the name of the function or macro whose bracket follows.
fn called(before: &[SyntaxToken], bracket: SyntaxKind) -> Option<&SyntaxToken> {
    let before = match before {
        [name @ .., mark] if mark.kind() == T![!] => return name.last().filter(is_ident),
        _ if bracket != T!['('] => return None,
        [.., angle] if angle.kind() == T![>] => without_generics(before)?,
        before => before,
    };
    let (name, before) = before.split_last()?;
    // `fn f(` is a definition.
    let is_definition = before.last().is_some_and(|token| token.kind() == T![fn]);
    (is_ident(&name) && !is_definition).then_some(name)
}

fn is_ident(token: &&SyntaxToken) -> bool {
    token.kind() == SyntaxKind::IDENT
}

/// Returns the tokens before `::<…>`, which ends here.
fn without_generics(before: &[SyntaxToken]) -> Option<&[SyntaxToken]> {
    let mut depth = 0_usize;
    for (at, token) in before.iter().enumerate().rev() {
        match token.kind() {
            T![>] => depth += 1,
            T![<] => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let (colons, before) = before.get(..at)?.split_last()?;
            return (colons.kind() == T![::]).then_some(before);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text up to the subject at the `|` of a cell.
    fn subject_of(cell: &str) -> String {
        let offset = cell.find('|').unwrap();
        let source = cell.replacen('|', "", 1);
        source[..subject(&source, offset)].to_owned()
    }

    #[test]
    fn the_innermost_call_around_a_position_is_its_subject() {
        for (cell, expected) in [
            ("double(|", "double"),
            ("double(3|", "double"),
            ("double(3, |", "double"),
            ("double(3, |)", "double"),
            ("let größe = 1; v.push(|", "let größe = 1; v.push"),
            ("println!(|", "println"),
            ("println!(\"{}\", |)", "println"),
            ("vec![1, |]", "vec"),
            ("Vec::<i32>::with_capacity(|", "Vec::<i32>::with_capacity"),
            ("it.collect::<Vec<u8>>(|", "it.collect"),
            ("f(1, g(2), |", "f"),
            ("f(g(|", "f(g"),
            ("f((1 + 2) * |", "f"),
            ("f([1, |", "f"),
            ("a.b()?.all(|", "a.b()?.all"),
        ] {
            assert_eq!(subject_of(cell), expected, "{cell}");
        }
    }

    #[test]
    fn names_and_positions_outside_of_calls_are_their_own_subjects() {
        for cell in [
            "double|(3)",
            "double(größe|",
            "double(gr|öße)",
            "double(3)|",
            "fn double(|",
            "if (|",
            "v.map(|x| { |",
            "let a = |",
            "fn f() { |",
            "|",
        ] {
            // The last bar is the position.
            let offset = cell.rfind('|').unwrap();
            let source = format!("{}{}", &cell[..offset], &cell[offset + 1..]);
            assert_eq!(subject(&source, offset), offset, "{cell}");
        }
    }
}
