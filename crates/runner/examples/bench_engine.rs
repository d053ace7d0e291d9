//! Processor time of programs in the contract's engine, beside wasmtime metering by itself and not
//! at all, in one process: what `cargo xtask bench run` starts and makes a table of.
//!
//! `bench_engine ROUNDS [-- NAME [--file HOST:GUEST]… PROGRAM [ARGS…]]…`
//! Prints a line for each run: program, round, variant, nanoseconds of processor time, fuel. The
//! variants of a program take turns, in another order each round, so that a disturbance of the
//! machine meets all of them; each must print what the first one printed. Compiling and start-up
//! are not in the time. Deliberately not here: jails, and what the figures mean.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use ayni_runner::check::ProgramKind;
use ayni_runner::cpu::thread_cpu_ns;
use ayni_runner::engine::{HOST_STACK_BYTES, Meter, config, native_stack_bytes};
use ayni_runner::host::Host;
use ayni_runner::mapped::Mapped;
use ayni_runner::normalise::normalise;
use ayni_runner::preview1::{self, Fds};
use ayni_runner::run::{Limiter, State};
use ayni_runner::stop::Stop;
use ayni_runner::vfs::Blobs;
use ayni_types::{
    Digest, EngineId, Fault, FaultKind, GuestPath, Limits, Mount, MountKind, TaskSpec,
};
use ayni_wire::runner::CompileHow;
use wasmtime::component::ResourceTable;
use wasmtime::{
    Engine, Global, GlobalType, Instance, Linker, Module, Mutability, Store, Val, ValType,
};

/// Where fuel is counted, and who makes NaN bits canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// The contract: the normaliser does both.
    Contract,
    /// Wasmtime's fuel; NaN bits as the machine likes them.
    Fuel,
    /// Neither.
    Bare,
    /// Wasmtime's fuel and the compiler's canonicalisation flag: promises what the contract does.
    FuelAndFlag,
}

impl Variant {
    const ALL: [Self; 4] = [Self::Contract, Self::Fuel, Self::Bare, Self::FuelAndFlag];

    fn name(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Fuel => "fuel",
            Self::Bare => "bare",
            Self::FuelAndFlag => "fuel+flag",
        }
    }
}

/// One program and what it is given.
struct Work {
    name: String,
    task: TaskSpec,
    inputs: Inputs,
    compiled: Vec<(Variant, Module)>,
}

#[derive(Clone, Default)]
struct Inputs(HashMap<Digest, PathBuf>);

impl Blobs for Inputs {
    fn open(&mut self, digest: Digest) -> Result<Mapped, Stop> {
        let lacking =
            |detail: String| Stop::Fault(Fault { kind: FaultKind::InputUnavailable, detail });
        let path = self.0.get(&digest).ok_or_else(|| lacking(digest.short()))?;
        File::open(path)
            .and_then(|file| Mapped::whole(file, u64::MAX))
            .map_err(|e| lacking(format!("{}: {e}", path.display())))
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut parts = arguments.split(|word| word == "--");
    let rounds: usize = match parts.next() {
        Some([rounds]) => rounds.parse().with_context(|| format!("`{rounds}` rounds"))?,
        _ => bail!("usage: bench_engine ROUNDS [-- NAME [--file HOST:GUEST]… PROGRAM [ARGS…]]…"),
    };
    let mut works = parts.map(Work::new).collect::<Result<Vec<_>>>()?;
    let stack = native_stack_bytes(Limits::default().stack_bytes)? + HOST_STACK_BYTES;
    std::thread::scope(|scope| {
        let guest = std::thread::Builder::new().stack_size(stack);
        let guest = guest.spawn_scoped(scope, || run_all(&mut works, rounds))?;
        guest.join().unwrap_or_else(|_| bail!("the thread of the guests panicked"))
    })
}

fn run_all(works: &mut [Work], rounds: usize) -> Result<()> {
    for work in works.iter_mut() {
        let mut expected = None;
        for round in 0..=rounds {
            // The first round warms up and is not shown.
            let mut order: Vec<usize> = (0..work.compiled.len()).collect();
            let turn = round % order.len();
            order.rotate_left(turn);
            for index in order {
                let (variant, module) = &work.compiled[index];
                let ran = work.run(*variant, module)?;
                let expected = expected.get_or_insert_with(|| ran.printed.clone());
                ensure!(
                    ran.printed == *expected,
                    "{} prints something else under {}",
                    work.name,
                    variant.name()
                );
                if round > 0 {
                    let (cpu_ns, fuel) = (ran.cpu_ns, ran.fuel);
                    println!("{}\t{round}\t{}\t{cpu_ns}\t{fuel}", work.name, variant.name());
                }
            }
        }
    }
    Ok(())
}

struct Ran {
    cpu_ns: u64,
    fuel: u64,
    printed: Vec<u8>,
}

impl Work {
    fn new(words: &[String]) -> Result<Self> {
        let mut words = words.iter();
        let name = words.next().context("a name after `--`")?.clone();
        let mut inputs = Inputs::default();
        let mut mounts = Vec::new();
        let program = loop {
            let word = words.next().with_context(|| format!("which program is `{name}`?"))?;
            if word != "--file" {
                break Path::new(word);
            }
            let (host, guest) =
                words.next().and_then(|w| w.rsplit_once(':')).context("--file HOST:GUEST")?;
            let bytes = std::fs::read(host).with_context(|| format!("`{host}`"))?;
            let blob = ayni_wire::digest(&bytes);
            inputs.0.insert(blob, host.into());
            mounts.push(Mount { path: GuestPath::new(guest)?, kind: MountKind::File, blob });
        };
        let bytes = std::fs::read(program).with_context(|| format!("`{}`", program.display()))?;
        let mut args = vec![name.clone()];
        args.extend(words.cloned());
        let task = TaskSpec {
            engine: EngineId::wasi1(),
            program: ayni_wire::digest(&bytes),
            args,
            env: Vec::new(),
            stdin: None,
            mounts,
            limits: Limits::default(),
            blind: None,
        };
        let compile = |variant| Ok((variant, compile(&bytes, variant, task.limits.stack_bytes)?));
        let compiled = Variant::ALL.into_iter().map(compile).collect::<Result<_>>()?;
        Ok(Self { name, task, inputs, compiled })
    }

