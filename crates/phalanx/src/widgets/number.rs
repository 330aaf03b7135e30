//! Numeric widgets: sliders, and progress bars.

use super::build::{Builder, WidgetKind};
use super::{bounds, described, widget};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

widget! {
    /// A slider of integers.
    ///
    /// ```no_run
    /// use phalanx::widgets::IntSlider;
    /// let slider = IntSlider::builder().range(0..=10).value(3).description("n").build();
    /// slider.observe(|n| println!("n = {n}"));
    /// slider.display();
    /// assert_eq!(slider.value(), 3);
    /// ```
    IntSlider, WidgetKind::control("IntSlider", "SliderStyle")
}

widget! {
    /// A slider of floating-point numbers.
    ///
    /// ```no_run
    /// use phalanx::widgets::FloatSlider;
    /// let slider = FloatSlider::builder().range(0.0..=1.0).step(0.01).build();
    /// slider.set_value(0.5);
    /// assert_eq!(slider.value(), 0.5);
    /// ```
    FloatSlider, WidgetKind::control("FloatSlider", "SliderStyle")
}

widget! {
    /// A progress bar of integers.
    ///
    /// ```no_run
    /// use phalanx::widgets::IntProgress;
    /// let bar = IntProgress::new(0..=3);
    /// bar.display();
    /// for step in 1..=3 {
    ///     bar.set_value(step);
    /// }
    /// ```
    IntProgress, WidgetKind { view: "Progress", ..WidgetKind::control("IntProgress", "ProgressStyle") }
}

widget! {
    /// A progress bar of floating-point numbers.
    ///
    /// ```no_run
    /// use phalanx::widgets::FloatProgress;
    /// let bar = FloatProgress::builder().range(0.0..=1.0).description("fit").build();
    /// bar.set_value(0.25);
    /// bar.display();
    /// ```
    FloatProgress, WidgetKind { view: "Progress", ..WidgetKind::control("FloatProgress", "ProgressStyle") }
}

widget! {
    /// A slider for a range of integers, with two handles.
    ///
    /// ```no_run
    /// use phalanx::widgets::IntRangeSlider;
    /// let years = IntRangeSlider::builder().range(1900..=2000).value(1950..=1980).build();
    /// years.observe(|years| println!("{} to {}", years.start(), years.end()));
    /// years.display();
    /// assert_eq!(years.value(), 1950..=1980);
    /// ```
    IntRangeSlider, WidgetKind::control("IntRangeSlider", "SliderStyle")
}

widget! {
    /// A slider for a range of floating-point numbers, with two handles.
    ///
    /// ```no_run
    /// use phalanx::widgets::FloatRangeSlider;
    /// let part = FloatRangeSlider::builder().range(0.0..=1.0).step(0.05).build();
    /// part.set_value(0.25..=0.75);
    /// part.display();
    /// ```
    FloatRangeSlider, WidgetKind::control("FloatRangeSlider", "SliderStyle")
}

widget! {
    /// Playback buttons that step through the values from the lowest to the highest.
    ///
    /// ```no_run
    /// use phalanx::widgets::Play;
    /// let frame = Play::builder().range(0..=99).interval(std::time::Duration::from_millis(50)).build();
    /// frame.observe(|frame| println!("frame {frame}"));
    /// frame.display();
    /// ```
    Play, WidgetKind::control("Play", "DescriptionStyle")
}

described!(
    IntSlider,
    FloatSlider,
    IntProgress,
    FloatProgress,
    IntRangeSlider,
    FloatRangeSlider,
    Play
);

