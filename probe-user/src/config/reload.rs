//! What changes on SIGHUP.

use super::{Config, KEYS, OnReload};

/// Keys that differ between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Those that were taken over.
    pub applied: Vec<&'static str>,
    /// Those that need a restart and kept their old value.
    pub restart: Vec<&'static str>,
}

/// Compares the configuration in force with a freshly loaded one. Answers with the one to go on with, and
/// what was and was not taken over.
pub fn reload(in_force: &Config, loaded: &Config) -> (Config, Reload) {
    let mut next = in_force.clone();
    let mut changes = Reload::default();
    for key in KEYS {
        if (key.show)(in_force) == (key.show)(loaded) {
            continue;
        }
        match key.on_reload {
            OnReload::Applied => {
                (key.copy)(&mut next, loaded);
                changes.applied.push(key.path);
            }
            OnReload::Restart => changes.restart.push(key.path),
        }
    }
    (next, changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    #[test]
    fn the_same_configuration_changes_nothing() {
        let config = Config::default();
        assert_eq!(
            reload(&config, &config),
            (config.clone(), Reload::default())
        );
    }

    #[test]
    fn what_needs_a_restart_keeps_its_value_and_is_named() {
        let old = Config::default();
        let mut loaded = old.clone();
        loaded.log.level = LogLevel::Debug;
        loaded.limits.series = 5;
        loaded.listen.set_port(1);
        loaded.limits.kernel_memory *= 2;
        let (next, changes) = reload(&old, &loaded);
        assert_eq!(changes.applied, ["log.level", "limits.series"]);
        assert_eq!(changes.restart, ["listen", "limits.kernel_memory"]);
        assert_eq!(next.log.level, LogLevel::Debug);
        assert_eq!(next.limits.series, 5);
        assert_eq!(next.listen, old.listen);
        assert_eq!(next.limits.kernel_memory, old.limits.kernel_memory);
    }
}
