//! `ayni limits` and `ayni pause`: what the machine's owner lends, and when.
//!
//! The node holds the limits and says what is wrong with them; here they are read, shown and
//! changed one at a time. Times that people mean (`until tomorrow`) become seconds here, by this
//! machine's clock and zone.

use ayni_api::json::{OwnerLimits, PauseRequest, ProviderStatus};
use ayni_api::{ApiError, Client, codes};
use jiff::civil::Time;
use jiff::{ToSpan, Unit, Zoned};

use crate::args::{LimitsCommand, SetLimits, YesNo};
use crate::quantity::{duration_ms, show_bytes, show_ms};
use crate::table::facts;
use crate::ui::{Ui, escape};

/// When tomorrow begins for somebody who says "until tomorrow".
const MORNING: Time = Time::constant(6, 0, 0, 0);

/// `ayni limits`.
pub(crate) async fn run(
    client: &Client,
    command: Option<LimitsCommand>,
    ui: &Ui,
) -> Result<(), ApiError> {
    let limits = match command {
        None => client.limits().await?,
        Some(LimitsCommand::Set(change)) => {
            let mut limits = client.limits().await?;
            set(&mut limits, *change);
            client.set_limits(&limits).await?
        }
        Some(LimitsCommand::Reset) => client.reset_limits().await?,
    };
    let provider = client.provider().await?;
    ui.show(&limits, |limits| text(limits, &provider));
    Ok(())
}

fn set(limits: &mut OwnerLimits, change: SetLimits) {
    fn put<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    let yes = |word: Option<YesNo>| word.map(|word| word == YesNo::Yes);
    put(&mut limits.cpus, change.cpus);
    put(&mut limits.memory_bytes, change.memory);
    put(&mut limits.disk_bytes, change.disk);
    put(&mut limits.price.per_gigafuel.0, change.price);
    put(&mut limits.busy_percent, change.busy_percent);
    put(&mut limits.on_battery, yes(change.on_battery));
    put(&mut limits.metered, yes(change.metered));
    put(&mut limits.in_use_s, change.in_use.map(|limit| limit.0));
    put(&mut limits.others_cpu_percent, change.others_cpu.map(|limit| limit.0));
    put(&mut limits.free_memory_percent, change.free_memory.map(|limit| limit.0));
    put(&mut limits.temperature_max, change.temperature.map(|limit| limit.0));
    put(&mut limits.transfer_per_day_bytes, change.transfer.map(|limit| limit.0));
    if !change.hours.is_empty() {
        limits.hours = change.hours.into_iter().filter(|hours| hours != "always").collect();
    }
}

fn text(limits: &OwnerLimits, provider: &ProviderStatus) -> String {
    let read = &provider.readings;
    let now = |value: Option<String>| value.map_or(String::new(), |value| format!("  now {value}"));
    let percent = |value: u32| format!("{value} %");
    let word = |yes| if yes { "works" } else { "rests" };
    let hours = match limits.hours.as_slice() {
        [] => "always".to_owned(),
        hours => escape(&hours.join("; ")),
    };
    let or_off = |value: Option<String>| value.unwrap_or_else(|| "off".to_owned());
    let supply = if read.on_battery { "on battery" } else { "on mains" };
    let metered = read.metered.map(|yes| if yes { "metered" } else { "not metered" }.to_owned());
    let idle = read.idle_s.map(|s| format!("{} idle", show_ms(s.saturating_mul(1_000))));
    let mut text = facts(&[
        ("cpus", limits.cpus.to_string()),
        ("memory", show_bytes(limits.memory_bytes)),
        ("disk", show_bytes(limits.disk_bytes)),
        (
            "price",
            format!(
                "{} per 10^9 fuel, up to {} % more when busy",
                limits.price.per_gigafuel, limits.busy_percent
            ),
        ),
        ("hours", hours),
        ("battery", format!("{}  now {supply}", word(limits.on_battery))),
        ("metered network", word(limits.metered).to_owned() + &now(metered)),
        (
            "in use",
            or_off(
                limits
                    .in_use_s
                    .map(|s| format!("rests for {} after a touch", show_ms(u64::from(s) * 1_000))),
            ) + &now(idle),
        ),
        (
            "others' cpu",
            or_off(limits.others_cpu_percent.map(|p| format!("rests above {p} %")))
                + &now(read.others_cpu_percent.map(percent)),
        ),
        (
            "free memory",
            or_off(limits.free_memory_percent.map(|p| format!("rests below {p} %")))
                + &now(read.free_memory_percent.map(percent)),
        ),
        (
            "temperature",
            or_off(limits.temperature_max.map(|t| format!("rests above {t} °C")))
                + &now(read.temperature.map(|t| format!("{t} °C"))),
        ),
        (
            "transfer",
            or_off(limits.transfer_per_day_bytes.map(|b| format!("{} a day", show_bytes(b))))
                + &now(Some(format!("{} today", show_bytes(read.transferred_today_bytes.0)))),
        ),
    ]);
    text.push_str(&rests(provider));
    text
}

