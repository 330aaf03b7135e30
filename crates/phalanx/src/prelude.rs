pub use crate::{
    AsyncMapResult, AsyncResult, Client, Cluster, Dependency, DisplayHandle, EngineId, Function,
    GroupBy, MimeBundle, Reference, ReturnWhen, Shared, StepBy, Table, clear_output, depend,
    display, display_as, engine_id, html, input, interrupted, jpeg, json, latex, markdown,
    password, plotly, png, progress, publish_data, svg, table, task, update_display, vega_lite,
};
pub use serde::{Deserialize, Serialize};
pub use std::time::Duration;
