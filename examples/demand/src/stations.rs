//! The power stations of a grid, from pandapower's tables: where, how much, at what price.
//!
//! A station can give anything from nothing to its most, at a price a megawatt-hour that does not
//! depend on how much it gives. Deliberately not here: the quadratic part of the file's costs. It is
//! per station, but the stations of a reduced grid are many lumped together: it would price the
//! last megawatt of the largest at forty times its neighbours'.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::network::{Row, Table};

/// Stations of one price are told apart by so much, in the order of the file, so that the cheapest
/// dispatch is one and not many.
const APART_EUR_PER_MWH: f64 = 1e-3;

pub struct Station {
    /// Place of its bus.
    pub bus: usize,
    pub power_mw_max: f64,
    pub price_eur_per_mwh: f64,
}

/// Reads the generators, static generators and external grids, in this order.
pub fn read(text: &str) -> Result<Vec<Station>, String> {
    let file: Value =
        serde_json::from_str(text).map_err(|e| format!("the grid is not JSON: {e}"))?;
    let buses = Table::read(&file, "bus")?;
    let place: BTreeMap<u64, usize> = buses.rows.iter().map(|row| row.index).zip(0..).collect();
    let costs = Table::read(&file, "poly_cost")?;
    let mut stations = Vec::new();
    for table in ["gen", "sgen", "ext_grid"] {
        for row in &Table::read(&file, table)?.rows {
            let number = u32::try_from(stations.len()).map_err(|e| e.to_string())?;
            let least_mw = row.number("min_p_mw")?;
            if least_mw != 0.0 {
                return Err(format!("{table} {} can't give less than {least_mw} MW", row.index));
            }
            stations.push(Station {
                bus: row.bus("bus", &place)?,
                power_mw_max: row.number("max_p_mw")?,
                price_eur_per_mwh: cost(&costs.rows, table, row.index)?.number("cp1_eur_per_mw")?
                    + APART_EUR_PER_MWH * f64::from(number),
            });
        }
    }
    Ok(stations)
}

fn cost<'a, 'b>(costs: &'a [Row<'b>], table: &str, index: u64) -> Result<&'a Row<'b>, String> {
    let of = |row: &&Row<'_>| {
        row.cell("et").as_str() == Some(table) && row.cell("element").as_u64() == Some(index)
    };
    costs.iter().find(of).ok_or_else(|| format!("{table} {index} has no cost"))
}
