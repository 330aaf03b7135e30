//! Text for users: outputs as iopub messages, failures as `error` messages.
//!
//! | file | contents |
//! |---|---|
//! | `colours.rs` | the colours of messages |
//! | `fault.rs` | a failure with its location |
//! | `error.rs` | conversion of failures to `ename`, `evalue`, `traceback` and a hint |
//! | `notice.rs` | notices to the user while a cell runs |
//! | `page.rs` | pages of help, as text and HTML |
//! | `snippet.rs` | source lines with marked errors |
//! | `output.rs` | outputs as iopub messages |
//! | `terminal.rs` | progress bars for consoles, which cannot update earlier output |
//! | `wrap.rs` | long messages, broken into lines between words |

mod colours;
mod error;
mod fault;
mod notice;
pub mod output;
mod page;
mod snippet;
mod terminal;
mod wrap;

pub use error::{ErrorReport, SILENT_HINT, last_lines, line_of, report, with_rendered_text};
pub use fault::{Fault, FaultSource};
pub use notice::{LeftOutCell, Notice, notice, unkept_reason};
pub use page::PageWriter;
pub use terminal::Terminal;
