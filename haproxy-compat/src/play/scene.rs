//! The places of a case while it is played: scripts for its origins, and what came of it at origins and log targets.

use std::time::Duration;

use super::places::{Places, route};
use super::{Case, Flags, show};
use crate::client::End;
use crate::origin::Origin;
use crate::text::{join_chunks, proxy_v2_as_text};
use crate::wait_for;

impl Places {
    /// Gives the origins the scripts of a case, and forgets the log lines of what was before.
    pub(super) fn begin(&self, case: &Case, start_message: bool) {
        let script = |name: &str| {
            case.origins
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, s)| s.clone())
        };
        for (name, origin) in &self.origins {
            origin.reset(script(name).unwrap_or_default());
        }
        if let Some(sink) = self.sinks.get("log") {
            let short = Duration::from_millis(5);
            sink.collect(usize::from(start_message), short, Duration::ZERO, |_| true);
        }
    }

    /// What the origins got.
    pub(super) fn origin_lines(&self, flags: &Flags, names: &[(String, String)]) -> Vec<String> {
        self.settle();
        let mut lines = Vec::new();
        for (name, origin) in &self.origins {
            for (index, conn) in origin.records().iter().enumerate() {
                lines.push(format!("= {name} connection {}", index + 1));
                if flags.routes {
                    lines.push(route(conn, names));
                }
                let bytes = join_chunks(&proxy_v2_as_text(&conn.bytes));
                lines.extend(show::bytes('>', &bytes, names));
                let end = if conn.ended_here {
                    ". ended by the origin"
                } else {
                    show::end(conn.end)
                };
                lines.push(end.into());
            }
        }
        lines
    }

    /// The log lines of the case: as many as are recorded, and any more that come within a moment.
    pub(super) fn logs(&self, case: &Case, flags: &Flags, record: bool) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        for (name, sink) in &self.sinks {
            let mark = format!("= {name}");
            let expected = case
                .expected
                .iter()
                .skip_while(|l| **l != mark)
                .skip(1)
                .take_while(|l| l.starts_with(". "));
            let wanted = if record { usize::MAX } else { expected.count() };
            let limit = Duration::from_millis(if record { 600 } else { 3000 });
            let keep = |line: &str| {
                flags.rawlog || !(line.contains(" started.") || line.contains("GET /probe HTTP/1.1"))
            };
            all.push((
                name.clone(),
                sink.collect(wanted, limit, Duration::from_millis(30), keep),
            ));
        }
        all
    }

    /// Gives the program a moment to close its connections to the origins.
    fn settle(&self) {
        let open = |o: &Origin| o.records().iter().any(|r| r.end == End::Open && !r.ended_here);
        wait_for(Duration::from_millis(250), || {
            (!self.origins.values().any(open)).then_some(())
        });
    }
}
