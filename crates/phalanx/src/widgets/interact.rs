//! Controls for the parameters of a closure, which runs again whenever one of them changes.

use super::{AnyWidget, Checkbox, Dropdown, FloatSlider, IntSlider, Output, Text, VBox, Widget};
use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};
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
/// name before it. A single control needs no tuple. The types of the parameters determine those of
/// the numbers in ranges.
///
/// ```no_run
/// use phalanx::widgets::interact_with;
/// interact_with(1..=12, |n: u32| 2_u64.pow(n));
/// interact_with((("x", 0.0..=1.0), ("n", 1..=9), ["sin", "cos"]), |x: f64, n: i32, f: String| {
///     if f == "sin" { (x * f64::from(n)).sin() } else { (x * f64::from(n)).cos() }
/// });
/// ```
pub fn interact_with<A: 'static>(controls: impl Controls<A>, closure: impl Interactive<A>) {
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
    let rerun = |run: &Arc<Mutex<dyn FnMut() + Send>>| {
        let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
        run();
    };
    rerun(&run);
    for observe in observers {
        let run = Arc::clone(&run);
        observe(Box::new(move || rerun(&run)));
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
    type Default: Control<Self>;
    #[doc(hidden)]
    fn control() -> Self::Default;
}

/// The description of a control for a parameter of type `V`: a range, options, an initial value.
///
/// ```no_run
/// use phalanx::widgets::{Control, interact_with};
/// fn squared(control: impl Control<i32> + 'static) {
///     interact_with((control,), |n: i32| n * n);
/// }
/// squared(-5..=5);
/// ```
// The type is a parameter of the trait, so that the closure determines the types of literals: with an
// associated type, `1..=12` would be a range of `i32`, whatever the closure takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a control for a parameter of type `{V}`",
    label = "no control for `{V}`",
    note = "numbers take a range (`0..=10`), `bool` an initial value (`true`), `String` a text or options (`[\"a\", \"b\"]`), each also with a name: `(\"n\", 0..=10)`"
)]
pub trait Control<V: 'static> {
    #[doc(hidden)]
    type Widget: Widget + Into<AnyWidget>;
    #[doc(hidden)]
    fn build(self) -> Self::Widget;
    #[doc(hidden)]
    fn read(widget: &Self::Widget) -> V;
    #[doc(hidden)]
    fn observe(widget: &Self::Widget, callback: Box<dyn FnMut() + Send>);
    #[doc(hidden)]
    fn describe(widget: &Self::Widget, name: &str);
}

/// A control with a name before it.
impl<V: 'static, C: Control<V>> Control<V> for (&'static str, C) {
    type Widget = C::Widget;

    fn build(self) -> C::Widget {
        let (name, control) = self;
        let widget = control.build();
        C::describe(&widget, name);
        widget
    }

    fn read(widget: &C::Widget) -> V {
        C::read(widget)
    }

    fn observe(widget: &C::Widget, callback: Box<dyn FnMut() + Send>) {
        C::observe(widget, callback);
    }

    fn describe(widget: &C::Widget, name: &str) {
        C::describe(widget, name);
    }
}

/// The controls of all parameters, whose types are those of the tuple `A`: a [`Control`], or a tuple
/// of them.
///
/// ```no_run
/// use phalanx::widgets::{Controls, interact_with};
/// fn product(controls: impl Controls<(u32, u32)>) {
///     interact_with(controls, |a: u32, b: u32| a * b);
/// }
/// product((1..=9, 1..=9));
/// ```
#[diagnostic::on_unimplemented(
    message = "these controls do not fit the parameters of the closure, `{A}`",
    label = "expected one control for each parameter",
    note = "as in `interact_with((1..=9, [\"a\", \"b\"]), |n: u32, name: String| …)`; numbers take a range, `bool` an initial value, `String` a text or options"
)]
pub trait Controls<A> {
    #[doc(hidden)]
    fn into_parts(self) -> Controlled<A>;
}

