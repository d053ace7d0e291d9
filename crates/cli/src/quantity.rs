//! Quantities as people write them, both ways: `256MiB`, `90s`, `50G`, `10%`.

use ayni_api::json::{PriceMaxJson, Text};

/// Reads a size in bytes: `512`, `64k`, `256MiB`, `2GB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        "t" | "tb" => 1_000_000_000_000,
        "tib" => 1 << 40,
        _ => return Err(format!("`{unit}` is no unit of size; write 512MiB or 2GB")),
    };
    scaled(number, factor, text)
}

/// Reads a count: `1000`, `50_000`, `50G`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return Err(format!("`{unit}` is no multiple; write k, M, G or T")),
    };
    scaled(number, factor, text)
}

/// Reads a time in milliseconds: `500ms`, `60s`, `10m`, `1.5h`, `7d`; seconds without a unit.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("`{unit}` is no unit of time; write 500ms, 60s, 10m, 2h or 7d")),
    };
    scaled(number, factor, text)
}

/// Reads a share in millionths: `0.1`, `10%`, `1`.
pub(crate) fn rate_ppm(text: &str) -> Result<u32, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => 1_000_000,
        "%" => 10_000,
        _ => return Err(format!("`{text}` is no share; write 0.1 or 10%")),
    };
    match scaled(number, factor, text)?.try_into() {
        Ok(ppm @ 0..=1_000_000) => Ok(ppm),
        _ => Err(format!("`{text}` is more than all of them; write 0.1 or 10%")),
    }
}

/// Reads an amount of money in the token's smallest unit: `25000`, `25_000`.
pub(crate) fn amount(text: &str) -> Result<u128, String> {
    let plain = text.trim().replace('_', "");
    let whole = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
    let read = whole.then(|| plain.parse().ok()).flatten();
    read.ok_or_else(|| {
        format!("`{text}` is no amount; write a whole number of the token's smallest unit")
    })
}

/// Reads highest prices: `1000` is per 10^9 fuel, `1000,code=5,data=20` bounds the rest too.
pub(crate) fn price_max(text: &str) -> Result<PriceMaxJson, String> {
    let mut max = PriceMaxJson::default();
    for part in text.split(',') {
        let (name, value) = part.split_once('=').unwrap_or(("fuel", part));
        let place = match name.trim() {
            "fuel" => &mut max.per_gigafuel,
            "code" => &mut max.per_code_mebibyte,
            "data" => &mut max.per_data_mebibyte,
            other => {
                return Err(format!("`{other}` is no part of a price; write fuel, code or data"));
            }
        };
        if place.replace(Text(amount(value)?)).is_some() {
            return Err(format!("`{text}` says one part twice"));
        }
    }
    Ok(max)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number, unit.trim())
}

/// `number × factor` without floats: digits after the point are exact or refused.
fn scaled(number: &str, factor: u64, text: &str) -> Result<u64, String> {
    let plain = number.replace('_', "");
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits = format!("{whole}{part}");
    let wrong = || format!("`{text}` is not a number");
    if digits.is_empty() || part.len() > 12 {
        return Err(wrong());
    }
    let digits: u128 = digits.parse().map_err(|_| wrong())?;
    let product = digits.checked_mul(factor.into()).ok_or_else(wrong)?;
    let power = 10_u128.pow(u32::try_from(part.len()).map_err(|_| wrong())?);
    u64::try_from(product / power).map_err(|_| format!("`{text}` is too large"))
}

/// A size for people: `1.5 GiB`.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut at = 0;
    let mut shown = bytes as f64;
    while shown >= 1024.0 && at < units.len() - 1 {
        shown /= 1024.0;
        at += 1;
    }
    if at == 0 { format!("{bytes} B") } else { format!("{shown:.1} {}", units[at]) }
}

/// A count for people: `12.3 G`.
pub(crate) fn show_count(count: u64) -> String {
    let units = ["", " k", " M", " G", " T", " P", " E"];
    if count < 10_000 {
        return count.to_string();
    }
    let mut at = 0;
    let mut shown = count as f64;
    while shown >= 1000.0 && at < units.len() - 1 {
        shown /= 1000.0;
        at += 1;
    }
    format!("{shown:.1}{}", units[at])
}

