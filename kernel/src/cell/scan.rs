//! Finds magics, `:` commands and `!` shell lines in a cell.
//!
//! The cell is tokenized by rustc's lexer, so that strings, comments, lifetimes and characters are
//! recognized as rustc does. A mark is recognized only where a statement may start.

use crate::command::table;
use ra_ap_rustc_lexer::{Cursor, FrontmatterAllowed, Token, TokenKind, is_id_start};
use std::ops::Range;

/// A part of a cell that is not Rust; its span excludes the end of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScanMark {
    pub kind: ScanMarkKind,
    pub span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanMarkKind {
    /// A line magic that is a statement outside all blocks.
    TopMagic,
    /// A line magic that is a statement in a block.
    InnerMagic,
    /// A line magic as a value: `let ar = %px …;`.
    ValueMagic,
    /// A `:command`.
    Command,
    /// A `!` shell line.
    Shell,
}

/// The state at the end of a cell's Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RustEnding {
    /// No bracket or token is open.
    Whole,
    /// The number of open brackets.
    Open(usize),
    /// A string or comment is not terminated.
    InToken,
    /// A closing bracket has no opening one, or a token is not valid Rust.
    Invalid,
}

/// The marks of a cell in order, and the state at the end of its Rust.
#[derive(Debug)]
pub(super) struct Scan {
    pub marks: Vec<ScanMark>,
    pub ending: RustEnding,
}

/// Scans a cell. A line that negates one of `variables` is Rust.
pub(super) fn scan(source: &str, variables: &[String]) -> Scan {
    let mut scanner = Scanner {
        source,
        variables,
        at: 0,
        frames: vec![OpenBracket::new('{')],
        previous: None,
        marks: Vec::new(),
        ending: RustEnding::Whole,
    };
    scanner.run();
    if scanner.ending == RustEnding::Whole && scanner.frames.len() > 1 {
        scanner.ending = RustEnding::Open(scanner.frames.len() - 1);
    }
    Scan {
        marks: scanner.marks,
        ending: scanner.ending,
    }
}

/// Returns true if a text consists of whitespace and comments.
pub(super) fn is_blank(text: &str) -> bool {
    ra_ap_rustc_lexer::tokenize(text, FrontmatterAllowed::No).all(|token| is_trivia(token.kind))
}

/// Returns the position of a cell's first token other than whitespace and comments, if any.
pub(super) fn code_start(cell: &str) -> Option<usize> {
    let mut start = 0;
    for token in ra_ap_rustc_lexer::tokenize(cell, FrontmatterAllowed::No) {
        if !is_trivia(token.kind) {
            return Some(start);
        }
        start += token.len as usize;
    }
    None
}

pub(super) fn is_trivia(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Whitespace
            | TokenKind::LineComment { .. }
            | TokenKind::BlockComment {
                terminated: true,
                ..
            }
    )
}

/// An open bracket, and the state of the statement within it.
struct OpenBracket {
    open: char,
    statement: Statement,
}

