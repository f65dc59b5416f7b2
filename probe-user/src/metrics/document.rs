//! The tables of `docs/metrics.md`, made from the families.

use std::{env, fs, path::Path};

use super::{Bounds, Desc, Kind, Unit, desc::CONTAINER_LABELS, families::ALL};

/// Everything between these lines is made; the rest of the page is written by hand.
const BEGIN: &str = "<!-- begin: made from probe-user/src/metrics/families -->\n";
const END: &str = "<!-- end -->\n";

/// A heading, and which families stand below it.
type Section = (&'static str, fn(&Desc) -> bool);

const SECTIONS: [Section; 6] = [
    ("System calls", |d| d.name.starts_with("nodeprobe_syscall")),
    ("Scheduler", |d| d.name.starts_with("nodeprobe_sched_")),
    ("Network", is_of_the_network),
    ("Policies", is_of_policies),
    ("Kubernetes", is_of_kubernetes),
    ("The probe itself", |d| {
        !d.per_container() && !is_of_the_network(d) && !is_of_policies(d) && !is_of_kubernetes(d)
    }),
];

fn is_of_the_network(desc: &Desc) -> bool {
    const PREFIXES: [&str; 4] = ["tcp_", "dns_", "flow_", "node_packet_"];
    let name = desc.name.trim_start_matches("nodeprobe_");
    let named = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    (named || name.starts_with("container_packet_")) && !name.starts_with("flow_log_")
}

fn is_of_policies(desc: &Desc) -> bool {
    desc.name.starts_with("nodeprobe_policy_")
}

fn is_of_kubernetes(desc: &Desc) -> bool {
    let prefixes = ["nodeprobe_kubernetes_", "nodeprobe_pod_"];
    prefixes.iter().any(|prefix| desc.name.starts_with(prefix))
}

fn tables() -> String {
    let mut out = String::new();
    for (title, belongs) in SECTIONS {
        out.push_str(&format!(
            "\n### {title}\n\n| Name | Type | Labels | Budget | Meaning |\n|---|---|---|---|---|\n"
        ));
        for desc in ALL.iter().filter(|desc| belongs(desc)) {
            out.push_str(&row(desc));
        }
    }
    out.push('\n');
    out
}

fn row(desc: &Desc) -> String {
    let own = if desc.per_container() {
        &desc.labels[CONTAINER_LABELS.len()..]
    } else {
        desc.labels
    };
    let labels: Vec<String> = desc
        .per_container()
        .then(|| "C".to_owned())
        .into_iter()
        .chain(own.iter().map(|label| format!("`{label}`")))
        .collect();
    format!(
        "| `{}` | {} | {} | {} | {} |\n",
        desc.name,
        kind(desc),
        labels.join(", "),
        desc.budget,
        desc.help,
    )
}

fn kind(desc: &Desc) -> String {
    let kind = match desc.kind {
        Kind::Counter | Kind::SecondsCounter => "counter",
        Kind::Gauge => "gauge",
        Kind::Info => "info",
        Kind::Histogram(Bounds::Fine) => "histogram, fine",
        Kind::Histogram(Bounds::Coarse) => "histogram, coarse",
        Kind::Histogram(Bounds::InfOnly) => "histogram, native only",
    };
    match desc.unit {
        Unit::None => kind.to_owned(),
        unit => format!("{kind}, {}", unit.name()),
    }
}

#[test]
fn every_family_stands_in_one_section() {
    for desc in ALL {
        let sections = SECTIONS.iter().filter(|(_, belongs)| belongs(desc));
        assert_eq!(sections.count(), 1, "{}", desc.name);
    }
}

/// Run with `NODEPROBE_UPDATE=1` after a change of the families.
#[test]
fn the_reference_page_is_what_the_families_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", tables());
    if env::var_os("NODEPROBE_UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(page == wanted, "{} is out of date", path.display());
}
