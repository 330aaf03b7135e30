pub use crate::{
    AsyncResult, DisplayHandle, EngineId, GroupBy, MimeBundle, Table, ToTable, clear_output,
    display, display_as, engine_id, html, input, interrupted, jpeg, json, latex, markdown,
    password, plotly, png, progress, svg, table, update_display, vega_lite,
};
