//! Settings: one struct, put together once from flags > environment > file > default.
//!
//! Each source is a [`Layer`] of options; the first layer that says something wins. Bad settings
//! fail here, before any port opens. The command line and `ayni dev` build layers; nothing else
//! reads the environment or the file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ayni_types::{Account, Amount, Energy, IdError, Price};
use serde::Deserialize;

use crate::owner::limits::{BadLimit, Has, Hours, Limits};

/// One source of settings. Absent means: ask the next one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layer {
    /// Addresses for peers, e.g. `0.0.0.0:4550`.
    pub listen: Option<Vec<SocketAddr>>,
    /// Bind to every interface and look for peers on the local network.
    pub lan: Option<bool>,
    /// Tickets or node addresses of peers.
    pub peers: Option<Vec<String>>,
    /// Relays to be reachable through, as URLs.
    pub relays: Option<Vec<String>>,
    /// Serve a relay here.
    pub serve_relay: Option<SocketAddr>,
    /// Keep and answer offers for others.
    pub directory: Option<bool>,
    /// Address of the local API.
    pub api: Option<SocketAddr>,
    /// Run tasks for others.
    pub provide: Option<bool>,
    /// Cores lent.
    pub cpus: Option<u32>,
    /// Memory lent, e.g. `4GiB`.
    pub memory: Option<String>,
    /// Disk lent for blobs, e.g. `10GiB`.
    pub disk: Option<String>,
    /// Price per 10⁹ fuel, in the token's smallest unit; before that of the table `[price]`.
    pub price_per_gigafuel: Option<u128>,
    /// What is asked, and how it follows the load.
    pub price: Option<PriceLayer>,
    /// What work takes from the grid, as the owner declares it.
    pub energy: Option<EnergyLayer>,
    /// Stake reserved for each lease, in the token's smallest unit. Only a number until contracts
    /// hold it.
    pub stake: Option<u128>,
    /// Pay that requesters may hold back until their audits are done [all of it].
    pub hold_back: Option<u128>,
    /// Country code shown in offers.
    pub region: Option<String>,
    /// Work also on battery.
    pub on_battery: Option<bool>,
    /// When to rest.
    pub limits: Option<LimitsLayer>,
    /// Own cores used for audits and own tasks.
    pub home_cpus: Option<u32>,
    /// End when nothing has run and nobody has asked for so many seconds.
    pub exit_when_idle_s: Option<u64>,
    /// Lie (development builds only): the strategy.
    pub cheat: Option<String>,
    /// An account on a chain, to pay and be paid with.
    pub pay: Option<PayLayer>,
}

/// The table `[limits]`: when a provider rests. `ayni limits set` changes it while it runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsLayer {
    /// When it is lent: `mon-fri 22:00-07:00`, `sat,sun`, `daily 20:00-24:00`; without it, always.
    pub hours: Option<Vec<String>>,
    /// Work also while the network is billed by volume.
    pub metered: Option<bool>,
    /// Rest until nobody has touched keyboard, mouse or terminal for so many seconds.
    pub in_use_s: Option<u32>,
    /// Rest while other programs use more than this percentage of all cores.
    pub others_cpu_percent: Option<u32>,
    /// Rest while less than this percentage of the memory is available.
    pub free_memory_percent: Option<u32>,
    /// Rest above this temperature, in degrees Celsius.
    pub temperature_max: Option<u32>,
    /// Rest when so much was sent and received in a day, e.g. `20GiB`.
    pub transfer_per_day: Option<String>,
}

/// The table `[price]`: what a provider asks, in the token's smallest unit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceLayer {
    /// Per 10⁹ fuel, while no slot is leased.
    pub per_gigafuel: Option<u128>,
    /// Per MiB of code compiled.
    pub per_code_mebibyte: Option<u128>,
    /// Per MiB of inputs and outputs.
    pub per_data_mebibyte: Option<u128>,
    /// So many hundredths more while all slots are leased; in between by a straight line.
    pub busy_percent: Option<u32>,
}

