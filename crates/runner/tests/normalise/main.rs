//! The normaliser against the compilers: what a normalised program does, spends and shows must
//! not depend on who compiles it. One binary, because linking a compiler is dear.

mod component;
mod fuel;
mod generate;
mod host;
mod nan;
mod refuse;
mod stack;
