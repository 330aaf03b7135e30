//! `%timeit`: code repeated and measured by the library, locally or on engines.

use super::px;
use super::tools::ToolRun;
use crate::cell::RustText;
use crate::context::CellContext;
use crate::magic::{Blocking, MagicName, MagicSuffix, PxOptions, TimeIt, Tool};
use crate::report::Fault;
use crate::run::error::CellError;
use crate::run::{Services, body};
use crate::source_map::SourceMap;

pub(super) async fn timeit(
    services: &Services,
    context: &CellContext,
    run: ToolRun<'_>,
) -> Result<(), Fault> {
    let ToolRun {
        tool: Tool::TimeIt(timeit),
        body: cell_body,
        location,
        start,
        magic_context,
        ..
    } = run
    else {
        return Ok(());
    };
    let code = start + timeit.code.start..start + timeit.code.end;
    let whole = &*location.text;
    // The body of a cell magic follows its line.
    let (setup, end) = match &cell_body {
        Some(_) => (code.len(), whole.len()),
        None => (0, code.end),
    };
    if whole[code.start + setup..end].trim().is_empty() {
        return Err(Fault::at(CellError::NoCode(MagicName::TimeIt), location));
    }
    let text = RustText {
        source: whole[code.start..end].to_owned(),
        map: SourceMap::starting_at(whole, code.start),
    };
    let text = measured(text, setup, &timeit);
    let Some(targets) = timeit.targets else {
        let text = body::prepare(services.dependencies(), context, text, &location).await?;
        return services.local_cells().evaluate(context, text).await;
    };
    let run = px::PxRun {
        suffix: MagicSuffix::default(),
        options: PxOptions {
            targets: Some(targets),
            blocking: Some(Blocking::Wait),
            ..PxOptions::default()
        },
        text,
        location,
        start,
        magic_context,
    };
    px::run_px(services, context, run).await.map(drop)
}

/// Wraps the text in a block: its first `setup` bytes run once, the rest is measured.
fn measured(text: RustText, setup: usize, timeit: &TimeIt) -> RustText {
    let TimeIt { loops, runs, .. } = timeit;
    let begin = format!(" phalanx::__magic::timeit({loops:?}, {runs:?}, || {{");
    let RustText { source, mut map } = text;
    let (before, code) = source.split_at(setup);
    let mut measured = String::new();
    let mut insert = |measured: &mut String, text: &str| {
        map.add_inserted(measured, text);
        measured.push_str(text);
    };
    insert(&mut measured, "{");
    measured.push_str(before);
    insert(&mut measured, &begin);
    measured.push_str(code);
    // The newline ends a trailing comment.
    measured.push_str("\n}) }");
    RustText {
        source: measured,
        map,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_repeated_but_not_the_setup() {
        let cell = "%%timeit let n = 3;\nf(n)";
        let text = RustText {
            source: cell[9..].to_owned(),
            map: SourceMap::starting_at(cell, 9),
        };
        let timeit = TimeIt {
            loops: Some(5),
            ..TimeIt::default()
        };
        let text = measured(text, 10, &timeit);
        assert_eq!(
            text.source,
            "{let n = 3; phalanx::__magic::timeit(Some(5), None, || {\nf(n)\n}) }"
        );
    }
}