/// The table `[energy]`: what a provider's owner declares. Nobody verifies it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnergyLayer {
    /// Power that one busy slot draws; or both of the next two.
    pub watts_per_slot: Option<u32>,
    /// Power of the whole machine at rest.
    pub watts_idle: Option<u32>,
    /// Power of the whole machine with all slots busy.
    pub watts_busy: Option<u32>,
    /// What a kilowatt-hour costs here, in the token's smallest unit.
    pub price_per_kwh: Option<u128>,
    /// Greenhouse gas for a kilowatt-hour, in grams of CO2 equivalent.
    pub grams_co2_per_kwh: Option<u32>,
}

/// The table `[pay]`. Paths are relative to the home.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayLayer {
    /// JSON-RPC of a node of the chain, as a URL.
    pub rpc: String,
    /// Where the contracts are: a file that `ayni ledger` writes.
    pub contracts: PathBuf,
    /// Whose money: an account of this home's keystore (`0x…`).
    pub account: String,
    /// First line: the account's password. Readable by its owner only.
    pub password_file: PathBuf,
    /// What a channel is opened with, and topped up by, in the token's smallest unit.
    pub deposit: Option<u128>,
    /// How far ahead of its bills a provider that was not paid before is promised.
    pub step_first: Option<u128>,
    /// The same for any provider, at most.
    pub step_max: Option<u128>,
    /// As a provider: how far ahead of its bills it wants vouchers to be.
    pub step: Option<u128>,
    /// As a provider: requesters may take deposits back so many seconds after they said so.
    pub withdraw_delay_s: Option<u64>,
    /// As a requester: providers that want more than this are not used, in seconds.
    pub withdraw_delay_s_max: Option<u64>,
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("`{}`: {source}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{name} = `{value}`: {why}")]
    Value {
        /// Setting.
        name: &'static str,
        /// Given.
        value: String,
        /// Why not.
        why: String,
    },
    /// A provider's limit makes no sense.
    #[error(transparent)]
    Limit(#[from] BadLimit),
}

impl Layer {
    /// Reads `config.toml` of a home; an absent file is an empty layer.
    ///
    /// # Errors
    /// When it can't be read or has a field that does not exist.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|source| ConfigError::Parse {
                path: path.to_owned(),
                source: Box::new(source),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// This layer, with what it leaves open taken from `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            lan: self.lan.or(below.lan),
            peers: self.peers.or(below.peers),
            relays: self.relays.or(below.relays),
            serve_relay: self.serve_relay.or(below.serve_relay),
            directory: self.directory.or(below.directory),
            api: self.api.or(below.api),
            provide: self.provide.or(below.provide),
            cpus: self.cpus.or(below.cpus),
            memory: self.memory.or(below.memory),
            disk: self.disk.or(below.disk),
            price_per_gigafuel: self.price_per_gigafuel.or(below.price_per_gigafuel),
            price: self.price.or(below.price),
            energy: self.energy.or(below.energy),
            stake: self.stake.or(below.stake),
            hold_back: self.hold_back.or(below.hold_back),
            region: self.region.or(below.region),
            on_battery: self.on_battery.or(below.on_battery),
            limits: self.limits.or(below.limits),
            home_cpus: self.home_cpus.or(below.home_cpus),
            exit_when_idle_s: self.exit_when_idle_s.or(below.exit_when_idle_s),
            cheat: self.cheat.or(below.cheat),
            pay: self.pay.or(below.pay),
        }
    }
}

