//! `%prof`: profiles code, locally or on engines.

use super::px;
use super::tools::ToolRun;
use crate::cell::RustText;
use crate::context::CellContext;
use crate::magic::{Blocking, MagicName, MagicSuffix, PxOptions, Targets, Tool};
use crate::report::Fault;
use crate::run::error::CellError;
use crate::run::{Services, body};
use crate::source_map::SourceMap;
use std::ops::Range;

/// Starts the profiler. Fixed code, so that it is compiled once for all profiles.
const BEGIN: &str = "phalanx::__magic::profile_begin();";

/// Shows the profile.
const END: &str = "phalanx::__magic::profile_end();";

pub(super) async fn prof(
    services: &Services,
    context: &CellContext,
    run: ToolRun<'_>,
) -> Result<(), Fault> {
    let ToolRun {
        tool: Tool::Profile(profile),
        body: cell_body,
        location,
        start,
        magic_context,
        ..
    } = run
    else {
        return Ok(());
    };
    let code = start + profile.code.start..start + profile.code.end;
    let text = cell_body.unwrap_or_else(|| RustText {
        source: location.text[code.clone()].to_owned(),
        map: SourceMap::starting_at(&location.text, code.start),
    });
    if text.source.trim().is_empty() {
        return Err(Fault::at(CellError::NoCode(MagicName::Prof), location));
    }
    match profile.targets {
        None => {
            let text = body::prepare(services.dependencies(), context, text, &location).await?;
            let local = services.local();
            let at = |failure| Fault::at(failure, location.clone());
            local
                .evaluate(context, BEGIN.to_owned())
                .await
                .map_err(at)?;
            let ran = services.local_cells().evaluate(context, text).await;
            // Code that has failed is reported as well.
            local.evaluate(context, END.to_owned()).await.map_err(at)?;
            ran
        }
        Some(targets) => {
            let on_engines = |text| px::PxRun {
                suffix: MagicSuffix::default(),
                options: options(targets.clone()),
                text,
                location: location.clone(),
                start,
                magic_context,
            };
            px::run_px(services, context, on_engines(whole(BEGIN))).await?;
            let ran = px::run_px(services, context, on_engines(text)).await;
            px::run_px(services, context, on_engines(whole(END))).await?;
            ran.map(drop)
        }
    }
}

fn options(targets: (Targets, Range<usize>)) -> PxOptions {
    PxOptions {
        targets: Some(targets),
        blocking: Some(Blocking::Wait),
        ..PxOptions::default()
    }
}

fn whole(source: &str) -> RustText {
    RustText {
        source: source.to_owned(),
        map: SourceMap::starting_at(source, 0),
    }
}
