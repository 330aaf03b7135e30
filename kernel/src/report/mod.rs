//! Everything a user reads: outputs as iopub messages, failures as `error` messages.
//!
//! | file | what |
//! |---|---|
//! | `colours.rs` | the colours of messages |
//! | `fault.rs` | a failure together with the text it is about |
//! | `error.rs` | the one door from a failure to `ename`, `evalue`, `traceback` and a hint |
//! | `notice.rs` | what a cell is told while it goes on |
//! | `page.rs` | pages of help, as text and HTML |
//! | `snippet.rs` | source lines with what is wrong in them |
//! | `output.rs` | outputs as the messages that carry them |
//! | `terminal.rs` | bars, in consoles |

mod colours;
mod error;
mod fault;
mod notice;
pub mod output;
mod page;
mod snippet;
mod terminal;

pub use error::{ErrorReport, elsewhere, line_of, report};
pub use fault::{Fault, FaultSource};
pub use notice::{Notice, notice};
pub use page::PageWriter;
pub use terminal::Terminal;
