//! Reads a grid in pandapower's JSON and turns its tables into buses, injections and branches in
//! per unit, as `rundcpp` does with its standard (T) transformer model.
//!
//! Read are buses, lines, two-winding transformers, loads, generators and one external grid. A
//! table that would change the answer and is not handled (switches, shunts, three-winding
//! transformers, tap changers, …) is refused by name rather than ignored.

use std::collections::BTreeMap;

use serde_json::Value;

/// A grid ready for a DC power flow.
pub struct Network {
    pub base_mva: f64,
    pub slack: usize,
    pub buses: Vec<Bus>,
    pub branches: Vec<Branch>,
}

pub struct Bus {
    pub voltage_kv: f64,
    /// Generation less load.
    pub injection_mw: f64,
    pub load_mw: f64,
}

pub struct Branch {
    /// `line 3`, `trafo 0`.
    pub name: String,
    pub from: usize,
    pub to: usize,
    /// Series susceptance over the tap ratio.
    pub susceptance_pu: f64,
    pub shift_rad: f64,
    /// Loading in percent for one MW of flow.
    pub percent_per_mw: f64,
}

/// Tables that would change the flow and that this program does not model.
const NOT_MODELLED: [&str; 17] = [
    "bus_dc",
    "motor",
    "asymmetric_load",
    "asymmetric_sgen",
    "storage",
    "switch",
    "shunt",
    "svc",
    "ssc",
    "vsc",
    "line_dc",
    "trafo3w",
    "impedance",
    "tcsc",
    "dcline",
    "ward",
    "xward",
];

impl Network {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Value =
            serde_json::from_str(text).map_err(|e| format!("the grid is not JSON: {e}"))?;
        let tables = file["_object"].as_object().ok_or("the grid is not a pandapower network")?;
        for name in NOT_MODELLED {
            if tables.contains_key(name) && !Table::read(&file, name)?.rows.is_empty() {
                return Err(format!("the grid has a `{name}`, which this program does not model"));
            }
        }
        let base_mva = file["_object"]["sn_mva"].as_f64().ok_or("the grid has no `sn_mva`")?;

        let mut buses = Vec::new();
        let mut place = BTreeMap::new();
        for row in &Table::read(&file, "bus")?.rows {
            row.must_be_in_service()?;
            place.insert(row.index, buses.len());
            let voltage_kv = row.number("vn_kv")?;
            buses.push(Bus { voltage_kv, injection_mw: 0.0, load_mw: 0.0 });
        }
        let mut network = Self { base_mva, slack: 0, buses, branches: Vec::new() };
        network.inject(&file, &place)?;
        for row in &Table::read(&file, "line")?.rows {
            let branch = network.line(row, &place)?;
            network.branches.push(branch);
        }
        for row in &Table::read(&file, "trafo")?.rows {
            let branch = network.transformer(row, &place)?;
            network.branches.push(branch);
        }
        Ok(network)
    }

    fn inject(&mut self, file: &Value, place: &BTreeMap<u64, usize>) -> Result<(), String> {
        for (table, sign) in [("load", -1.0), ("sgen", 1.0), ("gen", 1.0)] {
            for row in &Table::read(file, table)?.rows {
                row.must_be_in_service()?;
                let power_mw = row.number("p_mw")? * row.number("scaling")?;
                let bus = &mut self.buses[row.bus("bus", place)?];
                bus.injection_mw += sign * power_mw;
                if table == "load" {
                    bus.load_mw += power_mw;
                }
            }
        }
        let externals = Table::read(file, "ext_grid")?;
        let [external] = externals.rows.as_slice() else {
            return Err(format!("the grid has {} external grids, not 1", externals.rows.len()));
        };
        self.slack = external.bus("bus", place)?;
        Ok(())
    }

    fn line(&self, row: &Row<'_>, place: &BTreeMap<u64, usize>) -> Result<Branch, String> {
        row.must_be_in_service()?;
        let from = row.bus("from_bus", place)?;
        let voltage_kv = self.buses[from].voltage_kv;
        let parallel = row.number("parallel")?;
        let base_ohm = voltage_kv * voltage_kv / self.base_mva;
        let x = row.number("x_ohm_per_km")? * row.number("length_km")? / base_ohm / parallel;
        let current_ka_max = row.number("max_i_ka")? * row.number("df")? * parallel;
        Ok(Branch {
            name: format!("line {}", row.index),
            from,
            to: row.bus("to_bus", place)?,
            susceptance_pu: 1.0 / x,
            shift_rad: 0.0,
            percent_per_mw: 100.0 / (voltage_kv * 3.0_f64.sqrt() * current_ka_max),
        })
    }

    fn transformer(&self, row: &Row<'_>, place: &BTreeMap<u64, usize>) -> Result<Branch, String> {
        row.must_be_in_service()?;
        if !row.cell("tap_pos").is_null() {
            return Err(format!("{} has a tap position, which is not modelled", row.title()));
        }
        let (hv, lv) = (row.bus("hv_bus", place)?, row.bus("lv_bus", place)?);
        let (bus_hv_kv, bus_lv_kv) = (self.buses[hv].voltage_kv, self.buses[lv].voltage_kv);
        let (rated_hv_kv, rated_lv_kv) = (row.number("vn_hv_kv")?, row.number("vn_lv_kv")?);
        let rated_mva = row.number("sn_mva")?;
        let parallel = row.number("parallel")?;
        let scale = (rated_lv_kv / bus_lv_kv).powi(2) * self.base_mva;

        let z = row.number("vk_percent")? / 100.0 / rated_mva * scale;
        let r = row.number("vkr_percent")? / 100.0 / rated_mva * scale;
        let x = z.signum() * (z * z - r * r).sqrt();
        let short_circuit = Complex { re: r / parallel, im: x / parallel };

        let iron_mw = row.number("pfe_kw")? * 1e-3;
        let open_mva = row.number("i0_percent")? / 100.0 * rated_mva;
        let magnetising_mvar = -(open_mva * open_mva - iron_mw * iron_mw).max(0.0).sqrt();
        let base = bus_lv_kv * bus_lv_kv / self.base_mva / (rated_lv_kv * rated_lv_kv);
        let open =
            Complex { re: iron_mw * base * parallel, im: magnetising_mvar * base * parallel };

        let x = series_reactance(short_circuit, open);
        let ratio = (rated_hv_kv / rated_lv_kv) / (bus_hv_kv / bus_lv_kv);
        // Loading is by current: the same power loads more the side rated higher than its bus.
        let rated_over_bus = (rated_hv_kv / bus_hv_kv).max(rated_lv_kv / bus_lv_kv);
        Ok(Branch {
            name: format!("trafo {}", row.index),
            from: hv,
            to: lv,
            susceptance_pu: 1.0 / x / ratio,
            shift_rad: row.number("shift_degree")? * std::f64::consts::PI / 180.0,
            percent_per_mw: 100.0 * rated_over_bus / rated_mva / parallel / row.number("df")?,
        })
    }
}

