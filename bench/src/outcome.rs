//! The result of an experiment: samples, and figures computed from them, each with its spread.

use serde::Serialize;

/// One measurement of one subject in one round.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub subject: String,
    pub round: u32,
    pub requests: u64,
    pub requests_per_second: f64,
    pub p50_microseconds: u64,
    pub p99_microseconds: u64,
    /// Processor time of one request in the server under test, in microseconds; none for pgbench.
    pub server_microseconds: Option<f64>,
    /// Processor time of one request in PostgreSQL, in microseconds.
    pub database_microseconds: Option<f64>,
}

impl Sample {
    /// The sum of server and database, as far as measured.
    pub fn processor_microseconds(&self) -> Option<f64> {
        match (self.server_microseconds, self.database_microseconds) {
            (None, None) => None,
            (server, database) => Some(server.unwrap_or_default() + database.unwrap_or_default()),
        }
    }
}

/// One number for each round.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Names it for [`crate::targets`].
    pub key: String,
    /// The name in the report.
    pub label: String,
    pub unit: &'static str,
    pub values: Vec<f64>,
}

/// The result of one experiment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    pub samples: Vec<Sample>,
    pub figures: Vec<Figure>,
    /// Notes for readers of the numbers.
    pub notes: Vec<String>,
}

impl Outcome {
    pub fn figure(&mut self, key: &str, label: impl Into<String>, unit: &'static str, values: Vec<f64>) {
        self.figures.push(Figure {
            key: key.to_owned(),
            label: label.into(),
            unit,
            values,
        });
    }

    /// The samples of one subject, in the order of the rounds.
    pub fn of<'a>(&'a self, subject: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.subject == subject)
    }

    /// One subject's number divided by another's, in each round that has both.
    pub fn ratios(&self, subject: &str, other: &str, number: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.of(subject)
            .filter_map(|sample| {
                let other = self.of(other).find(|other| other.round == sample.round)?;
                Some(number(sample) / number(other))
            })
            .collect()
    }

    pub fn values(&self, subject: &str, number: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.of(subject).map(number).collect()
    }

    /// Each subject once, in the order of their first measurement.
    pub fn subjects(&self) -> Vec<&str> {
        let mut subjects: Vec<&str> = Vec::new();
        for sample in &self.samples {
            if !subjects.contains(&sample.subject.as_str()) {
                subjects.push(&sample.subject);
            }
        }
        subjects
    }
}

/// The median and the extremes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` without numbers.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        };
        Some(Self { median, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(subject: &str, round: u32, rate: f64) -> Sample {
        Sample {
            subject: subject.to_owned(),
            round,
            requests: 1,
            requests_per_second: rate,
            p50_microseconds: 1,
            p99_microseconds: 1,
            server_microseconds: None,
            database_microseconds: None,
        }
    }

    #[test]
    fn the_median_is_the_middle_of_any_order() {
        let spread = |least, median, most| Some(Spread { median, least, most });
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), spread(1.0, 2.0, 3.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), spread(1.0, 2.5, 4.0));
        assert_eq!(Spread::of(&[7.0]), spread(7.0, 7.0, 7.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_of_one_round() {
        let outcome = Outcome {
            samples: vec![
                sample("a", 0, 10.0),
                sample("b", 0, 5.0),
                sample("b", 1, 2.0),
                sample("a", 1, 6.0),
                sample("a", 2, 9.0),
            ],
            ..Outcome::default()
        };
        assert_eq!(outcome.ratios("a", "b", |s| s.requests_per_second), [2.0, 3.0]);
        assert_eq!(outcome.subjects(), ["a", "b"]);
    }

    #[test]
    fn processor_time_is_of_what_was_measured() {
        let mut sample = sample("a", 0, 1.0);
        assert_eq!(sample.processor_microseconds(), None);
        sample.database_microseconds = Some(20.0);
        assert_eq!(sample.processor_microseconds(), Some(20.0));
        sample.server_microseconds = Some(30.0);
        assert_eq!(sample.processor_microseconds(), Some(50.0));
    }
}
