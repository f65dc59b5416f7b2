//! A run as JSON.

use serde_json::{Value, json};

use super::{Report, Row};
use crate::bench::{goals::Goal, matrix::MATRIX};

impl Report<'_> {
    /// One JSON object.
    pub fn json(&self) -> Value {
        let tables = MATRIX.iter().map(|(workload, subjects)| {
            let rows = self.rows(*workload, subjects);
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            json!({ "workload": workload, "subjects": rows })
        });
        let missing = self.board.missing.iter().map(|(workload, subject, reason)| {
            json!({ "workload": workload, "subject": subject, "reason": reason })
        });
        let agent = match self.agent {
            Ok(agent) => {
                json!({ "text_bytes": agent.text_bytes, "protobuf_bytes": agent.protobuf_bytes })
            }
            Err(reason) => json!({ "missing": reason }),
        };
        json!({
            "machine": self.machine,
            "rounds": self.board.rounds(),
            "readings": self.board.readings,
            "disturbed": self.board.disturbed,
            "tables": tables.collect::<Vec<_>>(),
            "missing": missing.collect::<Vec<_>>(),
            "agent": agent,
            "flows": self.flows,
            "goals": self.goals.iter().map(goal).collect::<Vec<_>>(),
        })
    }
}

fn row(row: Row) -> Value {
    let Row {
        subject,
        wall,
        added,
        by_empty,
        run_time,
        seen,
        cpu,
    } = row;
    json!({
        "subject": subject,
        "wall_ns": wall,
        "added_ns": added,
        "added_by_empty": by_empty,
        "run_time_ns": run_time,
        "counted_percent": seen,
        "cpu_percent": cpu,
    })
}

fn goal(goal: &Goal) -> Value {
    json!({ "goal": goal, "ratio": goal.ratio(), "met": goal.is_met(0.0) })
}