/// Defines the methods that numeric types share: constructor, builder for the range, and value.
macro_rules! number {
    ($name:ident, $number:ty, $read:ident, $initial:expr) => {
        impl $name {
            /// Creates a widget for this range, with the lowest value.
            pub fn new(range: RangeInclusive<$number>) -> Self {
                Self::builder().range(range).build()
            }

            /// Returns a builder; from 0 to 100 (10 for floating point) by default.
            pub fn builder() -> Builder<Self> {
                Builder::of($initial)
            }

            /// Returns the value shown in the frontends.
            pub fn value(&self) -> $number {
                $read(&self.0.get("value"))
            }

            /// Changes the value; one out of range becomes the nearest in it.
            pub fn set_value(&self, value: $number) {
                let value = bounds::with_value(self.0.state(), json!(value));
                self.0.set("value", value);
            }

            /// Changes the highest value; the value is not above it. One below the lowest value is
            /// reported on stderr, and changes nothing.
            pub fn set_max(&self, max: $number) {
                let state = self.0.state();
                let min = $read(state.get("min").unwrap_or(&Value::Null));
                if bounds::is_range(&min, &max)
                    && let Some(changes) = bounds::with_max(state, json!(max))
                {
                    self.0.update(changes);
                }
            }
        }

        impl Builder<$name> {
            /// Sets the lowest and the highest value; the initial value is the lowest. An empty
            /// range is reported on stderr, and changes nothing.
            pub fn range(self, range: RangeInclusive<$number>) -> Self {
                let (min, max) = range.into_inner();
                match bounds::is_range(&min, &max) {
                    true => self.min(min).max(max).value(min),
                    false => self,
                }
            }

            /// Sets the lowest value.
            pub fn min(self, min: $number) -> Self {
                self.state("min", json!(min))
            }

            /// Sets the highest value.
            pub fn max(self, max: $number) -> Self {
                self.state("max", json!(max))
            }

            /// Sets the initial value; one out of range becomes the nearest in it.
            pub fn value(self, value: $number) -> Self {
                self.state("value", json!(value))
            }

            /// Sets whether the widget is vertical.
            pub fn vertical(self, vertical: bool) -> Self {
                let orientation = if vertical { "vertical" } else { "horizontal" };
                self.state("orientation", orientation)
            }
        }
    };
}

number!(
    IntSlider,
    i64,
    int,
    slider(json!(0), json!(100), json!(1), "d")
);
number!(
    FloatSlider,
    f64,
    float,
    slider(json!(0.0), json!(10.0), json!(0.1), ".2f")
);
number!(IntProgress, i64, int, bar(json!(0), json!(100)));
number!(FloatProgress, f64, float, bar(json!(0.0), json!(10.0)));
number!(
    Play,
    i64,
    int,
    json!({
        "description": "", "description_allow_html": false, "disabled": false, "interval": 100,
        "max": 100, "min": 0, "playing": false, "repeat": false, "show_repeat": true, "step": 1,
        "value": 0,
    })
);

impl Play {
    /// Registers a callback for changes of the value.
    pub fn observe(&self, mut callback: impl FnMut(i64) + Send + 'static) {
        let callback = move |value: &Value| callback(int(value));
        self.0.on_change("value", Box::new(callback));
    }
}

impl Builder<Play> {
    /// Sets the time between two values.
    pub fn interval(self, interval: std::time::Duration) -> Self {
        let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        self.state("interval", millis)
    }

    /// Sets the distance between two values.
    pub fn step(self, step: i64) -> Self {
        self.state("step", step)
    }

    /// Sets whether playback repeats.
    pub fn repeat(self, repeat: bool) -> Self {
        self.state("repeat", repeat)
    }
}

/// Defines the methods of sliders with two handles.
macro_rules! range {
    ($name:ident, $number:ty, $read:ident, $initial:expr) => {
        impl $name {
            /// Creates a slider for this range, with its middle half selected.
            pub fn new(range: RangeInclusive<$number>) -> Self {
                Self::builder().range(range).build()
            }

            /// Returns a builder; from 0 to 100 (10 for floating point) by default.
            pub fn builder() -> Builder<Self> {
                Builder::of($initial)
            }

            /// Returns the range selected in the frontends.
            pub fn value(&self) -> RangeInclusive<$number> {
                range_of(&self.0.get("value"), $read)
            }

            /// Selects another range, as far as the slider reaches. An empty range is reported on
            /// stderr, and changes nothing.
            pub fn set_value(&self, value: RangeInclusive<$number>) {
                let (lower, upper) = value.into_inner();
                if bounds::is_range(&lower, &upper) {
                    let value = bounds::with_value(self.0.state(), json!([lower, upper]));
                    self.0.set("value", value);
                }
            }

            /// Registers a callback for changes of the range by users.
            pub fn observe(
                &self,
                mut callback: impl FnMut(RangeInclusive<$number>) + Send + 'static,
            ) {
                let callback = move |value: &Value| callback(range_of(value, $read));
                self.0.on_change("value", Box::new(callback));
            }
        }

        impl Builder<$name> {
            /// Sets the lowest and the highest value; the middle half is selected. An empty range
            /// is reported on stderr, and changes nothing.
            pub fn range(self, range: RangeInclusive<$number>) -> Self {
                let (min, max) = range.into_inner();
                if !bounds::is_range(&min, &max) {
                    return self;
                }
                let quarter = (max - min) / (4 as $number);
                self.state("min", json!(min))
                    .state("max", json!(max))
                    .value(min + quarter..=max - quarter)
            }

            /// Sets the range selected initially; call it after [`range`](Self::range).
            pub fn value(self, value: RangeInclusive<$number>) -> Self {
                let (lower, upper) = value.into_inner();
                match bounds::is_range(&lower, &upper) {
                    true => self.state("value", json!([lower, upper])),
                    false => self,
                }
            }

            /// Sets the distance between two values.
            pub fn step(self, step: $number) -> Self {
                self.state("step", step)
            }
        }
    };
}

