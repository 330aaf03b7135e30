//! Controls for the parameters of a closure, which runs again whenever one of them changes.

use super::{AnyWidget, Checkbox, Dropdown, FloatSlider, IntSlider, Output, Text, VBox, Widget};
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// Shows controls for the parameters of a closure, and its output and value: now, and whenever a
/// user changes a control. The types determine the controls: sliders for numbers, a checkbox for
/// `bool`, a text field for `String`.
///
/// ```no_run
/// use phalanx::widgets::interact;
/// interact(|x: f64, n: i32| x.powi(n));
/// ```
pub fn interact<A: Parameters>(closure: impl Interactive<A>) {
    shown(A::controls(), closure);
}

/// Shows custom controls for the parameters of a closure: ranges, options, initial values, each with an optional
/// name before it.
///
/// ```no_run
/// use phalanx::widgets::interact_with;
/// interact_with((("x", 0.0..=1.0), ("n", 1..=9), ["sin", "cos"]), |x: f64, n: i32, f: String| {
///     if f == "sin" { (x * f64::from(n)).sin() } else { (x * f64::from(n)).cos() }
/// });
/// ```
pub fn interact_with<C: Controls>(controls: C, closure: impl Interactive<C::Values>)
where
    C::Values: 'static,
{
    shown(controls.into_parts(), closure);
}

/// The controls of several parameters.
type Controlled<A> = (Vec<AnyWidget>, ControlReader<A>, Vec<Observer>);

/// Reads the values of all controls.
type ControlReader<A> = Box<dyn Fn() -> A + Send>;

/// Registers a callback for a user's changes of a control.
type Observer = Box<dyn Fn(Box<dyn FnMut() + Send>)>;

fn shown<A>((mut widgets, read, observers): Controlled<A>, mut closure: impl Interactive<A>)
where
    A: 'static,
{
    let area = Output::new();
    widgets.push((&area).into());
    VBox::new(widgets).display();
    let run = move || {
        area.clear_output();
        let values = read();
        area.capture(|| {
            if let Some(text) = closure.run(values) {
                println!("{text}");
            }
        });
    };
    let run: Arc<Mutex<dyn FnMut() + Send>> = Arc::new(Mutex::new(run));
    let again = |run: &Arc<Mutex<dyn FnMut() + Send>>| {
        let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
        run();
    };
    again(&run);
    for observe in observers {
        let run = Arc::clone(&run);
        observe(Box::new(move || again(&run)));
    }
}

/// A closure whose parameters have controls; its value is shown like the value of a cell.
///
/// ```no_run
/// use phalanx::widgets::{Interactive, interact};
/// fn twice<C: Interactive<(i64,)>>(closure: C) {
///     interact(closure);
/// }
/// twice(|n: i64| n * 2);
/// ```
pub trait Interactive<A>: Send + 'static {
    #[doc(hidden)]
    fn run(&mut self, values: A) -> Option<String>;
}

/// The types of several parameters with default controls; tuples of [`Parameter`]s.
#[doc(hidden)]
pub trait Parameters: Sized + 'static {
    #[doc(hidden)]
    fn controls() -> Controlled<Self>;
}

/// A type with a default control.
///
/// ```no_run
/// use phalanx::widgets::{Parameter, interact};
/// fn show<P: Parameter + std::fmt::Debug>() {
///     interact(|value: P| value);
/// }
/// show::<bool>();
/// ```
pub trait Parameter: Sized + 'static {
    #[doc(hidden)]
    type Default: Control<Value = Self>;
    #[doc(hidden)]
    fn control() -> Self::Default;
}

/// The description of a control: a range, options, an initial value.
///
/// ```no_run
/// use phalanx::widgets::{Control, interact_with};
/// fn squared(control: impl Control<Value = i32> + 'static) {
///     interact_with((control,), |n: i32| n * n);
/// }
/// squared(-5..=5);
/// ```
pub trait Control {
    /// The type of the control's value.
    type Value: 'static;
    #[doc(hidden)]
    type Widget: Widget + Into<AnyWidget>;
    #[doc(hidden)]
    fn build(self) -> Self::Widget;
    #[doc(hidden)]
    fn read(widget: &Self::Widget) -> Self::Value;
    #[doc(hidden)]
    fn observe(widget: &Self::Widget, callback: Box<dyn FnMut() + Send>);
    #[doc(hidden)]
    fn describe(widget: &Self::Widget, name: &str);
}

/// A control with a name before it.
impl<C: Control> Control for (&'static str, C) {
    type Value = C::Value;
    type Widget = C::Widget;

    fn build(self) -> C::Widget {
        let (name, control) = self;
        let widget = control.build();
        C::describe(&widget, name);
        widget
    }

    fn read(widget: &C::Widget) -> C::Value {
        C::read(widget)
    }

    fn observe(widget: &C::Widget, callback: Box<dyn FnMut() + Send>) {
        C::observe(widget, callback);
    }

    fn describe(widget: &C::Widget, name: &str) {
        C::describe(widget, name);
    }
}

