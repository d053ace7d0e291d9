//! `wasi:sockets`: importable, never usable.
//!
//! Bound by looking at what the component imports, since no function of it does anything: those
//! that can fail do so with `not-supported`, all others need a socket first, which nobody has.

use std::collections::BTreeMap;

use ayni_types::TrapCode;
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, Linker, ResourceType, Val};

use super::types::{InputStream, IoError, OutputStream, Pollable};
use crate::run::State;
use crate::stop::Stop;

const NOT_A_SOCKET: Stop = Stop::Trap(TrapCode::CanonicalAbi);

/// `network`, the one resource that can be had without failing.
struct Network;

pub(super) fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    let mut kinds = BTreeMap::new();
    let ty = component.component_type();
    for (interface, item) in ty.imports(&engine) {
        let ComponentItem::ComponentInstance(exports) = item.ty else { continue };
        if !interface.starts_with("wasi:sockets/") {
            continue;
        }
        let mut instance = linker.instance(interface)?;
        for (name, item) in exports.exports(&engine) {
            match item.ty {
                ComponentItem::Resource(_) => {
                    let next = u32::try_from(kinds.len()).unwrap_or(u32::MAX);
                    let ty = match name {
                        "pollable" => ResourceType::host::<Pollable>(),
                        "error" => ResourceType::host::<IoError>(),
                        "input-stream" => ResourceType::host::<InputStream>(),
                        "output-stream" => ResourceType::host::<OutputStream>(),
                        "network" => ResourceType::host::<Network>(),
                        other => ResourceType::host_dynamic(
                            *kinds.entry(other.to_owned()).or_insert(next),
                        ),
                    };
                    instance.resource(name, ty, |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) if name == "instance-network" => {
                    instance.func_wrap(name, |_, (): ()| {
                        Ok((wasmtime::component::Resource::<Network>::new_own(0),))
                    })?;
                }
                ComponentItem::ComponentFunc(_) => {
                    instance.func_new(name, |mut store, ty, params, results| {
                        // Borrowed handles are given back by hand where types are not known.
                        for param in params {
                            if let Val::Resource(handle) = param {
                                handle.resource_drop(&mut store)?;
                            }
                        }
                        let fails = ty.results().next().and_then(|result| match result {
                            Type::Result(result) => result.err(),
                            _ => None,
                        });
                        let (Some(Type::Enum(_)), [result]) = (fails, results) else {
                            return Err(NOT_A_SOCKET.into());
                        };
                        let code = Box::new(Val::Enum("not-supported".to_owned()));
                        *result = Val::Result(Err(Some(code)));
                        Ok(())
                    })?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
