//! Options of `limits`.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use crate::quantity;

/// What to do with limits.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Change some; the others stay. It holds until it is set again, also after a restart.
    Set(Box<SetLimits>),
    /// Go back to those of the settings.
    Reset,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    Yes,
    No,
}

/// A limit that can be off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

impl FromStr for Limit<u32> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let number = text.trim_end_matches('%').trim().parse();
        number
            .map(|value| Self(Some(value)))
            .map_err(|_| format!("`{text}` is no number, nor `off`"))
    }
}

impl FromStr for Limit<u64> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        quantity::bytes(text).map(|value| Self(Some(value)))
    }
}

/// A time that can be off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Option<u32>);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let seconds = u32::try_from(quantity::duration_ms(text)? / 1_000);
        seconds.map(|value| Self(Some(value))).map_err(|_| format!("`{text}` is too long"))
    }
}

/// Limits to change.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct SetLimits {
    /// Tasks at once.
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Memory of all tasks together.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) memory: Option<u64>,
    /// Disk for blobs.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) disk: Option<u64>,
    /// Price per 1,000,000,000 fuel, in the token's smallest unit.
    #[arg(long, value_name = "AMOUNT", value_parser = quantity::amount)]
    pub(crate) price: Option<u128>,
    /// So many hundredths more while all slots are leased.
    #[arg(long, value_name = "N")]
    pub(crate) busy_percent: Option<u32>,
    /// When it is lent: `mon-fri 22:00-07:00`, `sat,sun`, `daily 20:00-24:00` (several times), or
    /// `always`.
    #[arg(long, value_name = "HOURS")]
    pub(crate) hours: Vec<String>,
    /// Work on battery.
    #[arg(long, value_name = "WORD")]
    pub(crate) on_battery: Option<YesNo>,
    /// Work while the network is billed by volume.
    #[arg(long, value_name = "WORD")]
    pub(crate) metered: Option<YesNo>,
    /// Rest until nobody has touched keyboard, mouse or terminal for so long (`3m`), or `off`.
    #[arg(long, value_name = "TIME")]
    pub(crate) in_use: Option<Seconds>,
    /// Rest while other programs use more of all cores, in percent, or `off`.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) others_cpu: Option<Limit<u32>>,
    /// Rest while less of the memory is available, in percent, or `off`.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) free_memory: Option<Limit<u32>>,
    /// Rest above so many degrees Celsius, or `off`.
    #[arg(long, value_name = "DEGREES")]
    pub(crate) temperature: Option<Limit<u32>>,
    /// Rest when so much was sent and received in a day, or `off`.
    #[arg(long, value_name = "SIZE")]
    pub(crate) transfer: Option<Limit<u64>>,
}
