//! Components: one counter for all core modules, read back at every kind of end.

use ayni_runner::normalise::{
    COMPONENT_FUEL_IMPORT, COMPONENT_LEFT_EXPORT, COMPONENT_STACK_IMPORT, FUEL_EXPORT,
    STACK_EXPORT, features, normalise, normalise_component,
};
use wasmparser::Validator;
use wasmtime::component::{Component, Linker};
use wasmtime::{Error, Store, Trap, WasmCoreDump};

use crate::host::{BACKS, Back, End, Limits, on_a_large_stack, with_dump};

const LIMITS: Limits = Limits { fuel: 1_000_000, stack: 1 << 20 };

/// Run `run: func() -> s32` of a component; how it ended and what it spent.
fn run(text: &str, back: Back, limits: Limits) -> (End, i64) {
    let original = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let normalised = normalise_component(&original).unwrap().module;
    Validator::new_with_features(features::COMPONENT).validate_all(&normalised).unwrap();
    let engine = with_dump(back);
    let component = Component::new(engine, &normalised).unwrap();
    let mut linker = Linker::new(engine);
    let mut root = linker.root();
    root.func_wrap(COMPONENT_FUEL_IMPORT, move |_, (): ()| Ok((limits.fuel,))).unwrap();
    root.func_wrap(COMPONENT_STACK_IMPORT, move |_, (): ()| Ok((limits.stack,))).unwrap();
    root.func_wrap("twice", |_, (value,): (i32,)| Ok((value * 2,))).unwrap();
    root.func_wrap("leave", |_, (): ()| -> wasmtime::Result<()> { Err(Error::msg("left")) })
        .unwrap();
    let mut store = Store::new(engine, ());
    let called = linker.instantiate(&mut store, &component).and_then(|instance| {
        let run = instance.get_typed_func::<(), (i32,)>(&mut store, "run")?;
        let (value,) = run.call(&mut store, ())?;
        let left = instance.get_typed_func::<(), (i64,)>(&mut store, COMPONENT_LEFT_EXPORT)?;
        Ok((value, left.call(&mut store, ())?.0))
    });
    match called {
        Ok((_, left)) if left < 0 => (End::Fuel, limits.fuel - left),
        Ok((value, left)) => {
            (End::Returned(vec![u128::from(value.cast_unsigned())]), limits.fuel - left)
        }
        Err(error) => {
            let dump = error.downcast_ref::<WasmCoreDump>().unwrap();
            let meter = dump
                .instances()
                .iter()
                .find(|instance| instance.get_global(&mut store, FUEL_EXPORT).is_some())
                .unwrap();
            let mut read = |name| {
                let global = meter.get_global(&mut store, name).unwrap();
                global.get(&mut store)
            };
            let left = read(FUEL_EXPORT).unwrap_i64();
            let stack = read(STACK_EXPORT).unwrap_i32();
            let end = if left < 0 {
                End::Fuel
            } else if stack < 0 {
                End::Stack
            } else {
                match error.downcast_ref::<Trap>() {
                    Some(trap) => End::Trapped(*trap),
                    None => End::Returned(vec![]),
                }
            };
            (end, limits.fuel - left)
        }
    }
}

#[track_caller]
fn check(text: &str, limits: Limits, end: End, fuel: Option<i64>) {
    for back in BACKS {
        let text = text.to_owned();
        let seen = on_a_large_stack(move || run(&text, back, limits));
        assert_eq!(seen.0, end, "{back:?}");
        if let Some(fuel) = fuel {
            assert_eq!(seen.1, fuel, "{back:?}");
        }
    }
}

/// Two core modules that call each other's functions, types at two levels, an inner component, an
/// import that is lowered, a core start function.
fn two_modules(body: &str) -> String {
    format!(
        r#"(component
        (import "twice" (func $twice (param "v" s32) (result s32)))
        (import "leave" (func $leave))
        (type $pair (record (field "a" s32) (field "b" string)))
        (type $iface (instance (alias outer 1 $pair (type $p)) (export "p" (type (eq $p)))))
        (component $inner (type $t (list u8)) (import "f" (func $f (result s32))) (export "f" (func $f)))
        (core func $twice-core (canon lower (func $twice)))
        (core func $leave-core (canon lower (func $leave)))
        (core module $first
            (import "host" "twice" (func $twice (param i32) (result i32)))
            (global $calls (mut i32) (i32.const 0))
            (func $begin (global.set $calls (i32.const 1)))
            (start $begin)
            (global (export "calls") i32 (i32.const 3))
            (memory (export "memory") 1)
            (func (export "add") (param i32 i32) (result i32)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (call $twice (i32.add (local.get 0) (local.get 1)))))
        (core module $second
            (import "first" "add" (func $add (param i32 i32) (result i32)))
            (import "first" "calls" (global $three i32))
            (import "host" "leave" (func $leave))
            (func $down (param i32) (result i32)
                (i32.add (call $down (local.get 0)) (i32.const 1)))
            (func (export "run") (result i32) {body}))
        (core instance $host (export "twice" (func $twice-core)) (export "leave" (func $leave-core)))
        (core instance $one (instantiate $first (with "host" (instance $host))))
        (core instance $two (instantiate $second (with "first" (instance $one)) (with "host" (instance $host))))
        (func $run (result s32) (canon lift (core func $two "run")))
        (instance $wrapped (instantiate $inner (with "f" (func $run))))
        (export "run" (func $wrapped "f")))"#
    )
}