/// The controls of all parameters: a tuple of [`Control`]s.
///
/// ```no_run
/// use phalanx::widgets::{Controls, interact_with};
/// fn product(controls: impl Controls<Values = (i32, i32)>) {
///     interact_with(controls, |a: i32, b: i32| a * b);
/// }
/// product((1..=9, 1..=9));
/// ```
pub trait Controls {
    /// The types of the controls' values.
    type Values;
    #[doc(hidden)]
    fn into_parts(self) -> Controlled<Self::Values>;
}

/// Implements [`Control`] for a widget with `value` and `observe`.
macro_rules! control {
    ($type:ty $(, $generic:tt)?; $value:ty, $widget:ident, $build:expr, $read:expr) => {
        impl$(<const $generic: usize>)? Control for $type {
            type Value = $value;
            type Widget = $widget;

            fn build(self) -> $widget {
                let build: fn(Self) -> $widget = $build;
                build(self)
            }

            fn read(widget: &$widget) -> $value {
                let read: fn(&$widget) -> $value = $read;
                read(widget)
            }

            fn observe(widget: &$widget, mut callback: Box<dyn FnMut() + Send>) {
                widget.observe(move |_| callback());
            }

            fn describe(widget: &$widget, name: &str) {
                widget.set_state("description", name);
            }
        }
    };
}

/// Implements the controls and the parameters of integer types.
macro_rules! integers {
    ($($number:ty),+) => {
        $(
            control!(RangeInclusive<$number>; $number, IntSlider,
                |range| {
                    let end = |end: $number| i64::try_from(end).unwrap_or(i64::MAX);
                    IntSlider::new(end(*range.start())..=end(*range.end()))
                },
                |slider| <$number>::try_from(slider.value()).unwrap_or_default());

            impl Parameter for $number {
                type Default = RangeInclusive<$number>;

                fn control() -> Self::Default {
                    0..=100
                }
            }
        )+
    };
}

integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// Implements the controls and the parameters of floating-point types.
macro_rules! floats {
    ($($number:ty),+) => {
        $(
            control!(RangeInclusive<$number>; $number, FloatSlider,
                |range| {
                    let (start, end) = (f64::from(*range.start()), f64::from(*range.end()));
                    FloatSlider::builder().range(start..=end).step((end - start) / 100.0).build()
                },
                |slider| slider.value() as $number);

            impl Parameter for $number {
                type Default = RangeInclusive<$number>;

                fn control() -> Self::Default {
                    0.0..=10.0
                }
            }
        )+
    };
}

floats!(f32, f64);

control!(bool; bool, Checkbox, |ticked| Checkbox::builder().value(ticked).build(), Checkbox::value);
control!(&'static str; String, Text, |text| Text::builder().value(text).build(), Text::value);
control!(String; String, Text, |text| Text::builder().value(&text).build(), Text::value);
control!([&'static str; N], N; String, Dropdown, Dropdown::new, Dropdown::value);
control!(Vec<String>; String, Dropdown, Dropdown::new, Dropdown::value);

impl Parameter for bool {
    type Default = bool;

    fn control() -> bool {
        false
    }
}

impl Parameter for String {
    type Default = String;

    fn control() -> String {
        String::new()
    }
}

/// Implements the traits for closures with several parameters.
macro_rules! tuples {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Parameter, $($rest: Parameter),*> Parameters for ($first, $($rest,)*) {
            fn controls() -> Controlled<Self> {
                ($first::control(), $($rest::control(),)*).into_parts()
            }
        }

        #[expect(non_snake_case, reason = "types and values have the same names")]
        impl<$first: Control, $($rest: Control),*> Controls for ($first, $($rest,)*) {
            type Values = ($first::Value, $($rest::Value,)*);

            fn into_parts(self) -> Controlled<Self::Values> {
                let ($first, $($rest,)*) = self;
                let ($first, $($rest,)*) = ($first.build(), $($rest.build(),)*);
                let widgets = vec![$first.clone().into(), $($rest.clone().into(),)*];
                let observers: Vec<Observer> = vec![
                    observer::<$first>(&$first),
                    $(observer::<$rest>(&$rest),)*
                ];
                let read = move || (
                    <$first as Control>::read(&$first),
                    $(<$rest as Control>::read(&$rest),)*
                );
                (widgets, Box::new(read), observers)
            }
        }

        #[expect(non_snake_case, reason = "types and values have the same names")]
        impl<Closure, Value, $first, $($rest),*> Interactive<($first, $($rest,)*)> for Closure
        where
            Closure: FnMut($first, $($rest),*) -> Value + Send + 'static,
            Value: Debug,
        {
            fn run(&mut self, values: ($first, $($rest,)*)) -> Option<String> {
                let ($first, $($rest,)*) = values;
                let text = format!("{:?}", self($first, $($rest),*));
                (text != "()").then_some(text)
            }
        }

        tuples!($($rest)*);
    };
    () => {};
}

tuples!(A B C D E F G H);

fn observer<C: Control>(widget: &C::Widget) -> Observer {
    let widget = widget.clone();
    Box::new(move |callback| C::observe(&widget, callback))
}