/// What a node is told, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Home folder.
    pub home: PathBuf,
    /// Addresses for peers.
    pub listen: Vec<SocketAddr>,
    /// Nobody said where to listen: a ticket of another machine may widen it.
    pub listen_default: bool,
    /// Look for peers on the local network.
    pub mdns: bool,
    /// Tickets or node addresses.
    pub peers: Vec<String>,
    /// Relay URLs.
    pub relays: Vec<String>,
    /// Relay to serve.
    pub serve_relay: Option<SocketAddr>,
    /// Directory role.
    pub directory: bool,
    /// Address of the local API.
    pub api: SocketAddr,
    /// What is lent, if anything.
    pub provide: Option<Provide>,
    /// Own cores used for audits and own tasks.
    pub home_cpus: u32,
    /// Memory one own task may ask for, in bytes.
    pub home_memory_bytes: u64,
    /// End when idle so long.
    pub exit_when_idle: Option<Duration>,
    /// How to lie; always `None` in a release build.
    pub cheat: Option<String>,
    /// With what to pay and be paid.
    pub pay: Option<Pay>,
}

/// An account on a chain and how its money is used. Amounts are in the token's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pay {
    /// JSON-RPC of a node of the chain.
    pub rpc: String,
    /// File with the contracts' addresses, relative to the home.
    pub contracts: PathBuf,
    /// Whose money.
    pub account: Account,
    /// File with its password, relative to the home.
    pub password_file: PathBuf,
    /// What a channel is opened with.
    pub deposit: Amount,
    /// How far ahead of its bills a new provider is promised.
    pub step_first: Amount,
    /// The same for any.
    pub step_max: Amount,
    /// How far ahead of its bills this node wants vouchers to be.
    pub step: Amount,
    /// Deposits must stay so long after notice, in seconds.
    pub withdraw_delay_s: u64,
    /// Providers that want more than this are not used, in seconds.
    pub withdraw_delay_s_max: u64,
}

impl Pay {
    fn new(layer: PayLayer) -> Result<Self, ConfigError> {
        let account = layer.account.parse().map_err(|error: IdError| ConfigError::Value {
            name: "pay.account",
            value: layer.account.clone(),
            why: error.to_string(),
        })?;
        let deposit = layer.deposit.unwrap_or(10_000_000);
        let step_first = layer.step_first.unwrap_or(100_000);
        let step_max = layer.step_max.unwrap_or(5_000_000);
        let orders =
            [("pay.step_first", step_first, step_max), ("pay.step_max", step_max, deposit)];
        for (name, less, more) in orders {
            if less > more || less == 0 {
                let why = format!("it is promised at once, so give 1 to {more}");
                return Err(ConfigError::Value { name, value: less.to_string(), why });
            }
        }
        let withdraw_delay_s = layer.withdraw_delay_s.unwrap_or(86_400);
        if !(900..=2_592_000).contains(&withdraw_delay_s) {
            return Err(ConfigError::Value {
                name: "pay.withdraw_delay_s",
                value: withdraw_delay_s.to_string(),
                why: "the contract takes 900 (15 minutes) to 2592000 (30 days)".to_owned(),
            });
        }
        Ok(Self {
            rpc: layer.rpc,
            contracts: layer.contracts,
            account,
            password_file: layer.password_file,
            deposit: Amount(deposit),
            step_first: Amount(step_first),
            step_max: Amount(step_max),
            step: Amount(layer.step.unwrap_or(1_000_000)),
            withdraw_delay_s,
            withdraw_delay_s_max: layer.withdraw_delay_s_max.unwrap_or(7 * 86_400),
        })
    }
}

/// What a provider lends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provide {
    /// What its owner can change while it runs.
    pub limits: Limits,
    /// Stake reserved for each lease.
    pub stake: Amount,
    /// Pay that may be held back.
    pub hold_back: Amount,
    /// What its work takes, if its owner declares it.
    pub power: Option<Power>,
    /// Country code.
    pub region: Option<String>,
}

/// What work takes, as its owner declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Power {
    /// What offers say.
    pub energy: Energy,
    /// What the owner pays for a kilowatt-hour.
    pub price_per_kwh: Amount,
}

