//! Links between the values of two widgets, kept up to date by frontends without the kernel.

use super::AnyWidget;
use super::build::CONTROLS;
use super::model::{ModelHandle, NewModel, object};
use serde_json::json;

/// Keeps two values equal, in both directions: immediately, in every frontend, also while a cell
/// runs.
///
/// Values have their ipywidgets names. A change that is not made in a frontend, such as `set_value`
/// in a cell, reaches the other value as soon as a frontend shows it.
///
/// ```no_run
/// use phalanx::widgets::{HBox, IntProgress, IntSlider, jslink};
/// let (slider, bar) = (IntSlider::new(0..=9), IntProgress::new(0..=9));
/// let link = jslink((&slider, "value"), (&bar, "value"));
/// HBox::new((&slider, &bar)).display();
/// link.unlink();
/// ```
pub fn jslink(source: (impl Into<AnyWidget>, &str), target: (impl Into<AnyWidget>, &str)) -> Link {
    Link::of("Link", source, target)
}

/// Keeps the target's value equal to the source's, but not the reverse.
///
/// ```no_run
/// use phalanx::widgets::{HBox, IntSlider, jsdlink};
/// let (first, second) = (IntSlider::new(0..=9), IntSlider::new(0..=9));
/// jsdlink((&first, "value"), (&second, "min"));
/// HBox::new((&first, &second)).display();
/// ```
pub fn jsdlink(source: (impl Into<AnyWidget>, &str), target: (impl Into<AnyWidget>, &str)) -> Link {
    Link::of("DirectionalLink", source, target)
}

/// A link between two values; made by [`jslink`] and [`jsdlink`]. It persists when the handle is
/// dropped.
///
/// ```no_run
/// use phalanx::widgets::{IntSlider, Link, jslink};
/// let sliders: Vec<IntSlider> = (0..3).map(|_| IntSlider::new(0..=9)).collect();
/// let links: Vec<Link> = sliders.windows(2).map(|two| jslink((&two[0], "value"), (&two[1], "value"))).collect();
/// for link in &links {
///     link.unlink();
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(ModelHandle);

impl Link {
    fn of(
        name: &str,
        source: (impl Into<AnyWidget>, &str),
        target: (impl Into<AnyWidget>, &str),
    ) -> Self {
        let (source, target): ((AnyWidget, _), (AnyWidget, _)) =
            ((source.0.into(), source.1), (target.0.into(), target.1));
        Self(ModelHandle::open(vec![NewModel::new(object(json!({
            "_model_module": CONTROLS,
            "_model_module_version": "2.0.0",
            "_model_name": format!("{name}Model"),
            "_view_module": null,
            "_view_module_version": "",
            "_view_name": null,
            "source": [source.0.reference(), source.1],
            "target": [target.0.reference(), target.1],
        })))]))
    }

    /// Removes the link; the values stay as they are.
    pub fn unlink(&self) {
        self.0.close();
    }
}
