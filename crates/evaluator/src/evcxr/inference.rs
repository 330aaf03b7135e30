//! The types of a cell's variables as inferred by rustc: while rust-analyzer is loading, and where
//! it finds none, as with procedural macros.
//!
//! rustc's messages abbreviate types, but its symbols do not: each variable is passed by reference
//! to a generic function, and the types are read from the symbols of its instances in the object
//! file.

use super::dependencies::Session;
use super::generated_crate::build_folder;
use super::misfits::{self, Misfits};
use super::public_paths;
use super::rustc_call::RustcCall;
use super::untyped::UntypedVariable;
use crate::type_names::{type_sources, with_paths};
use object::{Object, ObjectSymbol};
use phalanx_analysis::Scaffold;
use phalanx_protocol::analysis::{AnalyzedCell, InferredType, VariableType};
use phalanx_protocol::cell_crate::replace_cell_crate;
use phalanx_protocol::failure::EarlierItem;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the compiled crate, relative to that of evcxr's.
const FOLDER: &str = "target/phalanx-inference";

/// The function that variables are passed to, and the module with it and those that check types.
const PROBE: &str = "__phalanx_types::lent::<";
const FUNCTIONS: &str = "mod __phalanx_types {\n\
    #[inline(never)] pub fn lent<const N: usize, T: ?Sized>(_: &T) {}\n\
    pub fn is<T: ?Sized>(_: &T) {}\n\
    pub struct Nothing;\n\
    pub fn refused(_: &Nothing) {}\n}\n";

/// Names that every cell can use without a path, as rust-analyzer writes them; except `Result`,
/// which many crates shadow.
const PRELUDE: [(&str, &str); 4] = [
    ("std::vec::Vec<", "Vec<"),
    ("std::string::String", "String"),
    ("std::option::Option<", "Option<"),
    ("std::boxed::Box<", "Box<"),
];

/// Options for full type names in symbols, and for fast compilation.
const OPTIONS: [&str; 4] = [
    "-Csymbol-mangling-version=v0",
    "-Copt-level=0",
    "-Cdebuginfo=0",
    "-Clto=off",
];

/// The beginning of a closure's name in symbols, and of a callable trait object, which source
/// writes differently.
const CLOSURE: &str = "{closure#";
const CALLING: [&str; 3] = ["Fn<", "FnMut<", "FnOnce<"];

/// The errors that the type of a variable may mend.
const UNTYPED: [&str; 5] = ["E0282", "E0283", "E0284", "E0689", "E0790"];

/// The reason why rustc has inferred no types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotInferred {
    /// The cell has errors, none of which the type of a variable would mend.
    Errors,
    /// rustc needs types that it does not infer, or cannot be called as for the last cell.
    Unknown,
}

/// Returns the types of these variables of a cell, in order.
///
/// # Errors
/// Returns an error if the cell does not compile, or rustc cannot be called as for the last cell.
pub(super) fn infer(
    cell: &AnalyzedCell,
    variables: &[UntypedVariable],
) -> Result<Vec<VariableType>, NotInferred> {
    let folder = build_folder().ok_or(NotInferred::Unknown)?;
    let source_with = |function_of: &dyn Fn(usize) -> Option<String>| {
        let source = with_probes(&cell.source, variables, function_of);
        let cell = AnalyzedCell {
            source,
            ..cell.clone()
        };
        format!("{}{FUNCTIONS}", Scaffold::new(&cell).plain())
    };
    let rustc = Rustc::of(&folder, &cell.source).ok_or(NotInferred::Unknown)?;
    let object = rustc.compile(
        &source_with(&|index| Some(format!("lent::<{index}, _>"))),
        "obj",
        &OPTIONS,
    )?;
    let names_of = names(&fs::read(object).map_err(|_| NotInferred::Unknown)?);
    let mut candidates: Vec<Candidates> = (0..variables.len())
        .map(|index| Candidates::of(names_of.get(&index).map(String::as_str)))
        .collect();
    let count = candidates.iter().map(Candidates::count).max().unwrap_or(0);
    let compiles = |candidates: &[Candidates], choice: usize| {
        let function_of = |index: usize| match candidates.get(index)? {
            Candidates::Uncertain(sources) => Some(format!("is::<{}>", nth(sources, choice)?)),
            Candidates::Certain(_) => None,
        };
        rustc
            .compile(&source_with(&function_of), "metadata", &[])
            .is_ok()
    };
    let mut choice = (0..count).find(|choice| compiles(&candidates, *choice));
    if choice.is_none() && count > 0 {
        add_public_paths(&mut candidates, &names_of, &rustc, source_with)
            .ok_or(NotInferred::Unknown)?;
        choice = Some(usize::MAX).filter(|last| compiles(&candidates, *last));
    }
    let types = variables.iter().zip(candidates);
    let types = types.map(|(variable, candidates)| VariableType {
        name: variable.name.clone(),
        offset: variable.offset,
        ty: match candidates {
            Candidates::Certain(ty) => ty,
            Candidates::Uncertain(sources) => choice
                .and_then(|choice| nth(&sources, choice))
                .map_or(InferredType::Unknown, |ty| InferredType::Known(ty.clone())),
        },
    });
    Ok(types.collect())
}

