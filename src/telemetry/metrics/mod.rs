//! Numbers for machines: every metric of the [`catalogue`], in a registry of its own per process part.
//!
//! No global recorder: several daemons can live in one test process, and each has its own numbers. The
//! registry and its text form are those of metrics-exporter-prometheus.

pub mod catalogue;

use std::fmt;

use metrics::{Key, Label, Level, Metadata, Recorder, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

pub use catalogue::{Kind, Metric};

static METADATA: Metadata<'static> = Metadata::new("chatferry", Level::INFO, None);

const CPU_AS_GAUGE: &str = "# TYPE process_cpu_seconds_total gauge\n";
const CPU_AS_COUNTER: &str = "# TYPE process_cpu_seconds_total counter\n";

/// The values of all metrics.
pub struct Series {
    recorder: PrometheusRecorder,
    process: metrics_process::Collector,
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Series")
    }
}

impl Default for Series {
    fn default() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in catalogue::ALL {
            if let Kind::Histogram(buckets) = metric.kind {
                let full = Matcher::Full(metric.name.to_owned());
                // Refused is only an empty list of buckets; the catalogue's test knows of none.
                builder = builder.set_buckets_for_metric(full, buckets).unwrap_or_default();
            }
        }
        let recorder = builder.build_recorder();
        for metric in catalogue::ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
        let process = metrics_process::Collector::default();
        with_local_recorder(&recorder, || process.describe());
        Self { recorder, process }
    }
}

impl Series {
    /// Adds to a counter. `values`: one for each label of the metric, in its order.
    pub fn add(&self, metric: &Metric, values: &[&str], n: u64) {
        self.recorder.register_counter(&key(metric, values), &METADATA).increment(n);
    }

    /// Brings a counter to what was counted elsewhere; it never goes back.
    pub fn raise(&self, metric: &Metric, values: &[&str], total: u64) {
        self.recorder.register_counter(&key(metric, values), &METADATA).absolute(total);
    }

    /// Sets a gauge.
    pub fn set(&self, metric: &Metric, values: &[&str], value: f64) {
        self.recorder.register_gauge(&key(metric, values), &METADATA).set(value);
    }

    /// Moves a gauge to which several add their share.
    pub fn shift(&self, metric: &Metric, values: &[&str], by: f64) {
        self.recorder.register_gauge(&key(metric, values), &METADATA).increment(by);
    }

    /// Takes a duration into a histogram.
    pub fn observe(&self, metric: &Metric, values: &[&str], duration: std::time::Duration) {
        self.recorder.register_histogram(&key(metric, values), &METADATA).record(duration.as_secs_f64());
    }

    /// All metrics in the Prometheus text format, with those of the process.
    pub fn render(&self) -> String {
        with_local_recorder(&self.recorder, || self.process.collect());
        // Counters of this library are whole numbers; parts of a second fit only a gauge, and it only ever grows.
        self.recorder.handle().render().replace(CPU_AS_GAUGE, CPU_AS_COUNTER)
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_keep_the_rules_of_the_field() {
        let mut names = std::collections::BTreeSet::new();
        for metric in catalogue::ALL {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(
                name.starts_with("chatferry_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(name.ends_with("_seconds") && !buckets.is_empty() && buckets.is_sorted(), "{name}");
            }
        }
    }

    #[test]
    fn what_was_counted_is_written_with_its_labels() {
        let series = Series::default();
        series.add(&catalogue::FAILED, &["archive", "store-unavailable"], 2);
        series.raise(&catalogue::PASSES, &["completed"], 7);
        series.raise(&catalogue::PASSES, &["completed"], 5);
        series.set(&catalogue::ACCOUNT_STATE, &["demo/\"a\"", "live"], 1.0);
        series.observe(&catalogue::PUBLISH_SECONDS, &[], Duration::from_millis(3));
        let text = series.render();
        for line in [
            "# TYPE chatferry_events_failed_total counter",
            r#"chatferry_events_failed_total{stage="archive",error_type="store-unavailable"} 2"#,
            r#"chatferry_collect_passes_total{outcome="completed"} 7"#,
            r#"chatferry_account_state{account="demo/\"a\"",state="live"} 1"#,
            r#"chatferry_publish_duration_seconds_bucket{le="0.0025"} 0"#,
            r#"chatferry_publish_duration_seconds_bucket{le="0.005"} 1"#,
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        assert!(text.contains(CPU_AS_COUNTER) && !text.contains(CPU_AS_GAUGE), "{text}");
    }

    #[test]
    fn two_registries_share_nothing() {
        let (one, two) = (Series::default(), Series::default());
        one.add(&catalogue::LOGINS, &[], 1);
        assert!(!two.render().contains("chatferry_logins_attempted_total 1"));
    }
}