#[test]
fn all_core_modules_share_one_counter() {
    // The start function 2, `run` 4 + 2, `add` 4 + 4 + 4.
    check(
        &two_modules("(call $add (global.get $three) (i32.const 4))"),
        LIMITS,
        End::Returned(vec![14]),
        Some(2 + (1 + 1 + 4) + (4 + 3 + 4)),
    );
}

#[test]
fn a_trap_in_a_component_tells_its_fuel() {
    check(
        &two_modules("(drop (call $add (i32.const 3) (i32.const 4))) unreachable"),
        LIMITS,
        End::Trapped(Trap::UnreachableCodeReached),
        Some(2 + (1 + 1 + 4) + (4 + 3 + 4)),
    );
    check(
        &two_modules("(i32.div_u (i32.const 3) (i32.const 0))"),
        LIMITS,
        End::Trapped(Trap::IntegerDivisionByZero),
        Some(2 + 10),
    );
}

#[test]
fn leaving_through_the_host_tells_the_fuel() {
    check(
        &two_modules("(call $leave) (i32.const 1)"),
        LIMITS,
        End::Returned(vec![]),
        Some(2 + 4 + 1),
    );
}

#[test]
fn limits_hold_across_core_modules() {
    check(
        &two_modules("(loop (drop (call $add (i32.const 3) (i32.const 4))) (br 0)) (i32.const 0)"),
        LIMITS,
        End::Fuel,
        None,
    );
    check(&two_modules("(call $down (i32.const 0))"), LIMITS, End::Stack, None);
}

#[test]
fn a_component_with_strings_and_realloc_works() {
    let text = r#"(component
        (import "name" (func $name (result string)))
        (core module $libc
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 64))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3)))))
        (core instance $libc (instantiate $libc))
        (core func $name-core (canon lower (func $name)
            (memory $libc "memory") (realloc (func $libc "realloc"))))
        (core module $main
            (import "libc" "memory" (memory 1))
            (import "host" "name" (func $name (param i32)))
            (func (export "run") (result i32)
                (call $name (i32.const 8))
                (i32.add (i32.load (i32.const 12)) (i32.load8_u (i32.load (i32.const 8))))))
        (core instance $main (instantiate $main
            (with "libc" (instance $libc))
            (with "host" (instance (export "name" (func $name-core))))))
        (func (export "run") (result s32) (canon lift (core func $main "run"))))"#;
    for back in BACKS {
        let normalised = normalise_component(&wat::parse_str(text).unwrap()).unwrap();
        assert_eq!(normalised.memory_bytes_min, 2 << 16);
        let engine = with_dump(back);
        let component = Component::new(engine, &normalised.module).unwrap();
        let mut linker = Linker::new(engine);
        let mut root = linker.root();
        root.func_wrap(COMPONENT_FUEL_IMPORT, |_, (): ()| Ok((1_000_i64,))).unwrap();
        root.func_wrap(COMPONENT_STACK_IMPORT, |_, (): ()| Ok((1_000_i32,))).unwrap();
        root.func_wrap("name", |_, (): ()| Ok(("abc".to_owned(),))).unwrap();
        let mut store = Store::new(engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance.get_typed_func::<(), (i32,)>(&mut store, "run").unwrap();
        assert_eq!(run.call(&mut store, ()).unwrap(), (3 + 97,));
        let left =
            instance.get_typed_func::<(), (i64,)>(&mut store, COMPONENT_LEFT_EXPORT).unwrap();
        // `run` 1 + 4 + 2 + 1 + 2 + 2 - 1, `realloc` 5.
        assert_eq!(1_000 - left.call(&mut store, ()).unwrap().0, 11 + 5);
    }
}

#[test]
fn shapes_that_cannot_be_metered_are_refused() {
    let cases = [
        (
            "(component (component (core module)))",
            "component has a core module inside an inner component",
        ),
        (
            r#"(component (import "m" (core module)))"#,
            "component imports or hands around a core module",
        ),
        (r#"(component (import "ayni-fuel" (func)))"#, "uses the name `ayni-fuel`"),
        (
            "(component (core module (func try catch_all end)))",
            "uses legacy exception handling (`try` at offset 0x",
        ),
        ("(component (core module (memory 1 1 shared)))", "uses threads and atomics"),
    ];
    for (text, expected) in cases {
        let component = wat::parse_str(text).unwrap();
        let message = normalise_component(&component).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let module = wat::parse_str("(module)").unwrap();
    assert!(normalise_component(&module).is_err());
    assert!(normalise(&wat::parse_str("(component)").unwrap()).is_err());
}

#[test]
fn every_truncation_of_a_component_is_refused_and_none_panics() {
    let component = wat::parse_str(two_modules("(i32.const 1)")).unwrap();
    for length in 0..component.len() {
        if let Ok(normalised) = normalise_component(&component[..length]) {
            Validator::new_with_features(features::COMPONENT)
                .validate_all(&normalised.module)
                .unwrap();
        }
    }
    for at in 0..component.len() {
        for value in [0, 1, 7, 0x40, 0x7f, 0xff] {
            let mut broken = component.clone();
            broken[at] = value;
            if let Ok(normalised) = normalise_component(&broken) {
                Validator::new_with_features(features::COMPONENT)
                    .validate_all(&normalised.module)
                    .unwrap();
            }
        }
    }
}