impl OpenBracket {
    fn new(open: char) -> Self {
        Self {
            open,
            statement: Statement::Start,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Statement {
    /// The next token starts a statement.
    Start,
    /// In a statement that a block ends: an item, an `if`, a `for`.
    Within,
    /// In a statement that a `;` ends: a `let`, an assignment.
    Value,
}

struct Scanner<'a> {
    source: &'a str,
    variables: &'a [String],
    at: usize,
    /// The open brackets; the first one stands for the cell itself.
    frames: Vec<OpenBracket>,
    /// The last token other than whitespace and comments.
    previous: Option<(TokenKind, Range<usize>)>,
    marks: Vec<ScanMark>,
    ending: RustEnding,
}

impl Scanner<'_> {
    fn run(&mut self) {
        while self.at < self.source.len() {
            let mut cursor = Cursor::new(&self.source[self.at..], FrontmatterAllowed::No);
            // The lexer restarts after each mark, since a mark's text need not be valid Rust.
            loop {
                let token = cursor.advance_token();
                if token.kind == TokenKind::Eof {
                    self.at = self.source.len();
                    return;
                }
                if let Some(kind) = self.mark_at(&token) {
                    let end = line_end(self.source, self.at);
                    let trimmed = self.source[self.at..end].trim_end().len();
                    self.marks.push(ScanMark {
                        kind,
                        span: self.at..self.at + trimmed,
                    });
                    self.after_mark(kind, trimmed);
                    self.at = end;
                    break;
                }
                self.token(&token);
                self.at += token.len as usize;
            }
        }
    }

    fn top(&self) -> (&OpenBracket, usize) {
        let depth = self.frames.len() - 1;
        (&self.frames[depth], depth)
    }

    /// Returns the kind of mark that starts with this token, if one does.
    fn mark_at(&self, token: &Token) -> Option<ScanMarkKind> {
        let after = self.source[self.at..].chars().nth(1);
        let named = after.is_some_and(is_id_start);
        let (frame, depth) = self.top();
        let may_start =
            frame.open == '{' && frame.statement == Statement::Start && self.first_on_line();
        match token.kind {
            TokenKind::Percent if named && may_start && depth == 0 => Some(ScanMarkKind::TopMagic),
            TokenKind::Percent if named && may_start => Some(ScanMarkKind::InnerMagic),
            TokenKind::Percent if named && self.after_assignment() => {
                Some(ScanMarkKind::ValueMagic)
            }
            // A cell magic below the cell's first line: an error, which the magic's parser reports.
            TokenKind::Percent if after == Some('%') && may_start && depth == 0 => {
                let name = self.source[self.at..].chars().nth(2);
                name.is_some_and(is_id_start)
                    .then_some(ScanMarkKind::TopMagic)
            }
            TokenKind::Colon if named && may_start && depth == 0 => Some(ScanMarkKind::Command),
            TokenKind::Colon if named && depth == 0 && self.behind_expression() => {
                Some(ScanMarkKind::Command)
            }
            TokenKind::Bang
                if may_start
                    && depth == 0
                    && after.is_some_and(|c| c != '\n')
                    && !self.negates() =>
            {
                Some(ScanMarkKind::Shell)
            }
            _ => None,
        }
    }

    /// Returns true if the line negates a boolean or a variable: `!done`, `!true && …`.
    fn negates(&self) -> bool {
        let line = &self.source[self.at..line_end(self.source, self.at)];
        let line = line.trim_start_matches('!').trim_start();
        let of_name = |c: char| c.is_alphanumeric() || c == '_';
        let (word, rest) = line.split_at(line.find(|c| !of_name(c)).unwrap_or(line.len()));
        let is_literal = matches!(word, "true" | "false");
        if !is_literal && !self.is_variable(word) {
            return false;
        }
        let rest = rest.trim();
        // Arguments after the word would make it a program's name.
        let operators = [";", "&&", "||", "==", "!=", ".", "[", "^", "//"];
        rest.is_empty() || operators.iter().any(|operator| rest.starts_with(operator))
    }

    /// Returns true if `word` is a variable of earlier cells or of a `let` above.
    fn is_variable(&self, word: &str) -> bool {
        if self.variables.iter().any(|variable| variable == word) {
            return true;
        }
        let before = &self.source[..self.at];
        let mut lets = before.match_indices("let ").map(|(at, found)| {
            let name = before[at + found.len()..].trim_start();
            name.strip_prefix("mut ").unwrap_or(name).trim_start()
        });
        !word.is_empty()
            && lets.any(|name| {
                let rest = name.strip_prefix(word);
                rest.is_some_and(|rest| rest.trim_start().starts_with(['=', ':']))
            })
    }

    fn first_on_line(&self) -> bool {
        let start = self.source[..self.at].rfind('\n').map_or(0, |at| at + 1);
        self.source[start..self.at].trim().is_empty()
    }

    /// Returns true if a line after an expression without `;` starts with an existing command. The
    /// name is checked, since Rust allows such a line too (`trait A` followed by `:B`).
    fn behind_expression(&self) -> bool {
        let line = &self.source[self.at..line_end(self.source, self.at)];
        let name = line.split(char::is_whitespace).next().unwrap_or_default();
        let within = self.top().0.statement == Statement::Within;
        within && self.first_on_line() && table::find(name).is_some()
    }

    /// Returns true if the last token is an assigning `=`, the only token after which Rust does not
    /// allow `%`.
    fn after_assignment(&self) -> bool {
        let Some((TokenKind::Eq, span)) = &self.previous else {
            return false;
        };
        let before = self.source[..span.start].chars().next_back();
        !before.is_some_and(|c| "=<>!+-*/%&|^".contains(c))
    }

    fn after_mark(&mut self, kind: ScanMarkKind, length: usize) {
        let span = self.at..self.at + length;
        let ends_statement =
            kind != ScanMarkKind::ValueMagic || self.source[span.clone()].ends_with(';');
        if let Some(frame) = self.frames.last_mut() {
            frame.statement = if ends_statement {
                Statement::Start
            } else {
                Statement::Value
            };
        }
        self.previous = Some((TokenKind::Percent, span));
    }

    fn token(&mut self, token: &Token) {
        let span = self.at..self.at + token.len as usize;
        match token.kind {
            TokenKind::OpenBrace => self.open('{'),
            TokenKind::OpenParen => self.open('('),
            TokenKind::OpenBracket => self.open('['),
            TokenKind::CloseBrace => self.close('{'),
            TokenKind::CloseParen => self.close('('),
            TokenKind::CloseBracket => self.close('['),
            TokenKind::Semi => self.set(Statement::Start),
            TokenKind::BlockComment {
                terminated: false, ..
            } => self.ending = RustEnding::InToken,
            TokenKind::Literal { kind, .. } => {
                self.within();
                self.literal(kind);
            }
            TokenKind::Eq if self.is_assignment(&span) => self.set(Statement::Value),
            TokenKind::Ident => {
                let value = matches!(
                    &self.source[span.clone()],
                    "let" | "const" | "static" | "return" | "break"
                );
                let starts = self.top().0.statement == Statement::Start;
                if starts && value {
                    self.set(Statement::Value);
                } else {
                    self.within();
                }
            }
            kind if is_trivia(kind) => return,
            _ => self.within(),
        }
        self.previous = Some((token.kind, span));
    }

    fn literal(&mut self, kind: ra_ap_rustc_lexer::LiteralKind) {
        use ra_ap_rustc_lexer::LiteralKind::*;
        let open = match kind {
            Str { terminated } | ByteStr { terminated } | CStr { terminated } => !terminated,
            RawStr { n_hashes } | RawByteStr { n_hashes } | RawCStr { n_hashes } => {
                n_hashes.is_none()
            }
            _ => false,
        };
        if open {
            self.ending = RustEnding::InToken;
        }
    }

    fn is_assignment(&self, span: &Range<usize>) -> bool {
        let before = self.source[..span.start].chars().next_back();
        let after = self.source[span.end..].chars().next();
        !before.is_some_and(|c| "=<>!".contains(c)) && !after.is_some_and(|c| "=>".contains(c))
    }

    fn open(&mut self, bracket: char) {
        self.within();
        self.frames.push(OpenBracket::new(bracket));
    }

    fn close(&mut self, open: char) {
        if self.frames.len() == 1 || self.top().0.open != open {
            self.ending = RustEnding::Invalid;
            return;
        }
        self.frames.pop();
        if open == '{' && self.top().0.statement != Statement::Value {
            self.set(Statement::Start);
        }
    }

    fn within(&mut self) {
        if self.top().0.statement == Statement::Start {
            self.set(Statement::Within);
        }
    }

    fn set(&mut self, statement: Statement) {
        if let Some(frame) = self.frames.last_mut() {
            frame.statement = statement;
        }
    }
}

/// Returns the offset of the end of the line that contains `at`, excluding its newline.
pub(super) fn line_end(source: &str, at: usize) -> usize {
    source[at..].find('\n').map_or(source.len(), |n| at + n)
}
