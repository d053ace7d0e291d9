//! The two worlds a component may belong to: which of its exports is called, and with which types.
//!
//! A *command* (`wasi:cli/command`) reads and writes streams. A *function* (`ayni:function`,
//! `spec/wit/function.wit`) is given the task's standard input as one list of bytes and gives one
//! back: nothing has to be imported for that, so a function can be a pure one. Deliberately not
//! here: calling them (`run`), and modules, which are always commands.

use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentInstanceTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentExternalKind, PrimitiveValType};

/// What a component is called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// `wasi:cli/run@0.2.*`, function `run`.
    Command,
    /// `ayni:function/handler@1.*`, function `handle`.
    Function,
}

impl World {
    /// A component that exports both is called as a command.
    pub const ALL: [Self; 2] = [Self::Command, Self::Function];

    /// The exported interface, up to the part of its version that may differ.
    #[must_use]
    pub fn interface(self) -> &'static str {
        match self {
            Self::Command => "wasi:cli/run@0.2.",
            Self::Function => "ayni:function/handler@1.",
        }
    }

    /// The function that is called.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::Command => "run",
            Self::Function => "handle",
        }
    }

    /// The first world that one of the exports belongs to, and that export.
    pub fn find<'a>(exports: impl Iterator<Item = &'a str> + Clone) -> Option<(Self, &'a str)> {
        Self::ALL.into_iter().find_map(|world| {
            exports.clone().find(|name| name.starts_with(world.interface())).map(|n| (world, n))
        })
    }

    /// What the function takes and gives, in the words of the interface.
    fn signature(self) -> &'static str {
        match self {
            Self::Command => "func() -> result",
            Self::Function => "func(input: list<u8>) -> result<list<u8>, list<u8>>",
        }
    }

    /// Why an export that bears the interface's name can't be called.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn check(
        self,
        kind: ComponentExternalKind,
        index: u32,
        types: TypesRef<'_>,
    ) -> Result<(), String> {
        let (interface, function) = (self.interface().trim_end_matches('.'), self.function());
        let here = index < types.component_instance_count();
        if kind != ComponentExternalKind::Instance || !here {
            return Err(format!("exports `{interface}` as something other than an interface"));
        }
        let instance = types.component_instance_at(index);
        match self.fits(instance, types) {
            None => Err(format!("exports `{interface}` without a function `{function}`")),
            Some(false) => Err(format!(
                "exports `{interface}` with a function `{function}` of another type than `{}`",
                self.signature()
            )),
            Some(true) => Ok(()),
        }
    }

    fn fits(self, instance: ComponentInstanceTypeId, types: TypesRef<'_>) -> Option<bool> {
        let item = types.get(instance)?.exports.get(self.function())?;
        let ComponentEntityType::Func(function) = item.ty else { return None };
        let function = types.get(function)?;
        let params: Vec<_> = function.params.iter().map(|(_, ty)| *ty).collect();
        let result = function.result.and_then(|ty| match ty {
            ComponentValType::Type(id) => types.get(id),
            ComponentValType::Primitive(_) => None,
        });
        let Some(ComponentDefinedType::Result { ok, err, .. }) = result else { return Some(false) };
        let bytes = |ty: Option<ComponentValType>| ty.is_some_and(|ty| is_bytes(ty, types));
        Some(
            !function.async_
                && match self {
                    Self::Command => params.is_empty() && ok.is_none() && err.is_none(),
                    Self::Function => {
                        params.len() == 1 && is_bytes(params[0], types) && bytes(*ok) && bytes(*err)
                    }
                },
        )
    }
}

/// Whether a type is `list<u8>`.
fn is_bytes(ty: ComponentValType, types: TypesRef<'_>) -> bool {
    let ComponentValType::Type(id) = ty else { return false };
    let Some(ComponentDefinedType::List { element, .. }) = types.get(id) else { return false };
    match element {
        ComponentValType::Primitive(element) => *element == PrimitiveValType::U8,
        ComponentValType::Type(id) => {
            matches!(types.get(*id), Some(ComponentDefinedType::Primitive(PrimitiveValType::U8)))
        }
    }
}