impl Power {
    fn new(layer: &EnergyLayer, slots: u32) -> Result<Self, ConfigError> {
        let wrong = |name, value: String, why: &str| {
            Err(ConfigError::Value { name, value, why: why.to_owned() })
        };
        let milliwatts = match (layer.watts_per_slot, layer.watts_idle, layer.watts_busy) {
            (Some(watts), None, None) => u64::from(watts) * 1_000,
            (None, Some(idle), Some(busy)) if busy >= idle => {
                u64::from(busy - idle) * 1_000 / u64::from(slots.max(1))
            }
            (None, Some(idle), Some(busy)) => {
                let why = format!("a busy machine draws no less than an idle one ({idle} W)");
                return wrong("energy.watts_busy", busy.to_string(), &why);
            }
            (slot, ..) => {
                let given = slot.map_or("…".to_owned(), |watts| watts.to_string());
                let why = "give it alone, or watts_idle and watts_busy of the whole machine";
                return wrong("energy.watts_per_slot", given, why);
            }
        };
        let Ok(slot_milliwatts) = u32::try_from(milliwatts) else {
            let why = "more than a machine can draw";
            return wrong("energy", format!("{} W a slot", milliwatts / 1_000), why);
        };
        let grams_per_kwh = layer.grams_co2_per_kwh.unwrap_or(0);
        Ok(Self {
            energy: Energy { slot_milliwatts, grams_per_kwh },
            price_per_kwh: Amount(layer.price_per_kwh.unwrap_or(0)),
        })
    }
}

/// What this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Logical cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Machine {
    /// Asks the operating system.
    #[must_use]
    pub fn read() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
        let system = rustix::system::sysinfo();
        #[allow(clippy::unnecessary_cast)] // its width depends on the target
        let memory_bytes = system.totalram as u64 * u64::from(system.mem_unit);
        Self { cpus: u32::try_from(cpus).unwrap_or(u32::MAX), memory_bytes }
    }

    /// The most that can be lent.
    pub(crate) fn has(&self) -> Has {
        Has { cpus: self.cpus, memory_bytes: self.memory_bytes }
    }
}

