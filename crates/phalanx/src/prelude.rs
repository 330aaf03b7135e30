pub use crate::{
    AsyncResult, DisplayHandle, EngineId, GroupBy, MimeBundle, Table, ToTable, clear_output,
    display, display_as, engine_id, html, jpeg, json, latex, markdown, plotly, png, progress, svg,
    table, update_display, vega_lite,
};