impl<V: 'static, C: Control<V>> Controls<(V,)> for (&'static str, C) {
    fn into_parts(self) -> Controlled<(V,)> {
        (self,).into_parts()
    }
}

/// Implements [`Control`] for a widget with `value` and `observe`.
macro_rules! control {
    ($type:ty $(, $generic:tt)?; $value:ty, $widget:ident, $build:expr, $read:expr) => {
        impl$(<const $generic: usize>)? Control<$value> for $type {
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

        impl$(<const $generic: usize>)? Controls<($value,)> for $type {
            fn into_parts(self) -> Controlled<($value,)> {
                (self,).into_parts()
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

            control!(Range<$number>; $number, IntSlider,
                |range| {
                    let last = range.end.saturating_sub(1).max(range.start);
                    Control::<$number>::build(range.start..=last)
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

            // `0..=10`, whose ends are integers unless something else is known of them.
            control!(RangeInclusive<i32>; $number, FloatSlider,
                |range| {
                    let (start, end) = (f64::from(*range.start()), f64::from(*range.end()));
                    Control::<f64>::build(start..=end)
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

/// Implements the traits for closures with several parameters, each given by the name of its type and
/// that of its control's.
macro_rules! tuples {
    ($first:ident $first_control:ident $($rest:ident $rest_control:ident)*) => {
        impl<$first: Parameter, $($rest: Parameter),*> Parameters for ($first, $($rest,)*) {
            fn controls() -> Controlled<Self> {
                Controls::<Self>::into_parts(($first::control(), $($rest::control(),)*))
            }
        }

        #[expect(non_snake_case, reason = "types and values have the same names")]
        impl<$first: 'static, $first_control, $($rest: 'static, $rest_control),*>
            Controls<($first, $($rest,)*)> for ($first_control, $($rest_control,)*)
        where
            $first_control: Control<$first>,
            $($rest_control: Control<$rest>,)*
        {
            fn into_parts(self) -> Controlled<($first, $($rest,)*)> {
                let ($first, $($rest,)*) = self;
                let ($first, $($rest,)*) = ($first.build(), $($rest.build(),)*);
                let widgets = vec![$first.clone().into(), $($rest.clone().into(),)*];
                let observers: Vec<Observer> = vec![
                    observer::<$first, $first_control>(&$first),
                    $(observer::<$rest, $rest_control>(&$rest),)*
                ];
                let read = move || (
                    <$first_control as Control<$first>>::read(&$first),
                    $(<$rest_control as Control<$rest>>::read(&$rest),)*
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

        tuples!($($rest $rest_control)*);
    };
    () => {};
}

tuples!(A ControlA B ControlB C ControlC D ControlD E ControlE F ControlF G ControlG H ControlH);

fn observer<V: 'static, C: Control<V>>(widget: &C::Widget) -> Observer {
    let widget = widget.clone();
    Box::new(move |callback| C::observe(&widget, callback))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Like [`interact_with`], without showing anything.
    fn fits<A: 'static>(_: impl Controls<A>, _: impl Interactive<A>) {}

    #[test]
    fn a_range_of_literals_has_the_type_of_the_parameter() {
        fits((1..=12,), |n: u32| n.pow(2));
        fits(1..=12, |n: u32| n.pow(2));
        fits(0..=255, |n: u8| n);
        fits(0..5, |at: usize| [0; 5][at]);
        fits(("n", -5..=5), |n: i64| n);
        fits(
            (("x", 0.0..=1.0), ("n", 1..=9), ["sin", "cos"]),
            |x: f64, n: u64, f: String| f.len() as f64 * x * n as f64,
        );
        fits(0.0..=1.0, |x: f32| x);
        fits((0..=10, 0..=10, true), |x: f64, y: f32, up: bool| {
            (x, y, up)
        });
        fits("text", |text: String| text);
        let unsuffixed = 1..=12;
        fits(unsuffixed, |n: u16| n);
    }
}