/// Electricity for people, from millijoules: `3.6 Wh`.
#[allow(clippy::cast_precision_loss)] // for people
pub(crate) fn show_energy(millijoules: u128) -> String {
    let hours = millijoules as f64 / 3_600_000.0;
    if hours < 1_000.0 { format!("{hours:.3} Wh") } else { format!("{:.3} kWh", hours / 1_000.0) }
}

/// A mass for people, from micrograms: `3.6 g`.
#[allow(clippy::cast_precision_loss)] // for people
pub(crate) fn show_mass(micrograms: u128) -> String {
    let grams = micrograms as f64 / 1_000_000.0;
    if grams < 1_000.0 { format!("{grams:.3} g") } else { format!("{:.3} kg", grams / 1_000.0) }
}

/// A whole number with its thousands apart: `1,234,567`.
pub(crate) fn show_exact(value: u128) -> String {
    let digits = value.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A time for people: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
pub(crate) fn show_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        3_600_000..172_800_000 => {
            format!("{} h {:02} min", ms / 3_600_000, ms % 3_600_000 / 60_000)
        }
        _ => format!("{} days", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("2GB"), Ok(2_000_000_000));
        assert_eq!(count("50_000_000_000"), Ok(50_000_000_000));
        assert_eq!(count("1.25G"), Ok(1_250_000_000));
        assert_eq!(duration_ms("60s"), Ok(60_000));
        assert_eq!(duration_ms("1.5h"), Ok(5_400_000));
        assert_eq!(duration_ms("250ms"), Ok(250));
        assert_eq!(rate_ppm("0.1"), Ok(100_000));
        assert_eq!(rate_ppm("10%"), Ok(100_000));
        assert_eq!(rate_ppm("1"), Ok(1_000_000));
        assert_eq!(amount("25_000"), Ok(25_000));
        let max = |fuel: Option<u128>, code: Option<u128>, data: Option<u128>| PriceMaxJson {
            per_gigafuel: fuel.map(Text),
            per_code_mebibyte: code.map(Text),
            per_data_mebibyte: data.map(Text),
        };
        assert_eq!(price_max("1000"), Ok(max(Some(1_000), None, None)));
        assert_eq!(price_max("1_000,data=5, code=0"), Ok(max(Some(1_000), Some(0), Some(5))));
        assert_eq!(price_max("data=5"), Ok(max(None, None, Some(5))));
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_text() {
        for error in [
            bytes("").unwrap_err(),
            bytes("12 parsecs").unwrap_err(),
            bytes("-1").unwrap_err(),
            bytes("1.2.3").unwrap_err(),
            bytes("99999999999TiB").unwrap_err(),
            count("5m").unwrap_err(),
            duration_ms("3y").unwrap_err(),
            rate_ppm("1.1").unwrap_err(),
            rate_ppm("200%").unwrap_err(),
            amount("1.5").unwrap_err(),
            amount("").unwrap_err(),
            price_max("5,6").unwrap_err(),
            price_max("disk=6").unwrap_err(),
        ] {
            assert!(error.contains('`'), "{error}");
        }
    }

    #[test]
    fn quantities_are_shown_as_people_read_them() {
        let shown = [
            show_bytes(512),
            show_bytes(3 << 29),
            show_count(9_999),
            show_count(12_345_678),
            show_energy(36_000_000),
            show_energy(9_000_000_000),
            show_mass(3_600_000),
            show_mass(1_500_000_000),
            show_exact(1_234_567),
            show_ms(850),
            show_ms(12_345),
            show_ms(245_000),
            show_ms(7_380_000),
        ];
        assert_eq!(
            shown,
            [
                "512 B",
                "1.5 GiB",
                "9999",
                "12.3 M",
                "10.000 Wh",
                "2.500 kWh",
                "3.600 g",
                "1.500 kg",
                "1,234,567",
                "850 ms",
                "12.3 s",
                "4 min 05 s",
                "2 h 03 min"
            ]
        );
    }
}
