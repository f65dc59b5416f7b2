//! Exact counts in containers of real runtimes, by a tool and by the agent at the same time.

use anyhow::Result;
use tests::{
    isolate::Isolate as _,
    lock::alone,
    nodeprobe::{Agent, Tool, command},
    report::{Calls, Report},
    runtime::{Container, containerd::Containerd, cri::Cri, docker::Docker, podman::Podman},
    scrape::Scrape,
    skip::unless_available,
    wait::LONG,
};

use crate::measure::BY_CALL;

const BUSY: &str = "syscalls --calls 5000 --errors 251 --other 3";
const CALM: &str = "syscalls --calls 77";

/// Two containers, the first of which is `BUSY` and the second `CALM`.
struct Pair<'a> {
    busy: &'a Container,
    calm: &'a Container,
    /// What the tool calls the runtime, where the path alone tells: it asks only the usual sockets.
    runtime: Option<&'a str>,
    /// The labels `namespace` and `pod` of each.
    pods: [(&'a str, &'a str); 2],
}

impl Pair<'_> {
    /// Measures both by a tool and by an agent that may ask the runtime by this configuration.
    fn is_exact(&self, config: &str) -> Result<()> {
        let agent = Agent::start(config)?;
        let tool = Tool::attach(BY_CALL)?;
        for container in [self.busy, self.calm] {
            container.task.go()?;
            container.task.wait_done()?;
        }
        self.check_tool(&tool.finish()?)?;
        let scrape = agent.scrape_until(LONG, |scrape| self.check_agent(scrape).is_ok())?;
        self.check_agent(&scrape)
    }

    fn check_tool(&self, report: &Report) -> Result<()> {
        let paths = [self.busy.task.cgroup()?, self.calm.task.cgroup()?];
        let expected = Calls::expected(5000, &[("EINVAL", 126), ("ESRCH", 125)]);
        assert_eq!(report.calls(&paths[0], "ioprio_get"), expected);
        let other = report.calls(&paths[0], "sched_get_priority_max");
        assert_eq!(other, Calls::expected(3, &[]));
        assert_eq!(
            report.calls(&paths[1], "ioprio_get"),
            Calls::expected(77, &[])
        );
        let elsewhere = report.calls_elsewhere(&[&paths[0], &paths[1]], "ioprio_get");
        assert_eq!(elsewhere, Calls::default());
        assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
        for (path, container) in paths.iter().zip([self.busy, self.calm]) {
            let row = report.of(path).next().expect("the calls above have a row");
            if let Some(runtime) = self.runtime {
                assert_eq!(row.container.id, container.id);
                assert_eq!(row.container.runtime, runtime);
            }
        }
        Ok(())
    }

    fn check_agent(&self, scrape: &Scrape) -> Result<()> {
        let calls = |index: usize, container: &Container| {
            let (namespace, pod) = self.pods[index];
            let labels = [
                ("namespace", namespace),
                ("pod", pod),
                ("container", container.name.as_str()),
                ("syscall", "ioprio_get"),
            ];
            scrape.sum("nodeprobe_syscalls_total", &labels)
        };
        let counted = (calls(0, self.busy), calls(1, self.calm));
        anyhow::ensure!(counted == (5000.0, 77.0), "the agent counted {counted:?}");
        let everywhere = scrape.sum("nodeprobe_syscalls_total", &[("syscall", "ioprio_get")]);
        anyhow::ensure!(everywhere == 5077.0, "{everywhere} in all");
        Ok(())
    }
}

#[test]
fn docker_containers_are_exact_and_have_their_names() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start()) else {
        return Ok(());
    };
    let busy = docker.start_workload("busy", BUSY)?;
    let calm = docker.start_workload("calm", CALM)?;
    Pair {
        busy: &busy,
        calm: &calm,
        runtime: Some("docker"),
        pods: [("", ""); 2],
    }
    .is_exact(&format!("runtimes.docker = [{:?}]", docker.socket()))
}