/// The reactance between the two sides when the magnetising branch sits in the middle of the
/// leakage impedance (T model), after turning the star into a triangle.
fn series_reactance(short_circuit: Complex, open: Complex) -> f64 {
    if open.re == 0.0 && open.im == 0.0 {
        return short_circuit.im;
    }
    let half = Complex { re: short_circuit.re / 2.0, im: short_circuit.im / 2.0 };
    let middle = open.inverse();
    let sum = half.times(half).plus(half.times(middle)).plus(half.times(middle));
    sum.times(middle.inverse()).im
}

#[derive(Clone, Copy)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    fn inverse(self) -> Self {
        let norm = self.re * self.re + self.im * self.im;
        Self { re: self.re / norm, im: -self.im / norm }
    }
}

/// A data frame in pandas' `split` layout, its rows in ascending order of index.
pub struct Table<'a> {
    pub rows: Vec<Row<'a>>,
}

pub struct Row<'a> {
    table: &'a str,
    pub index: u64,
    cells: BTreeMap<String, Value>,
}

impl<'a> Table<'a> {
    pub fn read(file: &Value, table: &'a str) -> Result<Self, String> {
        let bad = |what: &str| format!("table `{table}` of the grid {what}");
        let text = file["_object"][table]["_object"].as_str().ok_or_else(|| bad("is missing"))?;
        let frame: Value =
            serde_json::from_str(text).map_err(|e| bad(&format!("is not JSON: {e}")))?;
        let list = |key: &str| frame[key].as_array().ok_or_else(|| bad(&format!("has no `{key}`")));
        let (columns, index, data) = (list("columns")?, list("index")?, list("data")?);
        if index.len() != data.len() {
            return Err(bad("has an index of another length than its data"));
        }
        let mut rows = Vec::with_capacity(data.len());
        for (number, cells) in index.iter().zip(data) {
            let cells = cells.as_array().filter(|c| c.len() == columns.len());
            let cells = cells.ok_or_else(|| bad("has a row of another length than its columns"))?;
            let named = columns.iter().zip(cells);
            rows.push(Row {
                table,
                index: number.as_u64().ok_or_else(|| bad("has an index that is not a number"))?,
                cells: named
                    .map(|(c, v)| (c.as_str().unwrap_or_default().to_owned(), v.clone()))
                    .collect(),
            });
        }
        rows.sort_by_key(|row| row.index);
        Ok(Self { rows })
    }
}

impl Row<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.table, self.index)
    }

    pub fn cell(&self, column: &str) -> &Value {
        self.cells.get(column).unwrap_or(&Value::Null)
    }

    pub fn number(&self, column: &str) -> Result<f64, String> {
        let wrong = || format!("{} has no number in `{column}`", self.title());
        self.cell(column).as_f64().ok_or_else(wrong)
    }

    pub fn bus(&self, column: &str, place: &BTreeMap<u64, usize>) -> Result<usize, String> {
        let wrong = || format!("{} names no bus of the grid in `{column}`", self.title());
        self.cell(column).as_u64().and_then(|bus| place.get(&bus).copied()).ok_or_else(wrong)
    }

    fn must_be_in_service(&self) -> Result<(), String> {
        match self.cell("in_service").as_bool() {
            Some(true) => Ok(()),
            _ => Err(format!("{} is out of service, which is not modelled", self.title())),
        }
    }
}
