//! The output: `results.json` with everything, `table.md` for readers, and plots.

mod plot;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cluster::SETTINGS;
use crate::experiment::Experiment;
use crate::machine::Machine;
use crate::options::Options;
use crate::outcome::{Outcome, Spread};
use crate::targets::{Bound, bound_of};

/// The results of a run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    machine: Machine,
    /// The settings of PostgreSQL that differ from its defaults.
    settings: BTreeMap<&'static str, &'static str>,
    run: String,
    verdicts: Vec<Verdict>,
    experiments: Vec<Done>,
}

/// A finished experiment, or why it failed.
#[derive(Serialize)]
struct Done {
    name: Experiment,
    #[serde(flatten)]
    outcome: Option<Outcome>,
    error: Option<String>,
}

/// A figure over all rounds, and whether it meets its target.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    experiment: Experiment,
    key: String,
    label: String,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    target: Option<Bound>,
    is_met: Option<bool>,
}

impl Report {
    pub fn new(machine: Machine, options: &Options) -> Self {
        Self {
            machine,
            settings: SETTINGS.into_iter().collect(),
            run: options.words(),
            verdicts: Vec::new(),
            experiments: Vec::new(),
        }
    }

    pub fn add(&mut self, name: Experiment, outcome: Outcome) {
        for figure in &outcome.figures {
            let Some(spread) = Spread::of(&figure.values) else {
                continue;
            };
            let target = bound_of(figure);
            self.verdicts.push(Verdict {
                experiment: name,
                key: figure.key.clone(),
                label: figure.label.clone(),
                unit: figure.unit,
                spread,
                target,
                is_met: target.map(|target| target.is_met(&spread)),
            });
        }
        self.push(name, Some(outcome), None);
    }

    pub fn fail(&mut self, name: Experiment, error: String) {
        self.push(name, None, Some(error));
    }

    fn push(&mut self, name: Experiment, outcome: Option<Outcome>, error: Option<String>) {
        self.experiments.push(Done { name, outcome, error });
    }

    pub fn has_failures(&self) -> bool {
        self.experiments.iter().any(|done| done.error.is_some())
    }

    fn outcome_of(&self, name: Experiment) -> Option<&Outcome> {
        let done = self.experiments.iter().find(|done| done.name == name)?;
        done.outcome.as_ref()
    }

    /// The report in Markdown.
    pub fn table(&self) -> Result<String> {
        table::render(self)
    }

    /// Writes all files anew.
    pub fn write(&self, out: &Path) -> Result<()> {
        fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        fs::write(out.join("results.json"), json)?;
        fs::write(out.join("table.md"), self.table()?)?;
        for (name, svg) in plot::all(self)? {
            fs::write(out.join(name), svg)?;
        }
        Ok(())
    }
}