range!(
    IntRangeSlider,
    i64,
    int,
    two_handles(slider(json!(0), json!(100), json!(1), "d"), json!([25, 75]))
);
range!(
    FloatRangeSlider,
    f64,
    float,
    two_handles(
        slider(json!(0.0), json!(10.0), json!(0.1), ".2f"),
        json!([2.5, 7.5])
    )
);

fn two_handles(mut state: Value, value: Value) -> Value {
    state["value"] = value;
    state
}

fn range_of<N>(value: &Value, read: fn(&Value) -> N) -> RangeInclusive<N> {
    let end = |at: usize| value.get(at).map_or_else(|| read(&Value::Null), read);
    end(0)..=end(1)
}

/// Defines the methods of sliders.
macro_rules! slider {
    ($name:ident, $number:ty, $read:ident) => {
        impl $name {
            /// Registers a callback for changes of the value by users.
            pub fn observe(&self, mut callback: impl FnMut($number) + Send + 'static) {
                let callback = move |value: &Value| callback($read(value));
                self.0.on_change("value", Box::new(callback));
            }
        }

        impl Builder<$name> {
            /// Sets the distance between two values.
            pub fn step(self, step: $number) -> Self {
                self.state("step", json!(step))
            }

            /// Sets whether the value changes while a handle is dragged, or only when it is
            /// released.
            pub fn continuous_update(self, continuous: bool) -> Self {
                self.state("continuous_update", continuous)
            }

            /// Sets whether the value is shown beside the slider.
            pub fn readout(self, readout: bool) -> Self {
                self.state("readout", readout)
            }
        }
    };
}

slider!(IntSlider, i64, int);
slider!(FloatSlider, f64, float);

/// Defines the methods of bars.
macro_rules! bar {
    ($name:ident, $number:ty) => {
        impl $name {
            /// Changes the colour by its meaning: `"success"`, `"info"`, `"warning"`, `"danger"`,
            /// or `""`.
            pub fn set_bar_style(&self, style: &str) {
                self.0.set("bar_style", style.into());
            }
        }

        impl Builder<$name> {
            /// Sets the colour by its meaning: `"success"`, `"info"`, `"warning"`, `"danger"`.
            pub fn bar_style(self, style: &str) -> Self {
                self.state("bar_style", style)
            }
        }
    };
}

bar!(IntProgress, i64);
bar!(FloatProgress, f64);

fn slider(zero: Value, max: Value, step: Value, format: &str) -> Value {
    json!({
        "behavior": "drag-tap",
        "continuous_update": true,
        "description": "",
        "description_allow_html": false,
        "disabled": false,
        "max": max,
        "min": zero,
        "orientation": "horizontal",
        "readout": true,
        "readout_format": format,
        "step": step,
        "value": zero,
    })
}

fn bar(zero: Value, max: Value) -> Value {
    json!({
        "bar_style": "",
        "description": "",
        "description_allow_html": false,
        "max": max,
        "min": zero,
        "orientation": "horizontal",
        "value": zero,
    })
}

/// Accepts 3.0 for 3, as some frontends send it.
fn int(value: &Value) -> i64 {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|value| value as i64))
        .unwrap_or_default()
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}