/// Adds to each uncertain candidate its name with the public paths of its types, as the last one;
/// `source_with` makes the source in which the variable of an index is passed to a function.
fn add_public_paths(
    candidates: &mut [Candidates],
    names: &BTreeMap<usize, String>,
    rustc: &Rustc<'_>,
    source_with: impl Fn(&dyn Fn(usize) -> Option<String>) -> String,
) -> Option<()> {
    let uncertain = (0..).zip(candidates);
    let uncertain = uncertain.filter_map(|(index, candidates)| match candidates {
        Candidates::Uncertain(sources) => Some((index, names.get(&index)?, sources)),
        Candidates::Certain(_) => None,
    });
    let mut uncertain: Vec<_> = uncertain.collect();
    let paths = uncertain
        .iter()
        .flat_map(|(_, name, _)| unknown_paths(name));
    let paths: BTreeSet<&str> = paths.collect();
    let function_of = |index: usize| {
        let is_uncertain = uncertain.iter().any(|(uncertain, ..)| *uncertain == index);
        is_uncertain.then(|| public_paths::REJECTED.to_owned())
    };
    let probes = format!(
        "{}{}",
        source_with(&function_of),
        public_paths::probes(&paths)
    );
    let public = public_paths::public_paths(&paths, &rustc.messages(&probes)?);
    for (_, name, sources) in &mut uncertain {
        let named = with_paths(name, |path| {
            public.get(path).map_or(path, String::as_str).to_owned()
        });
        let source = type_sources(&named).into_iter().next();
        sources.push(short(&source.unwrap_or(named)));
    }
    Some(())
}

/// Returns the items that name some redefined types and do not compile; none if rustc cannot be
/// called as for the last cell.
pub(super) fn misfits(items: &str, redefined: &[String]) -> Vec<EarlierItem> {
    let Some(folder) = build_folder().filter(|_| !redefined.is_empty()) else {
        return Vec::new();
    };
    let Some(rustc) = Rustc::of(&folder, "") else {
        return Vec::new();
    };
    let cell = AnalyzedCell {
        items: vec![items.to_owned()],
        ..AnalyzedCell::default()
    };
    // The items that do not compile are in the record of misfits.
    let _ = rustc.compile(&Scaffold::new(&cell).plain(), "metadata", &[]);
    let misfits = rustc.misfits.borrow();
    let earlier = misfits.texts().map(|text| EarlierItem {
        lines: text.lines().next().unwrap_or_default().to_owned(),
        names: misfits::names_in(text),
    });
    earlier
        .filter(|item| redefined.iter().any(|name| item.names.contains(name)))
        .collect()
}

/// Returns the source of a cell whose variables are passed to the functions, each directly after
/// its statement.
fn with_probes(
    source: &str,
    variables: &[UntypedVariable],
    function: &dyn Fn(usize) -> Option<String>,
) -> String {
    let mut text = source.to_owned();
    for (index, variable) in variables.iter().enumerate().rev() {
        if let (Some(end), Some(function)) = (variable.value_end(), function(index)) {
            let name = &variable.name;
            text.insert_str(end, &format!(" __phalanx_types::{function}(&{name});"));
        }
    }
    text
}

