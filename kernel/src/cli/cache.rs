//! `phalanx cache`: the contents of the cache folder, and their removal.

use anyhow::Context;
use phalanx_evaluator::{CacheEntry, cache_entries, cache_folder, cache_limit, clean_cache};
use std::time::SystemTime;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// Subcommands of `phalanx cache`.
#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub(super) enum CacheCommand {
    /// Remove everything that no running kernel is using; it is rebuilt when needed.
    Clean,
}

/// Prints the contents of the cache, or removes them.
pub(super) fn run(command: Option<CacheCommand>) -> anyhow::Result<()> {
    let cache = cache_folder()?;
    if let Some(CacheCommand::Clean) = command {
        let removed = clean_cache(&cache, 0).context("the cache could not be cleaned")?;
        for entry in &removed {
            println!("removed {}", line(entry));
        }
        println!("{} MiB removed", mebibytes(&removed));
    }
    let entries =
        cache_entries(&cache).with_context(|| format!("{} cannot be read", cache.display()))?;
    if command.is_none() {
        for entry in &entries {
            println!("{}", line(entry));
        }
    }
    println!(
        "{}: {} MiB of at most {} MiB (PHALANX_CACHE_LIMIT)",
        cache.display(),
        mebibytes(&entries),
        cache_limit() >> 20
    );
    Ok(())
}

fn mebibytes(entries: &[CacheEntry]) -> u64 {
    entries.iter().map(|entry| entry.size).sum::<u64>() >> 20
}

fn line(entry: &CacheEntry) -> String {
    let age = SystemTime::now()
        .duration_since(entry.used)
        .unwrap_or_default();
    let used = match (entry.in_use, age.as_secs() / SECONDS_A_DAY) {
        (true, _) => "in use".to_owned(),
        (false, 0) => "used today".to_owned(),
        (false, 1) => "used yesterday".to_owned(),
        (false, days) => format!("used {days} days ago"),
    };
    format!(
        "{:>7} MiB  {used:18} {}",
        entry.size >> 20,
        entry.path.display()
    )
}
