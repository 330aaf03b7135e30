pub use crate::{
    AsyncResult, DisplayHandle, EngineId, GroupBy, MimeBundle, clear_output, display, engine_id,
    html, input, json, latex, markdown, password, png, svg,
};