    /// One run; the time is that of the entry function alone.
    fn run(&self, variant: Variant, module: &Module) -> Result<Ran> {
        let mut host = Host::new(&self.task, Box::new(self.inputs.clone()))?;
        let fds = Fds::new(&mut host.vfs);
        let limiter = Limiter::new(self.task.limits.memory_bytes);
        let table = ResourceTable::new();
        let state = State { host, fds, memory: None, meter: None, table, limiter };
        let mut store = Store::new(module.engine(), state);
        store.limiter(|state| &mut state.limiter);
        if matches!(variant, Variant::Fuel | Variant::FuelAndFlag) {
            store.set_fuel(u64::MAX)?;
        }
        let mut linker = Linker::new(module.engine());
        preview1::link(&mut linker)?;
        let instance = linker.instantiate(&mut store, module)?;
        let meter = meter(variant, &instance, &mut store)?;
        store.data_mut().meter = Some(meter);
        store.data_mut().limiter.started();
        meter.set_fuel(&mut store, self.task.limits.fuel.0)?;
        meter.set_stack(&mut store, self.task.limits.stack_bytes)?;
        let entry = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        let began = thread_cpu_ns();
        let ended = entry.call(&mut store, ());
        let cpu_ns = thread_cpu_ns() - began;
        if let Err(error) = ended {
            match error.downcast_ref::<Stop>() {
                Some(Stop::Exit(0)) => {}
                _ => bail!("{} under {}: {error:#}", self.name, variant.name()),
            }
        }
        let fuel = match variant {
            Variant::Bare => 0,
            Variant::Contract => {
                let left = meter.fuel(&mut store);
                self.task.limits.fuel.0 - u64::try_from(left).context("fuel ran out")?
            }
            Variant::Fuel | Variant::FuelAndFlag => u64::MAX - store.get_fuel()?,
        };
        Ok(Ran { cpu_ns, fuel, printed: store.into_data().host.stdout })
    }
}

/// The one configuration, but for what is compared.
fn compile(program: &[u8], variant: Variant, stack_bytes: u32) -> Result<Module> {
    let mut config = config(CompileHow::Optimised, ProgramKind::Module, stack_bytes)?;
    match variant {
        Variant::Contract => {
            let normalised = normalise(program)?;
            return Ok(Module::new(&Engine::new(&config)?, normalised.module)?);
        }
        Variant::Fuel => config.consume_fuel(true),
        Variant::Bare => &mut config,
        Variant::FuelAndFlag => config.consume_fuel(true).cranelift_nan_canonicalization(true),
    };
    Ok(Module::new(&Engine::new(&config)?, program)?)
}

/// Host calls charge somewhere under every variant.
fn meter(variant: Variant, instance: &Instance, store: &mut Store<State>) -> Result<Meter> {
    if variant == Variant::Contract {
        return Meter::of(instance, store).context("the normalised module has no meter");
    }
    let mut global =
        |ty, zero| Global::new(&mut *store, GlobalType::new(ty, Mutability::Var), zero);
    let fuel = global(ValType::I64, Val::I64(0))?;
    Ok(Meter::apart(fuel, global(ValType::I32, Val::I32(0))?))
}
