pub use crate::{
    AsyncResult, DisplayHandle, EngineId, GroupBy, MimeBundle, clear_output, display, engine_id,
    html, json, latex, markdown, png, progress, svg,
};