/// One line for each reason to rest.
fn rests(provider: &ProviderStatus) -> String {
    provider
        .rests
        .iter()
        .map(|rest| {
            let until =
                rest.until_ms.and_then(clock).map_or(String::new(), |t| format!(", until {t}"));
            format!("it rests: {}{until}\n", escape(&rest.text))
        })
        .collect()
}

/// A time as this machine's clock shows it.
fn clock(ms: u64) -> Option<String> {
    let stamp = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    let there = stamp.to_zoned(jiff::tz::TimeZone::system());
    Some(there.strftime("%a %H:%M").to_string())
}

/// `ayni pause`.
pub(crate) async fn pause(client: &Client, words: &[String], ui: &Ui) -> Result<(), ApiError> {
    let for_s = match words {
        [] => None,
        words => Some(seconds(&words.join(" "), &Zoned::now()).map_err(|why| {
            ApiError::new(codes::USAGE, why).hint(
                "write `ayni pause 1h`, `ayni pause until 18:00` or `ayni pause until tomorrow`",
            )
        })?),
    };
    client.pause(&PauseRequest { for_s }).await?;
    let provider = client.provider().await?;
    ui.show(&provider, |provider| {
        let mut text = rests(provider);
        text.push_str("nothing runs for others; `ayni resume` goes on now\n");
        text
    });
    Ok(())
}

/// `ayni resume`.
pub(crate) async fn resume(client: &Client, ui: &Ui) -> Result<(), ApiError> {
    client.resume().await?;
    let provider = client.provider().await?;
    ui.show(&provider, |provider| match provider.rests.is_empty() {
        true => "taking work again\n".to_owned(),
        false => rests(provider),
    });
    Ok(())
}

/// Seconds from `now`: `1h`, `for 90min`, `until 18:00`, `until tomorrow`.
fn seconds(text: &str, now: &Zoned) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let Some(until) = text.strip_prefix("until") else {
        let ms = duration_ms(text.strip_prefix("for").unwrap_or(&text).trim())?;
        return if ms < 1_000 { Err(format!("`{text}` is too short")) } else { Ok(ms / 1_000) };
    };
    let until = until.trim();
    let (clock, tomorrow) = match until {
        "tomorrow" => (MORNING, true),
        _ => {
            let wrong = |_| format!("`{until}` is no time of day, and not `tomorrow`");
            (Time::strptime("%H:%M", until).map_err(wrong)?, false)
        }
    };
    let far = |error: jiff::Error| error.to_string();
    let mut then = now.with().time(clock).build().map_err(far)?;
    if tomorrow || then <= *now {
        then = then.checked_add(1.day()).map_err(far)?;
    }
    let span = now.until((Unit::Second, &then)).map_err(far)?;
    // What is left of a second counts.
    u64::try_from(span.get_seconds() + 1).map_err(|_| format!("`{until}` is over"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use super::*;

    #[test]
    fn times_are_what_people_mean() {
        // Zurich's rules, whatever this machine knows of the world.
        let zone = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let at = |day: Date, hour, minute| {
            day.at(hour, minute, 0, 0).to_zoned(zone.clone()).expect("a time")
        };
        let now = at(date(2026, 11, 23), 17, 30);
        for (text, expected) in [
            ("1h", Some(3_600)),
            ("for 90min", Some(5_400)),
            ("until 18:00", Some(1_801)),
            ("UNTIL 17:00", Some(23 * 3_600 + 1_801)),
            ("until tomorrow", Some(12 * 3_600 + 1_801)),
            ("until later", None),
            ("until", None),
            ("until 25:00", None),
            ("0s", None),
            ("-1h", None),
            ("a while", None),
        ] {
            assert_eq!(seconds(text, &now).ok(), expected, "{text}");
        }
        // The clocks change in between.
        let now = at(date(2026, 10, 24), 6, 0);
        assert_eq!(seconds("until tomorrow", &now).ok(), Some(25 * 3_600 + 1));
    }
}