#[test]
fn containerd_containers_are_exact_and_have_their_names() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let busy = containerd.start_workload("busy", BUSY)?;
    let calm = containerd.start_workload("calm", CALM)?;
    Pair {
        busy: &busy,
        calm: &calm,
        runtime: None,
        pods: [("", ""); 2],
    }
    .is_exact(&format!(
        "runtimes.containerd = [{:?}]",
        containerd.socket()
    ))
}

#[test]
fn cri_containers_are_exact_and_have_the_names_of_their_pods() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let cri = Cri::connect(&containerd)?;
    let uid = |n: u32| format!("0b7f2a04-9a5c-4c9e-8f5e-5d1b6e1f0a0{n}");
    let busy = cri.start_workload("shop", "cart-0", &uid(1), "cart", BUSY)?;
    let calm = cri.start_workload("shop", "cart-1", &uid(2), "cart", CALM)?;
    let pods = [("shop", "cart-0"), ("shop", "cart-1")];
    Pair {
        busy: &busy,
        calm: &calm,
        runtime: Some("kubernetes"),
        pods,
    }
    .is_exact(&format!(
        "runtimes.containerd = [{:?}]",
        containerd.socket()
    ))
}

#[test]
fn podman_containers_are_exact_and_have_their_names() -> Result<()> {
    let _alone = alone();
    let Some(podman) = unless_available("podman", Podman::start()) else {
        return Ok(());
    };
    let busy = podman.start_workload("busy", BUSY)?;
    let calm = podman.start_workload("calm", CALM)?;
    Pair {
        busy: &busy,
        calm: &calm,
        runtime: Some("podman"),
        pods: [("", ""); 2],
    }
    .is_exact(&format!(
        "runtimes.podman_storage = [{:?}]",
        podman.storage()
    ))
}

#[test]
fn without_an_answer_of_the_runtime_containers_have_their_short_ids() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start()) else {
        return Ok(());
    };
    let busy = docker.start_workload("busy", BUSY)?;
    let calm = docker.start_workload("calm", CALM)?;
    let short = |container: &Container| {
        let name = container.id[..12].to_owned();
        Container {
            name,
            ..container.clone()
        }
    };
    // Nobody listens at the one, and the other is no socket.
    Pair {
        busy: &short(&busy),
        calm: &short(&calm),
        runtime: Some("docker"),
        pods: [("", ""); 2],
    }
    .is_exact("runtimes.docker = [\"/nonexistent/docker.sock\", \"/dev/null\"]")
}

/// A tool that finds this docker where docker usually is.
fn tool_beside(docker: &Docker, args: &str) -> Result<Tool> {
    let mut command = command();
    command.with_run("docker.sock", &docker.socket());
    Tool::attach_with(args, command)
}

#[test]
fn tools_know_containers_by_the_names_that_they_were_given() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start()) else {
        return Ok(());
    };
    let busy = docker.start_workload("busy", BUSY)?;
    let calm = docker.start_workload("calm", CALM)?;
    let by_name = tool_beside(&docker, &format!("{BY_CALL} --container busy"))?;
    let by_pattern = tool_beside(&docker, &format!("{BY_CALL} --container c*m"))?;
    let by_id = Tool::attach(&format!("{BY_CALL} --container {}", &busy.id[..9]))?;
    let waits = tool_beside(&docker, "runqlat --duration 300s --container busy")?;
    for container in [&busy, &calm] {
        container.task.go()?;
        container.task.wait_done()?;
    }
    let (busy_at, calm_at) = (busy.task.cgroup()?, calm.task.cgroup()?);
    for (tool, at, calls) in [
        (by_name, &busy_at, 5000),
        (by_pattern, &calm_at, 77),
        (by_id, &busy_at, 5000),
    ] {
        let report = tool.finish()?;
        assert_eq!(report.calls(at, "ioprio_get").calls, calls);
        assert!(report.rows.iter().all(|row| row.container.is_at(at)));
    }
    let report = waits.finish()?;
    let rows: Vec<_> = report.rows.iter().map(|row| &row.container.name).collect();
    assert_eq!(rows, ["busy"]);
    assert!(report.rows[0].runqueue.count > 0);
    Ok(())
}