/// The possible sources for a type's name.
enum Candidates {
    Certain(InferredType),
    /// Several possibilities, the most likely first.
    Uncertain(Vec<String>),
}

impl Candidates {
    fn of(name: Option<&str>) -> Self {
        let Some(name) = name else {
            return Self::Certain(InferredType::Unknown);
        };
        if name.contains(CLOSURE) {
            let is_whole = !name.contains(['<', '(', '[', '&']);
            return Self::Certain(match is_whole {
                true => InferredType::Closure,
                false => InferredType::Known(with_closures(name)),
            });
        }
        if CALLING.iter().any(|calling| name.contains(calling)) {
            return Self::Certain(InferredType::Unknown);
        }
        let sources = type_sources(name).into_iter();
        let mut sources: Vec<String> = sources.map(|source| short(&source)).collect();
        // Also for the standard library, only the paths of some types are known to be public.
        match sources.first() {
            Some(source) if is_known(name) => Self::Certain(InferredType::Known(source.clone())),
            _ => {
                sources.dedup();
                Self::Uncertain(sources)
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Certain(_) => 0,
            Self::Uncertain(sources) => sources.len(),
        }
    }
}

/// Returns the source with index `choice`, or the last one.
fn nth(sources: &[String], choice: usize) -> Option<&String> {
    sources.get(choice).or(sources.last())
}

/// Returns true if every path in a type's name is that of a type of the notebook, or one with a
/// known public path.
fn is_known(name: &str) -> bool {
    unknown_paths(name).next().is_none()
}

/// Returns the other paths in a type's name.
fn unknown_paths(name: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = name.split(move |c| !is_path(c));
    paths.filter(|path| {
        path.contains("::") && !path.starts_with("crate::") && !crate::type_names::is_public(path)
    })
}

/// Returns a type's name with closures written as in source; only for display, since source cannot
/// name them.
fn with_closures(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once(CLOSURE) {
        let path = before.rfind(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
        text.push_str(&before[..path.map_or(0, |index| index + 1)]);
        text.push_str("impl Fn");
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    short(&type_sources(&text).into_iter().next().unwrap_or(text))
}

/// Returns a type without the paths that a cell need not write.
fn short(source: &str) -> String {
    let source = source.replace("crate::", "");
    let prelude = PRELUDE.iter();
    prelude.fold(source, |source, (path, name)| source.replace(path, name))
}

/// Returns the types of the instances in an object file, by the number of the variable.
fn names(object: &[u8]) -> BTreeMap<usize, String> {
    let Ok(file) = object::File::parse(object) else {
        return BTreeMap::new();
    };
    let symbols = file.symbols().filter_map(|symbol| {
        let demangled = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
        let (_, arguments) = demangled.split_once(PROBE)?;
        let (number, name) = arguments.strip_suffix('>')?.split_once(", ")?;
        Some((number.parse().ok()?, replace_cell_crate(name, "crate::")))
    });
    symbols.collect()
}

/// The call of rustc for the last cell, applied to another crate.
struct Rustc<'a> {
    folder: &'a Path,
    session: Session,
    call: RustcCall,
    /// Items of earlier cells that do not compile.
    misfits: RefCell<Misfits>,
}

impl<'a> Rustc<'a> {
    fn of(folder: &'a Path, cell: &str) -> Option<Self> {
        let session = Session::read(folder);
        let call = RustcCall::recorded_in(folder, session.key())?;
        fs::create_dir_all(folder.join(FOLDER)).ok()?;
        let file = source_in(folder).display().to_string();
        Some(Self {
            folder,
            session,
            call,
            misfits: RefCell::new(Misfits::new(Some(cell.to_owned()), &file)),
        })
    }

    /// Compiles a source; returns the path of the product.
    fn compile(
        &self,
        source: &str,
        product: &str,
        options: &[&str],
    ) -> Result<PathBuf, NotInferred> {
        loop {
            let mut misfits = self.misfits.borrow_mut();
            let source = misfits.without(source);
            let (mut command, made) = self.command(&source, product).ok_or(NotInferred::Unknown)?;
            let output = command.args(options).output();
            let output = output.map_err(|_| NotInferred::Unknown)?;
            if output.status.success() {
                return Ok(made);
            }
            if !misfits.learn(&source, &output.stderr) {
                return Err(reason(&output.stderr));
            }
        }
    }

    /// Rustc's messages about a source.
    fn messages(&self, source: &str) -> Option<Vec<u8>> {
        let source = self.misfits.borrow().without(source);
        let (mut command, _) = self.command(&source, "metadata")?;
        command.args(public_paths::OPTIONS).stderr(Stdio::piped());
        Some(command.output().ok()?.stderr)
    }

    fn command(&self, source: &str, product: &str) -> Option<(Command, PathBuf)> {
        let (file, made) = (
            source_in(self.folder),
            self.folder.join(FOLDER).join(product),
        );
        fs::write(&file, self.session.with_reference(source)).ok()?;
        let mut command = self.call.command_for(&file, product, &made, &self.session);
        command.current_dir(self.folder).stdout(Stdio::null());
        Some((command, made))
    }
}

/// Returns the reason why a source with these errors has no types.
fn reason(messages: &[u8]) -> NotInferred {
    let mut codes = misfits::error_codes(messages).peekable();
    let are_certain = codes.peek().is_some() && codes.all(|code| !UNTYPED.contains(&code.as_str()));
    match are_certain {
        true => NotInferred::Errors,
        false => NotInferred::Unknown,
    }
}

/// Returns the file of the compiled crate.
fn source_in(folder: &Path) -> PathBuf {
    folder.join(FOLDER).join("lib.rs")
}

#[cfg(test)]
mod tests {
    use super::super::untyped::untyped;
    use super::*;

    #[test]
    fn variables_are_passed_after_their_statements() {
        let source = "let a = f();\nlet (b, mut ü) = g(); let d; d = 1; a";
        let text = with_probes(source, &untyped(source), &|index| {
            (index != 1).then(|| format!("lent::<{index}, _>"))
        });
        assert_eq!(
            text,
            "let a = f(); __phalanx_types::lent::<0, _>(&a);\nlet (b, mut ü) = g(); \
             __phalanx_types::lent::<2, _>(&ü); let d; d = 1; a"
        );
    }

    #[test]
    fn only_errors_that_types_mend_leave_types_unknown() {
        let message = |code: &str| {
            format!("{{\"level\":\"error\",\"code\":{{\"code\":\"{code}\"}},\"spans\":[{{}}]}}\n")
        };
        let reason_of = |codes: &[&str]| {
            reason(
                codes
                    .iter()
                    .map(|code| message(code))
                    .collect::<String>()
                    .as_bytes(),
            )
        };
        assert_eq!(reason_of(&["E0308"]), NotInferred::Errors);
        assert_eq!(reason_of(&["E0425", "E0689"]), NotInferred::Unknown);
        assert_eq!(reason_of(&[]), NotInferred::Unknown);
    }

    #[test]
    fn names_in_symbols_become_source() {
        let certain = |name: &str| match Candidates::of(Some(name)) {
            Candidates::Certain(ty) => ty,
            Candidates::Uncertain(sources) => panic!("{sources:?}"),
        };
        for (name, source) in [
            ("u64", "u64"),
            ("&str", "&str"),
            (
                "alloc::vec::Vec<crate::shapes::Größe>",
                "Vec<shapes::Größe>",
            ),
            (
                "core::iter::adapters::map::Map<core::ops::range::Range<i32>, crate::__phalanx_cell::{closure#0}>",
                "std::iter::adapters::map::Map<std::ops::Range<i32>, impl Fn>",
            ),
        ] {
            assert_eq!(certain(name), InferredType::Known(source.to_owned()));
        }
        assert_eq!(
            certain("crate::__phalanx_cell::{closure#1}"),
            InferredType::Closure
        );
        let calling = "alloc::boxed::Box<dyn core::ops::function::Fn<(u8,), Output = u8>>";
        assert_eq!(certain(calling), InferredType::Unknown);
        for uncertain in [
            "core::slice::iter::Iter<u8>",
            "nalgebra::base::matrix::Matrix<f64>",
        ] {
            let candidates = Candidates::of(Some(uncertain));
            assert!(
                matches!(candidates, Candidates::Uncertain(_)),
                "{uncertain}"
            );
        }
    }
}
