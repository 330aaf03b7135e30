//! The notices about a compiled cell, each with the engines that it concerns. Pure.

use crate::cell::sets_allocator;
use crate::context::reported_unkept;
use crate::parallel::compile::Compilation;
use crate::report::Notice;
use phalanx_protocol::evaluator::DroppedVariables;
use phalanx_protocol::id::{EngineId, StateId};
use std::collections::{BTreeSet, HashMap};

/// Returns the notices about a cell that was compiled once for each state; `engines` are its
/// engines with their states.
pub(super) fn notices(
    source: &str,
    engines: &[(EngineId, StateId)],
    compiled: &HashMap<StateId, Compilation>,
) -> Vec<Notice> {
    let allocator = sets_allocator(source).then_some(Notice::Allocator);
    let mut notices: Vec<Notice> = allocator.into_iter().collect();
    let concerned = |is_concerned: &dyn Fn(&Compilation) -> bool| {
        let is_concerned = |base: &StateId| compiled.get(base).is_some_and(is_concerned);
        let concerned = engines.iter().filter(|(_, base)| is_concerned(base));
        concerned.map(|(id, _)| *id).collect::<Vec<EngineId>>()
    };
    if let Some(dropped) = dropped(compiled) {
        let drops = |compilation: &Compilation| {
            let cell = compilation.cell.as_ref();
            cell.is_some_and(|cell| !cell.dropped.names.is_empty())
        };
        let dropped = Box::new(Notice::Dropped(dropped));
        notices.push(Notice::OnEngines(concerned(&drops), dropped));
    }
    let mut misfits: Vec<&Notice> = Vec::new();
    for misfit in compiled.values().flat_map(|made| &made.misfits) {
        if !misfits.contains(&misfit) {
            misfits.push(misfit);
        }
    }
    notices.extend(misfits.into_iter().map(|misfit| {
        let engines = concerned(&|compilation| compilation.misfits.contains(misfit));
        Notice::OnEngines(engines, Box::new(misfit.clone()))
    }));
    let cells = compiled.values().filter_map(|made| made.cell.as_ref());
    let unkept: BTreeSet<_> = cells.flat_map(|cell| cell.unkept.iter().cloned()).collect();
    let reported = reported_unkept(source, &Vec::from_iter(unkept));
    if !reported.is_empty() {
        notices.push(Notice::Unkept(reported));
    }
    notices
}

/// Returns the variables that are dropped on any engine before the cell runs.
fn dropped(compiled: &HashMap<StateId, Compilation>) -> Option<DroppedVariables> {
    let cells = compiled.values().filter_map(|made| made.cell.as_ref());
    let mut names = BTreeSet::new();
    let mut rebuilt = BTreeSet::new();
    for cell in cells {
        names.extend(cell.dropped.names.iter().cloned());
        rebuilt.extend(cell.dropped.rebuilt.iter().cloned());
    }
    (!names.is_empty()).then(|| DroppedVariables {
        names: names.into_iter().collect(),
        rebuilt: rebuilt.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::compile::tests::compilation;
    use phalanx_protocol::evaluator::{CompiledCell, UnkeptReason, UnkeptVariable};

    fn compiled(base: &str, cell: CompiledCell, misfits: Vec<Notice>) -> (StateId, Compilation) {
        let compilation = Compilation {
            cell: Some(cell),
            misfits,
            ..compilation(base, "next")
        };
        (StateId::new(base), compilation)
    }

    #[test]
    fn each_notice_names_the_engines_in_the_states_that_it_concerns() {
        let dropping = |names: &[&str]| CompiledCell {
            dropped: DroppedVariables {
                names: names.iter().copied().map(str::to_owned).collect(),
                rebuilt: Vec::new(),
            },
            unkept: vec![UnkeptVariable {
                name: "f".to_owned(),
                reason: UnkeptReason::Closure,
            }],
            ..CompiledCell::default()
        };
        let misfit = Notice::Misfit {
            item: "fn f() {".to_owned(),
            cell: "In[1]".to_owned(),
            redefined: "M".to_owned(),
        };
        let compiled = HashMap::from([
            compiled("a", dropping(&["v", "w"]), Vec::new()),
            compiled("b", dropping(&["v"]), vec![misfit.clone()]),
            compiled("c", dropping(&[]), vec![misfit.clone()]),
        ]);
        let engines = [(0, "a"), (1, "b"), (2, "c"), (3, "b")];
        let engines = engines.map(|(id, base)| (EngineId(id), StateId::new(base)));
        let ids = |ids: &[u32]| ids.iter().copied().map(EngineId).collect::<Vec<_>>();
        let dropped = Notice::Dropped(dropping(&["v", "w"]).dropped);
        assert_eq!(
            notices("let x = 1;", &engines, &compiled),
            [
                Notice::OnEngines(ids(&[0, 1, 3]), Box::new(dropped)),
                Notice::OnEngines(ids(&[1, 2, 3]), Box::new(misfit)),
                Notice::Unkept(dropping(&[]).unkept),
            ]
        );
    }
}