impl Config {
    /// Fills in the defaults for this machine and checks everything.
    ///
    /// # Errors
    /// Names the setting that makes no sense.
    pub fn new(home: PathBuf, layer: Layer, machine: Machine) -> Result<Self, ConfigError> {
        let value = |name, value: &dyn std::fmt::Display, why: &str| ConfigError::Value {
            name,
            value: value.to_string(),
            why: why.to_owned(),
        };
        let size = |name, text: &str| parse_size(text).map_err(|why| value(name, &text, &why));
        let peers = layer.peers.unwrap_or_default();
        let lan = layer.lan.unwrap_or(false);
        let any = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listen_default = layer.listen.is_none() && !lan;
        let listen = layer.listen.unwrap_or_else(|| vec![if lan { any(0) } else { local(0) }]);
        if listen.is_empty() {
            return Err(value("listen", &"[]", "at least one address is needed"));
        }
        let api = layer.api.unwrap_or(local(0));
        if !api.ip().is_loopback() {
            return Err(value("api", &api, "the API serves this machine only: use 127.0.0.1"));
        }
        let provide = if layer.provide.unwrap_or(false) {
            let slots = layer.cpus.unwrap_or((machine.cpus / 2).max(1));
            let memory_bytes = match &layer.memory {
                Some(text) => size("memory", text)?,
                None => machine.memory_bytes / 4,
            };
            let disk_bytes = match &layer.disk {
                Some(text) => size("disk", text)?,
                None => 10 << 30,
            };
            let price = layer.price.unwrap_or_default();
            let part = |given: Option<u128>, default| Amount(given.unwrap_or(default));
            let rest = layer.limits.unwrap_or_default();
            let transfer = rest.transfer_per_day.as_deref();
            let limits = Limits {
                cpus: slots,
                memory_bytes,
                disk_bytes,
                price: Price {
                    per_gigafuel: part(layer.price_per_gigafuel.or(price.per_gigafuel), 1_000),
                    per_code_mebibyte: part(price.per_code_mebibyte, 100),
                    per_data_mebibyte: part(price.per_data_mebibyte, 10),
                },
                busy_percent: price.busy_percent.unwrap_or(0),
                hours: Hours::read(&rest.hours.unwrap_or_default())?,
                on_battery: layer.on_battery.unwrap_or(false),
                metered: rest.metered.unwrap_or(false),
                in_use_s: rest.in_use_s,
                others_cpu_percent: rest.others_cpu_percent,
                free_memory_percent: rest.free_memory_percent,
                temperature_max: rest.temperature_max,
                transfer_per_day_bytes: transfer
                    .map(|text| size("limits.transfer_per_day", text))
                    .transpose()?,
            };
            limits.check(machine.has())?;
            Some(Provide {
                limits,
                stake: Amount(layer.stake.unwrap_or(0)),
                hold_back: Amount(layer.hold_back.unwrap_or({
                    // Where prices are only counted, all of them may be.
                    if layer.pay.is_some() { 0 } else { u128::MAX }
                })),
                power: layer.energy.map(|energy| Power::new(&energy, slots)).transpose()?,
                region: layer.region,
            })
        } else {
            None
        };
        if layer.cheat.is_some() && !cfg!(debug_assertions) {
            return Err(value("cheat", &"…", "only a development build can lie"));
        }
        let pay = layer.pay.map(Pay::new).transpose()?;
        Ok(Self {
            home,
            pay,
            mdns: lan,
            listen,
            listen_default,
            peers,
            relays: layer.relays.unwrap_or_default(),
            serve_relay: layer.serve_relay,
            directory: layer.directory.unwrap_or(true),
            api,
            provide,
            home_cpus: layer.home_cpus.unwrap_or((machine.cpus / 2).max(1)),
            home_memory_bytes: machine.memory_bytes / 4,
            exit_when_idle: layer.exit_when_idle_s.map(Duration::from_secs),
            cheat: layer.cheat,
        })
    }
}

