//! The smallest host that keeps the normaliser's convention: sets the meter, runs one export,
//! reads the meter and everything that can be seen.

use std::sync::OnceLock;

use ayni_runner::normalise::{self, FUEL_EXPORT, STACK_EXPORT, START_EXPORT, normalise};
use wasmtime::{
    Config, Engine, Extern, Instance, Module, OptLevel, Store, Strategy, Trap, Val, ValType,
};

/// A compiler and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Back {
    Optimised,
    Plain,
    Winch,
}

pub(crate) const BACKS: [Back; 3] = [Back::Optimised, Back::Plain, Back::Winch];

/// Largest metered stack in tests, and the native one that is said to be enough for it.
pub(crate) const STACK_BYTES_MAX: u32 = 8 << 20;

fn native_bytes() -> usize {
    usize::try_from(normalise::native_stack_bytes(STACK_BYTES_MAX)).unwrap()
}

fn config(back: Back) -> Config {
    let mut config = Config::new();
    match back {
        Back::Optimised => {
            config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
        }
        Back::Plain => {
            config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::None);
        }
        Back::Winch => {
            config.strategy(Strategy::Winch);
        }
    }
    config.wasm_relaxed_simd(false).max_wasm_stack(native_bytes()).async_stack_size(native_bytes());
    config.parallel_compilation(false);
    config
}

pub(crate) fn engine(back: Back) -> &'static Engine {
    static ENGINES: OnceLock<[Engine; 3]> = OnceLock::new();
    let engines = ENGINES.get_or_init(|| BACKS.map(|back| Engine::new(&config(back)).unwrap()));
    &engines[back as usize]
}

/// The compiler's own canonicalisation.
pub(crate) fn engine_with_flag(back: Back) -> &'static Engine {
    static ENGINES: OnceLock<[Engine; 3]> = OnceLock::new();
    let engines = ENGINES.get_or_init(|| {
        BACKS.map(|back| {
            let mut config = config(back);
            config.cranelift_nan_canonicalization(true);
            Engine::new(&config).unwrap()
        })
    });
    &engines[back as usize]
}

/// An engine whose errors carry the store's instances.
pub(crate) fn with_dump(back: Back) -> &'static Engine {
    static ENGINES: OnceLock<[Engine; 3]> = OnceLock::new();
    let engines = ENGINES.get_or_init(|| {
        BACKS.map(|back| {
            let mut config = config(back);
            config.coredump_on_trap(true);
            Engine::new(&config).unwrap()
        })
    });
    &engines[back as usize]
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With these result bits.
    Returned(Vec<u128>),
    Trapped(Trap),
    Fuel,
    Stack,
}

/// All that can be seen of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) end: End,
    pub(crate) fuel: i64,
    pub(crate) memory: blake3::Hash,
    pub(crate) globals: Vec<u128>,
}

/// Limits of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) fuel: i64,
    pub(crate) stack: i32,
}

pub(crate) const ROOMY: Limits = Limits { fuel: 1_000_000_000, stack: 1 << 20 };

pub(crate) fn bits(value: &Val) -> u128 {
    match value {
        Val::I32(v) => u128::from(v.cast_unsigned()),
        Val::I64(v) => u128::from(v.cast_unsigned()),
        Val::F32(v) => u128::from(*v),
        Val::F64(v) => u128::from(*v),
        Val::V128(v) => v.as_u128(),
        other => panic!("not a plain value: {other:?}"),
    }
}

/// Normalise, and run `run` with zero arguments.
pub(crate) fn run(original: &[u8], back: Back, limits: Limits) -> Seen {
    let normalised = normalise(original).unwrap();
    let module = Module::new(engine(back), &normalised.module).unwrap();
    run_module(&module, Some(limits))
}

/// Run `run` of a compiled module; without limits it has no meter.
pub(crate) fn run_module(module: &Module, limits: Option<Limits>) -> Seen {
    let mut store = Store::new(module.engine(), ());
    let mut called = Ok(Vec::new());
    let instance = match Instance::new(&mut store, module, &[]) {
        Ok(instance) => instance,
        Err(error) => {
            return Seen {
                end: End::Trapped(*error.downcast_ref::<Trap>().unwrap()),
                fuel: 0,
                memory: blake3::hash(&[]),
                globals: Vec::new(),
            };
        }
    };
    for name in [START_EXPORT, "run"] {
        let Some(function) = instance.get_func(&mut store, name) else {
            continue;
        };
        if let Some(limits) = limits {
            let started = instance.get_func(&mut store, START_EXPORT).is_some();
            let first = name == START_EXPORT || !started;
            set(&instance, &mut store, first, limits);
        }
        let ty = function.ty(&store);
        let arguments: Vec<Val> = ty.params().map(|ty| Val::default_for_ty(&ty).unwrap()).collect();
        let mut results: Vec<Val> = ty.results().map(|_| Val::I32(0)).collect();
        called = function
            .call(&mut store, &arguments, &mut results)
            .map(|()| results.iter().map(bits).collect());
        if called.is_err() {
            break;
        }
    }
    let (fuel_left, stack_left) = match limits {
        Some(_) => (
            global(&instance, &mut store, FUEL_EXPORT).unwrap_i64(),
            global(&instance, &mut store, STACK_EXPORT).unwrap_i32(),
        ),
        None => (0, 0),
    };
    let end = match called {
        _ if fuel_left < 0 => End::Fuel,
        _ if stack_left < 0 => End::Stack,
        Ok(results) => End::Returned(results),
        Err(error) => End::Trapped(*error.downcast_ref::<Trap>().unwrap()),
    };
    let exports: Vec<(String, Extern)> = instance
        .exports(&mut store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    let mut memory = blake3::hash(&[]);
    let mut globals = Vec::new();
    for (name, export) in exports {
        if name.starts_with(normalise::RESERVED_PREFIX) {
            continue;
        }
        match export {
            Extern::Memory(found) => memory = blake3::hash(found.data(&store)),
            Extern::Global(found) if !matches!(found.ty(&store).content(), ValType::Ref(_)) => {
                let value = found.get(&mut store);
                globals.push(bits(&value));
            }
            _ => {}
        }
    }
    Seen { end, fuel: limits.map_or(0, |limits| limits.fuel - fuel_left), memory, globals }
}

fn set(instance: &Instance, store: &mut Store<()>, fuel_too: bool, limits: Limits) {
    if fuel_too {
        let fuel = instance.get_global(&mut *store, FUEL_EXPORT).unwrap();
        fuel.set(&mut *store, Val::I64(limits.fuel)).unwrap();
    }
    let stack = instance.get_global(&mut *store, STACK_EXPORT).unwrap();
    stack.set(&mut *store, Val::I32(limits.stack)).unwrap();
}

fn global(instance: &Instance, store: &mut Store<()>, name: &str) -> Val {
    let global = instance.get_global(&mut *store, name).unwrap();
    global.get(&mut *store)
}

/// Run on a thread whose native stack is large enough for any limit used here.
pub(crate) fn on_a_large_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(native_bytes() + (8 << 20))
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

/// Run everywhere; all must agree.
pub(crate) fn run_everywhere(original: &[u8], limits: Limits) -> Seen {
    let original = original.to_vec();
    on_a_large_stack(move || {
        let seen = run(&original, Back::Optimised, limits);
        for back in [Back::Plain, Back::Winch] {
            assert_eq!(run(&original, back, limits), seen, "{back:?}");
        }
        seen
    })
}
