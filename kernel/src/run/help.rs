//! `?name`: a page of help.

use super::{CellContext, Services, analyse};
use crate::cell::HelpTopic;
use crate::magic::{help, name};
use phalanx_protocol::output::StreamName;

/// Shows what is known of a name.
pub async fn show(services: &Services, context: &CellContext, topic: &HelpTopic) {
    let magic = topic.name.trim_start_matches('%');
    let suffixes = services.sets().suffixes();
    let page = if let Some((name, _)) = name::resolve(magic, &suffixes) {
        Some(help::help(name))
    } else {
        // The last name of a path is what is asked for.
        let last = topic.name.rfind([':', '.']).map_or(0, |at| at + 1);
        analyse::describe(services, &topic.name, last, topic.source).await
    };
    match page {
        Some(page) => context.outlet().page(page),
        None => {
            let text = format!("Nothing is known of `{}`.\n", topic.name);
            context.outlet().text(StreamName::Stdout, text).await;
        }
    }
}