/// Reads `512MiB`, `4GiB`, `1.5GB`, `1000`: bytes.
///
/// # Errors
/// Says what is wrong.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "kb" => 1_000,
        "m" | "mib" => 1 << 20,
        "mb" => 1_000_000,
        "g" | "gib" => 1 << 30,
        "gb" => 1_000_000_000,
        "t" | "tib" => 1 << 40,
        "tb" => 1_000_000_000_000,
        other => return Err(format!("unknown unit `{other}`; use MiB, GiB, MB or GB")),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 6 || (whole.is_empty() && part.is_empty()) {
        return Err("not a size; write it like `512MiB`".to_owned());
    }
    let digits =
        |s: &str| if s.is_empty() { Ok(0_u64) } else { s.parse().map_err(|_| "not a number") };
    let scale = 10_u64.pow(u32::try_from(part.len()).unwrap_or(0));
    let whole = digits(whole)?.checked_mul(unit).ok_or("too large")?;
    let part = u128::from(digits(part)?) * u128::from(unit) / u128::from(scale);
    whole.checked_add(u64::try_from(part).map_err(|_| "too large")?).ok_or("too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { cpus: 8, memory_bytes: 16 << 30 };

    const GOOD: &str = "0x0101010101010101010101010101010101010101";
    const PAY: &str = "[pay]\nrpc = \"x\"\ncontracts = \"c\"\naccount = \"0x12\"\n\
                       password_file = \"p\"\nwithdraw_delay_s = 90";

    fn config(toml: &str) -> Result<Config, String> {
        let layer: Layer = toml::from_str(toml).map_err(|e| e.to_string())?;
        Config::new("/h".into(), layer, MACHINE).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_lend_half_the_cores_and_a_quarter_of_the_memory_and_stay_on_loopback() {
        let config = config("provide = true").unwrap();
        let limits = config.provide.unwrap().limits;
        assert_eq!((limits.cpus, limits.memory_bytes), (4, 4 << 30));
        assert!(config.listen.iter().all(|a| a.ip().is_loopback()));
        assert!(!config.mdns);
    }

    #[test]
    fn the_first_layer_that_speaks_wins() {
        let flag = Layer { cpus: Some(1), ..Layer::default() };
        let file = Layer { cpus: Some(2), region: Some("PE".into()), ..Layer::default() };
        let both = flag.over(file);
        assert_eq!((both.cpus, both.region.as_deref()), (Some(1), Some("PE")));
    }

    #[test]
    fn bad_settings_are_named() {
        for (toml, part) in [
            ("provide = true\ncpus = 0", "cpus = `0`"),
            ("provide = true\nmemory = \"1TiB\"", "memory_bytes = `1099511627776`"),
            ("provide = true\n[limits]\nhours = [\"mo 1:00-2:00\"]", "hours = `mo 1:00-2:00`"),
            ("provide = true\n[limits]\ntemperature_max = 7", "temperature_max = `7`"),
            ("provide = true\n[limits]\nhour = 7", "unknown field `hour`"),
            ("provide = true\nmemory = \"many\"", "unit `many`"),
            ("api = \"0.0.0.0:80\"", "api = `0.0.0.0:80`"),
            ("listen = []", "listen"),
            ("cpu = 3", "unknown field `cpu`"),
            ("provide = true\n[price]\nbusy_percent = 20_000", "busy_percent = `20000`"),
            ("[price]\nper_giga = 1", "unknown field `per_giga`"),
            ("provide = true\n[energy]\nwatts_idle = 5", "energy.watts_per_slot"),
            ("provide = true\n[energy]\nwatts_idle = 5\nwatts_busy = 4", "energy.watts_busy = `4`"),
            (PAY, "pay.account = `0x12`"),
            (
                &PAY.replace("0x12", GOOD).replace("withdraw_delay_s = 90", "step_max = 0"),
                "step_first",
            ),
            (&PAY.replace("0x12", GOOD), "15 minutes"),
        ] {
            let error = config(toml).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn prices_are_read_and_the_flag_wins() {
        let table =
            "provide = true\n[price]\nper_gigafuel = 5\nper_data_mebibyte = 0\nbusy_percent = 50";
        let layer: Layer = toml::from_str(table).unwrap();
        let flag = Layer { price_per_gigafuel: Some(7), ..Layer::default() };
        for (layer, fuel) in [(layer.clone(), 5), (flag.over(layer), 7)] {
            let provide = Config::new("/h".into(), layer, MACHINE).unwrap().provide.unwrap();
            let (price, busy) = (provide.limits.price, provide.limits.busy_percent);
            assert_eq!((price.per_gigafuel, price.per_code_mebibyte), (Amount(fuel), Amount(100)));
            assert_eq!((price.per_data_mebibyte, busy), (Amount(0), 50));
        }
    }

    #[test]
    fn a_slots_power_is_given_or_follows_from_the_whole_machine() {
        for (text, milliwatts) in
            [("watts_per_slot = 9", 9_000), ("watts_idle = 20\nwatts_busy = 50", 7_500)]
        {
            let toml = format!("provide = true\n[energy]\ngrams_co2_per_kwh = 210\n{text}");
            let power = config(&toml).unwrap().provide.unwrap().power.unwrap();
            let energy = Energy { slot_milliwatts: milliwatts, grams_per_kwh: 210 };
            assert_eq!(power, Power { energy, price_per_kwh: Amount(0) });
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("1000", 1_000), ("512MiB", 512 << 20), ("1.5 GB", 1_500_000_000), (".5k", 512)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "1.2.3", "99999999999TiB", "1PiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
