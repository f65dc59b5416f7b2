//! Which cgroups of the host an operator tells apart from what they are in.

use std::{fmt, str::FromStr};

use super::Pattern;

/// Components that a pattern may have.
const MAX_DEPTH: usize = 16;

/// A path of cgroups in which `*` stands for any characters of a component. With `/` before it, it begins at the root of the
/// hierarchy, else at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPattern {
    text: String,
    components: Vec<Pattern>,
    anchored: bool,
}

impl CgroupPattern {
    /// Whether it begins at the root of the hierarchy.
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// How many components of a path are the cgroup that is meant, or `None` where the path is not in such a one. The innermost
    /// counts.
    pub fn depth(&self, path: &[&str]) -> Option<usize> {
        let length = self.components.len();
        let last = path.len().checked_sub(length)?;
        let last = if self.anchored { 0 } else { last };
        let matches = |from: &usize| {
            let pairs = self.components.iter().zip(&path[*from..]);
            pairs
                .into_iter()
                .all(|(pattern, part)| pattern.matches_text(part))
        };
        (0..=last).rev().find(matches).map(|from| from + length)
    }
}

impl FromStr for CgroupPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let anchored = text.starts_with('/');
        let components: Vec<&str> = text.trim_start_matches('/').split('/').collect();
        if components.iter().any(|component| component.is_empty()) || components.len() > MAX_DEPTH {
            return Err(format!(
                "`{text}` is no pattern of a cgroup's path, such as *slurmstepd.scope/job_*"
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            components: components.into_iter().map(Pattern::new).collect(),
            anchored,
        })
    }
}

impl fmt::Display for CgroupPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(pattern: &str, path: &str) -> Option<usize> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        pattern.parse::<CgroupPattern>().unwrap().depth(&parts)
    }

    #[test]
    fn a_pattern_means_a_cgroup_and_all_below_it() {
        let job = "*slurmstepd.scope/job_*";
        assert_eq!(
            depth(job, "/system.slice/slurmstepd.scope/job_850"),
            Some(3)
        );
        assert_eq!(
            depth(job, "/system.slice/n1_slurmstepd.scope/job_1/step_0/user"),
            Some(3)
        );
        assert_eq!(depth(job, "/system.slice/slurmstepd.scope/system"), None);
        assert_eq!(depth(job, "/system.slice/slurmstepd.scope"), None);
        assert_eq!(
            depth("/slurm/uid_*/job_*", "/slurm/uid_1/job_2/task_0"),
            Some(3)
        );
        assert_eq!(depth("/slurm/uid_*/job_*", "/a/slurm/uid_1/job_2"), None);
        assert_eq!(depth("a/*", "/a/b/a/c"), Some(4), "the innermost counts");
        assert_eq!(depth("a", "/"), None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "/", "a//b", "a/", &"a/".repeat(40)] {
            assert!(text.parse::<CgroupPattern>().is_err(), "{text}");
        }
    }
}
